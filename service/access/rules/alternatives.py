"""One alternative of a rule: whom it admits, and what it grants them."""

from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from service.access.decisions import NOTHING_FORCED, Grant
from service.access.principals import Principal
from service.access.rules import placeholders
from service.access.rules.conditions import Condition
from service.access.rules.forced import Forced
from service.access.rules.placeholders import Absent
from service.access.rules.words import OWNER_PATH, ROLE_PREFIX
from service.query.lists import Selection
from service.query.tree import Compare, Node, conjoin


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom an alternative is for, as far as the verb and the document do not matter."""

    is_for_anyone: bool = False
    role: str | None = None

    def admits(self, principal: Principal) -> bool:
        """Tell whether it is for this caller."""
        if self.is_for_anyone:
            return True
        return principal.is_signed_in and (self.role is None or self.role in principal.roles)

    def covers(self, other: "Audience") -> bool:
        """Tell whether it admits everybody whom another one admits."""
        if self.is_for_anyone:
            return True
        return not other.is_for_anyone and self.role in (None, other.role)

    @property
    def named(self) -> str:
        """Give the words for it at the beginning of a sentence."""
        if self.is_for_anyone:
            return "Anyone"
        return "Any signed-in user" if self.role is None else f"Whoever has the role `{self.role}`"


@dataclass(frozen=True, slots=True, eq=False)
class Alternative:
    """One alternative as it counts for one verb; `pointer` is its place in the definition.

    With `is_for_owner` it narrows the documents to the caller's own. `word` is what names its audience.
    """

    position: int
    pointer: str
    word: str
    audience: Audience
    is_for_owner: bool = False
    where: Condition | None = None
    check: Condition | None = None
    forced: Forced | None = None
    fields: Selection | None = None

    @property
    def narrows(self) -> bool:
        """Tell whether it is for some of the documents only."""
        return self.is_for_owner or self.where is not None

    @property
    def is_plain(self) -> bool:
        """Tell whether it does no more than to narrow the documents."""
        return self.check is None and self.forced is None and self.fields is None

    @property
    def is_fixed(self) -> bool:
        """Tell whether it grants the same to everybody whom it admits, at any time."""
        conditions = (self.where, self.check)
        has_own = self.is_for_owner or (self.forced is not None and bool(self.forced.pending))
        return not has_own and all(each is None or each.is_fixed for each in conditions)

    @property
    def asks_time(self) -> bool:
        """Tell whether one of its values is the time."""
        pending = [each for part in (self.where, self.check) if part is not None for _, each in part.uses]
        pending += [] if self.forced is None else self.forced.pending.values()
        return any(found.is_time for each in pending for found in placeholders.within(each.value))

    def grant(self, principal: Principal, now: datetime) -> Grant:
        """Give what it grants a caller whom its audience admits; raises Absent when a value is missing."""
        owned = _owned_by(principal) if self.is_for_owner else None
        if self.where is None and self.is_plain:
            return Grant(self.position, owned)
        where = None if self.where is None else self.where.bound(principal, now)
        return Grant(
            self.position,
            conjoin(owned, where),
            None if self.check is None else self.check.bound(principal, now),
            NOTHING_FORCED if self.forced is None else MappingProxyType(self.forced.bound(principal, now)),
            self.fields,
        )

    def shown_where(self, principal: Principal, now: datetime) -> dict[str, Any] | None:
        """Give its narrowing as a client would write it, None without; raises Absent."""
        shown = {} if self.where is None else self.where.shown(principal, now)
        if not self.is_for_owner:
            return shown or None
        owned = {".".join(OWNER_PATH): {"eq": principal.id}}
        return {"and": [owned, shown]} if shown else owned

    def shown_check(self, principal: Principal, now: datetime) -> dict[str, Any] | None:
        """Give its check as a client would write it, None without; raises Absent."""
        return None if self.check is None else self.check.shown(principal, now)


def _owned_by(principal: Principal) -> Node:
    if principal.id is None:
        raise Absent("the caller has no id")
    return Compare(OWNER_PATH, "eq", principal.id)


def audience_of(word: str) -> Audience:
    """Give the audience of a checked word or role's name; an owner has to be signed in.

    >>> audience_of("role:editor") == audience_of("editor") == Audience(role="editor")
    True
    """
    if word == "anyone":
        return Audience(is_for_anyone=True)
    return Audience() if word in ("user", "owner") else Audience(role=word.removeprefix(ROLE_PREFIX))
