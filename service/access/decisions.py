"""What the rules grant one caller: to which documents, under which conditions, with which fields."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from service.query.match import matches
from service.query.tree import Node, Or, Path, Selection

NOTHING_FORCED: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Grant:
    """One alternative of a rule that admits a caller, with the caller's own values in place.

    `where` narrows the documents that are there (None: all), `check` is what the result of a write has to
    fulfil, `forced` are top-level members that a write sets, as JSON, whatever the body says; `fields` are
    those that may be read, or written (None: all). `position` counts the verb's alternatives from 0.
    """

    position: int = 0
    where: Node | None = None
    check: Node | None = None
    forced: Mapping[str, Any] = field(default_factory=lambda: NOTHING_FORCED, hash=False)
    fields: Selection | None = None

    @property
    def is_plain(self) -> bool:
        """Return whether it does no more than to narrow the documents."""
        return self.check is None and not self.forced and self.fields is None


@dataclass(frozen=True, slots=True)
class Decision:
    """What a principal may do here by one verb: anything that one of the grants allows; nothing without one.

    What is seen of a document is all that any grant shows whose `where` holds for it. A write is decided by
    the first grant, in the order of the rule, that fulfils everything. `moment` is what `$now` stood for,
    None when nobody asked: what is created by this decision is created then.
    """

    grants: tuple[Grant, ...] = ()
    moment: datetime | None = field(default=None, compare=False)
    shows_all: bool = field(init=False, compare=False)
    """Whether no grant has a mask, so that nothing of any document is left out."""

    is_plain: bool = field(init=False, compare=False)
    """Whether it does no more than to narrow the documents."""

    where: Node | None = field(init=False, compare=False)
    """The condition on the documents that are there, None for no narrowing.

    It belongs into the very operation that reads or writes.
    """

    def __post_init__(self) -> None:
        object.__setattr__(self, "shows_all", all(grant.fields is None for grant in self.grants))
        object.__setattr__(self, "is_plain", all(grant.is_plain for grant in self.grants))
        object.__setattr__(self, "where", self._where())

    @property
    def allowed(self) -> bool:
        """Return whether the verb is possible at all, if only on some documents."""
        return bool(self.grants)

    def _where(self) -> Node | None:
        narrowed = [grant.where for grant in self.grants if grant.where is not None]
        if len(narrowed) < len(self.grants):
            return None
        return narrowed[0] if len(narrowed) == 1 else Or(tuple(narrowed))


ALLOWED = Decision((Grant(),))
REFUSED = Decision()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a grant whose `where` holds does not allow a write.

    `beyond` are the changed places that its `fields` leave out, `failure` is why what it makes is no document
    that can be stored; without either, its `check` does not hold.
    """

    grant: Grant
    beyond: tuple[Path, ...] = ()
    failure: Exception | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The grant that decides a write and the document that it makes; or why each does not allow it.

    `refusals` are those of the grants before it; without a grant and without any, every grant hides the
    document: to the caller there is none.
    """

    grant: Grant | None = None
    result: Mapping[str, Any] | None = None
    refusals: tuple[Refusal, ...] = ()


def grants_for(decision: Decision, document: Mapping[str, Any]) -> tuple[Grant, ...]:
    """Return the grants whose `where` holds for a document as it is stored, in order.

    Whoever reads it sees what any of them shows.

    >>> grants_for(ALLOWED, {"_id": 1}) == ALLOWED.grants
    True
    """
    return tuple(grant for grant in decision.grants if grant.where is None or matches(grant.where, document))


def deciding(
    decision: Decision,
    present: Mapping[str, Any] | None,
    result_of: Callable[[Grant], Mapping[str, Any]],
    beyond_of: Callable[[Grant], tuple[Path, ...]] = lambda _: (),
    tolerated: tuple[type[Exception], ...] = (),
) -> Verdict:
    """Find the first grant that allows a write: `where` holds before it, `fields` and `check` of its result.

    `present` is the document as it is stored, None for a new one; `result_of` gives what a grant makes of it,
    as it will be stored, its forced members in place; `beyond_of` gives what is changed beyond a grant's
    fields (`service.access.writable.beyond`). What they raise goes through, unless it is `tolerated`: then
    the next grant may still do, which forces other members.
    """
    refusals: list[Refusal] = []
    for grant in decision.grants if present is None else grants_for(decision, present):
        try:
            outside = () if grant.fields is None else beyond_of(grant)
            if outside:
                refusals.append(Refusal(grant, outside))
                continue
            result = result_of(grant)
        except tolerated as failure:
            refusals.append(Refusal(grant, failure=failure))
            continue
        if grant.check is None or matches(grant.check, result):
            return Verdict(grant, result, tuple(refusals))
        refusals.append(Refusal(grant))
    return Verdict(refusals=tuple(refusals))
