"""Why the rules decide as they do: each alternative, whether it admits the caller, what it grants."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.access.decisions import Decision, Refusal
from service.access.judging import Judgement
from service.access.principals import Principal
from service.access.rules import Rules, Verb
from service.access.rules.alternatives import Alternative
from service.access.rules.placeholders import Absent
from service.query.lists import Selection

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
        """Give `{allowed, reason, deciding, filter, alternatives}`; values are the caller's, at a time."""
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
        """Give what narrows the documents, as a client would write it; None when nothing does."""
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
    """Give a mask as rules write it, None for everything.

    >>> mask_json(Selection((("place", "city"),), is_exclusion=True))
    {'except': ['place.city']}
    """
    if selection is None:
        return None
    return {"except" if selection.is_exclusion else "only": [".".join(path) for path in selection.paths]}
