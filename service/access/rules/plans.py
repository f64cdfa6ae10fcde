"""How one verb is decided: what depends on nobody in particular is made once."""

from collections.abc import Sequence
from datetime import UTC, datetime

from models.base import utc_now
from service.access.decisions import REFUSED, Decision, Grant
from service.access.principals import Principal
from service.access.rules.alternatives import Alternative
from service.access.rules.placeholders import Absent

NOW = datetime(2000, 1, 1, tzinfo=UTC)
"""A time for alternatives that do not ask for it."""

MAXIMUM_KNOWN = 256
"""How many sets of admitting alternatives a plan keeps: there are few, one for each mix of roles."""


class Plan:
    """Decides a verb by its alternatives, in their order."""

    __slots__ = ("_anonymous", "_asks_roles", "_known", "_signed_in", "alternatives")

    def __init__(self, alternatives: Sequence[Alternative]) -> None:
        self.alternatives = tuple(alternatives)
        self._asks_roles = any(each.audience.role is not None for each in alternatives)
        self._known: dict[tuple[int, ...], _Prepared] = {}
        for_anyone = [each for each in alternatives if each.audience.is_for_anyone]
        for_users = [each for each in alternatives if each.audience.role is None]
        self._anonymous = _Prepared(for_anyone)
        self._signed_in = _Prepared(for_users)

    def decide(self, principal: Principal) -> Decision:
        """Decide for a caller who is no administrator."""
        if principal.kind == "anonymous":
            prepared = self._anonymous
        elif not self._asks_roles:
            prepared = self._signed_in
        else:
            prepared = self._of_roles(principal)
        return prepared.fixed or prepared.bound(principal)

    def _of_roles(self, principal: Principal) -> "_Prepared":
        roles = principal.roles
        admitting = tuple(
            position
            for position, each in enumerate(self.alternatives)
            if each.audience.role is None or each.audience.role in roles
        )
        prepared = self._known.get(admitting)
        if prepared is None:
            chosen = [self.alternatives[position] for position in admitting]
            prepared = _Prepared(chosen)
            if len(self._known) < MAXIMUM_KNOWN:
                self._known[admitting] = prepared
        return prepared


class _Prepared:
    """The alternatives that admit callers of one kind; `fixed` is the decision if it is always the same."""

    __slots__ = ("_alternatives", "_asks_time", "fixed")

    def __init__(self, alternatives: Sequence[Alternative]) -> None:
        self._alternatives = _needed(alternatives)
        self._asks_time = any(each.asks_time for each in self._alternatives)
        self.fixed: Decision | None = None
        if all(each.is_fixed for each in self._alternatives):
            nobody = Principal("user", "", frozenset())
            self.fixed = _decision([each.grant(nobody, NOW) for each in self._alternatives])

    def bound(self, principal: Principal) -> Decision:
        """Decide with the caller's own values; an alternative that lacks one does not admit."""
        now = utc_now() if self._asks_time else NOW
        grants = []
        for each in self._alternatives:
            try:
                grants.append(each.grant(principal, now))
            except Absent:
                continue
        return _decision(grants, now if self._asks_time else None)


def _needed(alternatives: Sequence[Alternative]) -> tuple[Alternative, ...]:
    """Leave out what cannot matter: beside one that plainly allows all, after one that always decides."""
    if all(each.is_plain for each in alternatives):
        widest = [each for each in alternatives if not each.narrows]
        return tuple(widest[:1] or alternatives)
    needed = []
    for each in alternatives:
        needed.append(each)
        if always_decides(each):
            break
    return tuple(needed)


def always_decides(alternative: Alternative) -> bool:
    """Tell whether no later alternative is asked about whomever this one admits.

    One that forces values may make a document invalid, which a later one makes good.
    """
    is_bound = alternative.narrows or alternative.check is not None or alternative.fields is not None
    return not is_bound and alternative.forced is None


def _decision(grants: list[Grant], moment: datetime | None = None) -> Decision:
    return Decision(tuple(grants), moment) if grants else REFUSED
