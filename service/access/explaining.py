"""Why the rules decide as they do: each alternative, whether it admits the caller, what it grants."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import Field

from models.base import SYSTEM_FIELDS
from service.access.decisions import Decision, Grant, Refusal, Verdict, deciding, grants_for
from service.access.principals import ANONYMOUS, ROLE_PATTERN, Principal
from service.access.rules import GROUPS, Rules, Verb
from service.access.rules.alternatives import Alternative
from service.access.rules.placeholders import Absent
from service.access.writable import beyond
from service.kit import forms
from service.kit.errors import DocumentInvalid, Violation
from service.kit.forms import Form
from service.query import masks
from service.query.tree import Selection
from service.schema import Schema
from service.schema.encoding import encode

MAXIMUM_ROLES = 50
MAXIMUM_ATTRIBUTES = 50
MAXIMUM_TEXT_CHARACTERS = 320

SOMEBODY = "000000000000000000000000"
"""The id of a described caller without one."""


class Caller(Form):
    """A signed-in user who need not exist."""

    id: str = Field(SOMEBODY, min_length=1, max_length=MAXIMUM_TEXT_CHARACTERS)
    roles: list[str] = Field(default_factory=list, max_length=MAXIMUM_ROLES)
    email: str | None = Field(None, max_length=MAXIMUM_TEXT_CHARACTERS)
    email_verified: bool = True
    name: str | None = Field(None, max_length=MAXIMUM_TEXT_CHARACTERS)
    attributes: dict[str, Any] = Field(default_factory=dict, max_length=MAXIMUM_ATTRIBUTES)


def read_caller(value: Any, pointer: str) -> Principal:
    """Read a described caller; `anyone` and null are the anonymous one.

    Raises DocumentInvalid with every fault, the pointers below `pointer`.

    >>> read_caller({"roles": ["editor"]}, "/as").roles
    frozenset({'editor'})
    """
    if value is None or value == "anyone":
        return ANONYMOUS
    if not isinstance(value, dict):
        detail = 'a caller is "anyone", null or an object such as {"id": "…", "roles": ["editor"]}'
        raise DocumentInvalid(detail, errors=[Violation(detail, "type", pointer)])
    try:
        form = forms.read(Caller, value)
    except DocumentInvalid as failure:
        below = [replace(each, pointer=f"{pointer}{each.pointer or ''}") for each in failure.errors]
        raise DocumentInvalid(failure.detail, errors=below) from None
    if not all(ROLE_PATTERN.fullmatch(role) for role in form.roles):
        fault = Violation("not all of these can be a role's name", "pattern", f"{pointer}/roles")
        raise DocumentInvalid(fault.detail, errors=[fault])
    return Principal(
        kind="user",
        id=form.id,
        roles=frozenset(form.roles),
        email=form.email,
        is_email_verified=form.email_verified,
        name=form.name,
        attributes=form.attributes,
    )


Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A document that somebody wants to do something with; None of both asks about the verb alone.

    `present` is how it is stored, None for one that is created. `asked` is what is created, or what a change
    would make of it, as JSON; None changes nothing. Where placeholders are in both for what the caller does
    not see, `restored` gives a result without them.
    """

    present: Document | None = None
    before: Document | None = None
    asked: Document | None = None
    restored: Callable[[Document], Document] = dict


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether the caller may; `positions` are those of the alternatives that hold for the document.

    A read shows `seen`, as JSON; a write is as its `verdict` says.
    """

    allowed: bool
    positions: tuple[int, ...] = ()
    seen: Document | None = None
    verdict: Verdict | None = None


def judge(schema: Schema, decision: Decision, principal: Principal, verb: Verb, case: Case) -> Judgement:
    """Judge one case by the functions that the engine uses; what is written is not validated.

    Raises DocumentInvalid for a value that cannot be stored.
    """
    if verb == "create":
        if case.asked is None:
            return _alone(decision)
        verdict = _creation(schema, decision, principal, case.asked)
    elif case.present is None:
        return _alone(decision)
    elif verb == "update":
        verdict = _change(schema, decision, case.present, case)
    else:
        return _reading(schema, decision, case, is_seen=verb in GROUPS["read"])
    positions = () if verdict.grant is None else (verdict.grant.position,)
    return Judgement(verdict.grant is not None, positions, verdict=verdict)


def case_of(schema: Schema, verb: Verb, before: Document | None, document: Document | None) -> Case:
    """Return the case of documents that are JSON; what `before` is not given for is `document` already.

    Raises DocumentInvalid for a value that cannot be stored.
    """
    if verb == "create" or (before is None and document is None):
        return Case(asked=document)
    present = document if before is None else before
    return Case(stored_form(schema, present or {}), present, document)


def stored_form(schema: Schema, document: Mapping[str, Any]) -> Document:
    """Return a document that is JSON, its id and system fields included, as it is stored.

    Raises DocumentInvalid for a value that cannot be stored.
    """
    encoded = encode(dict(document), schema.root)
    return {("_id" if name == "id" else name): value for name, value in encoded.items()}


def own_members(document: Mapping[str, Any]) -> Document:
    """Return the members of a document that are its own, not the service's."""
    return {name: part for name, part in document.items() if name != "id" and name not in SYSTEM_FIELDS}


def _alone(decision: Decision) -> Judgement:
    return Judgement(decision.allowed, tuple(grant.position for grant in decision.grants))


def _reading(schema: Schema, decision: Decision, case: Case, *, is_seen: bool) -> Judgement:
    grants = grants_for(decision, case.present or {})
    seen = None
    if grants and is_seen:
        mask = masks.of_selections(frozenset(grant.fields for grant in grants))
        seen = masks.shown(schema.visible(case.before or {}), mask)
    return Judgement(bool(grants), tuple(grant.position for grant in grants), seen)


