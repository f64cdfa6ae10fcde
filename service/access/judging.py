"""What a decision comes to for one document, in memory: for the tests of rules, and to explain them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from models.base import SYSTEM_FIELDS
from service.access.decisions import Decision, Grant, Verdict, deciding, grants_for
from service.access.principals import Principal
from service.access.rules import GROUPS, Verb
from service.access.writable import beyond
from service.query import masks
from service.schema import Schema
from service.schema.encoding import encode

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A document that somebody wants to do something with; None of both asks about the verb alone.

    `present` is how it is stored, None for one that is created. `asked` is what is created, or what a change
    would make of it, as JSON; None changes nothing. Where stand-ins are in both for what the caller does not
    see, `restored` gives a result without them.
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
    """Give the case of documents that are JSON; what `before` is not given for is `document` already.

    Raises DocumentInvalid for a value that cannot be stored.
    """
    if verb == "create" or (before is None and document is None):
        return Case(asked=document)
    present = document if before is None else before
    return Case(stored(schema, present or {}), present, document)


def stored(schema: Schema, document: Mapping[str, Any]) -> Document:
    """Give a document that is JSON, its id and system fields included, as it is stored.

    Raises DocumentInvalid for a value that cannot be stored.
    """
    encoded = encode(dict(document), schema.root)
    return {("_id" if name == "id" else name): value for name, value in encoded.items()}


def own(document: Mapping[str, Any]) -> Document:
    """Give the members of a document that are its own, not the service's."""
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
    sent = own(asked)
    identity = {"id": asked["id"]} if "id" in asked else {}

    def result_of(grant: Grant) -> Document:
        completed = schema.with_defaults({**sent, **grant.forced})
        return stored(schema, {**identity, **completed, "_version": 1, "_owner": principal.id})

    return deciding(decision, None, result_of, lambda grant: beyond(grant, {}, sent))


def _change(schema: Schema, decision: Decision, present: Document, case: Case) -> Verdict:
    was = own(case.before or {})
    wanted = was if case.asked is None else own(case.asked)
    kept = {name: part for name, part in present.items() if name == "_id" or name in SYSTEM_FIELDS}

    def result_of(grant: Grant) -> Document:
        return {**stored(schema, case.restored({**wanted, **grant.forced})), **kept}

    return deciding(decision, present, result_of, lambda grant: beyond(grant, was, wanted))