def _creation(schema: Schema, decision: Decision, principal: Principal, asked: Document) -> Verdict:
    sent = own_members(asked)
    identity = {"id": asked["id"]} if "id" in asked else {}

    def result_of(grant: Grant) -> Document:
        completed = schema.with_defaults({**sent, **grant.forced})
        return stored_form(schema, {**identity, **completed, "_version": 1, "_owner": principal.id})

    return deciding(decision, None, result_of, lambda grant: beyond(grant, {}, sent))


def _change(schema: Schema, decision: Decision, present: Document, case: Case) -> Verdict:
    was = own_members(case.before or {})
    wanted = was if case.asked is None else own_members(case.asked)
    kept = {name: part for name, part in present.items() if name == "_id" or name in SYSTEM_FIELDS}

    def result_of(grant: Grant) -> Document:
        return {**stored_form(schema, case.restored({**wanted, **grant.forced})), **kept}

    return deciding(decision, present, result_of, lambda grant: beyond(grant, was, wanted))


ADMINISTRATOR = "Administrators may do everything: the rules are not asked."
NO_RULE = "No rule allows this verb: it is for administrators only."


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was decided for a caller, and what that came to for a document, if there is one."""

    rules: Rules
    verb: Verb
    principal: Principal
    decision: Decision
    judged: Judgement
    is_of_document: bool

    def as_json(self, now: datetime) -> dict[str, Any]:
        """Return `{allowed, reason, deciding, filter, alternatives}`; values are the caller's, at a time."""
        alternatives = () if self.principal.is_admin else self.rules.alternatives(self.verb)
        return {
            "allowed": self.judged.allowed,
            "reason": self.reason,
            "deciding": [each.pointer for each in alternatives if each.position in self.judged.positions],
            "filter": self._filter(alternatives, now),
            "alternatives": [self._told(each, now) for each in alternatives],
        }

    @property
    def reason(self) -> str:
        """Say in a sentence what it rests on."""
        if self.principal.is_admin:
            return ADMINISTRATOR
        pointers = {each.position: f"`{each.pointer}`" for each in self.rules.alternatives(self.verb)}
        if not pointers:
            return NO_RULE
        if self.judged.allowed:
            deciding = [pointers[position] for position in self.judged.positions]
            return f"{' and '.join(deciding)} {'allow' if len(deciding) > 1 else 'allows'} it."
        if not self.decision.allowed:
            return "No alternative admits this caller."
        refusals = self._refusals()
        if not refusals:
            return "No alternative that admits this caller is for this document."
        return " ".join(f"{pointers[position]}: {_refused(each)}" for position, each in refusals.items())

    def _refusals(self) -> dict[int, Refusal]:
        found = () if self.judged.verdict is None else self.judged.verdict.refusals
        return {each.grant.position: each for each in found}

    def _granted(self, alternative: Alternative) -> bool:
        return any(grant.position == alternative.position for grant in self.decision.grants)

    def _filter(self, alternatives: tuple[Alternative, ...], now: datetime) -> dict[str, Any] | None:
        """Return what narrows the documents, as a client would write it; None when nothing does."""
        wheres = []
        for each in alternatives:
            if self._granted(each):
                where = each.shown_where(self.principal, now)
                if where is None:
                    return None
                wheres.append(where)
        if not wheres:
            return None
        return wheres[0] if len(wheres) == 1 else {"or": wheres}

    def _told(self, alternative: Alternative, now: datetime) -> dict[str, Any]:
        told: dict[str, Any] = {
            "pointer": alternative.pointer,
            "admits": self._granted(alternative),
            "reason": self._why(alternative, now),
        }
        if told["admits"]:
            forced = alternative.forced
            told["where"] = alternative.shown_where(self.principal, now)
            told["check"] = alternative.shown_check(self.principal, now)
            told["set"] = None if forced is None else forced.bound(self.principal, now)
            told["fields"] = mask_json(alternative.fields)
        return told

    def _why(self, alternative: Alternative, now: datetime) -> str:
        if not self._granted(alternative):
            return self._why_not(alternative, now)
        refusal = self._refusals().get(alternative.position)
        if refusal is not None:
            return f"It admits the caller, but {_refused(refusal)}"
        if not self.is_of_document:
            return "It admits the caller."
        if alternative.position in self.judged.positions:
            return "It admits the caller, and decides."
        if self.judged.verdict is not None and self.judged.allowed:
            return "It admits the caller; an earlier one decides, or its `where` does not hold."
        return "It admits the caller, but its `where` does not hold for this document."

    def _why_not(self, alternative: Alternative, now: datetime) -> str:
        audience = alternative.audience
        if not audience.admits(self.principal):
            role = audience.role
            return f"It is for {'signed-in users' if role is None else f'whoever has the role `{role}`'}."
        try:
            alternative.grant(self.principal, now)
        except Absent as absent:
            return f"It does not admit, because {absent}."
        return "It is not needed: another alternative allows everything that it allows."


def _refused(refusal: Refusal) -> str:
    """Say why a grant that holds for a document does not allow the write."""
    if refusal.beyond:
        paths = ", ".join(f"`{'.'.join(path)}`" for path in refusal.beyond)
        return f"its `fields` do not let {paths} be written."
    return "its `check` does not hold for the result."


def mask_json(selection: Selection | None) -> dict[str, list[str]] | None:
    """Return a mask as rules write it, None for everything.

    >>> mask_json(Selection((("place", "city"),), is_exclusion=True))
    {'except': ['place.city']}
    """
    if selection is None:
        return None
    return {"except" if selection.is_exclusion else "only": [".".join(path) for path in selection.paths]}
