"""One alternative of a rule: whom it admits, and what it grants them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from service.access.decisions import NOTHING_FORCED, Grant
from service.access.principals import Principal
from service.access.rules import placeholders
from service.access.rules.conditions import Condition, Pending, is_day
from service.access.rules.placeholders import Absent, Unknown
from service.access.rules.words import OWNER_PATH, ROLE_PREFIX
from service.kit.violations import Violations, at, shown
from service.query.fields import Field
from service.query.kinds import Kind
from service.query.tree import Compare, Node, Selection, conjoin
from service.query.values import Unreadable, from_json


@dataclass(frozen=True, slots=True, eq=False)
class Forced:
    """The members that an alternative forces: `constants` as JSON, `pending` when the caller is known."""

    constants: Mapping[str, Any]
    pending: Mapping[str, Pending]

    def bound(self, principal: Principal, now: datetime) -> dict[str, Any]:
        """Return all of them for a caller, as JSON; raises Absent when a value is missing or does not fit."""
        members = dict(self.constants)
        for name, pending in self.pending.items():
            value = pending.json(principal, now)
            if _misfit(pending.field, value) is not None:
                raise pending.misfit()
            members[name] = value
        return members


def read_forced(faults: Violations, stated: Any, root: Field | None, pointer: str) -> Forced | None:
    """Read `{top-level field: value}`, without `root` only its form; what is wrong goes to `faults`."""
    if not isinstance(stated, dict) or not stated:
        faults.add("`set` is an object of fields and their values, one at least", "type", pointer)
        return None
    constants: dict[str, Any] = {}
    pending: dict[str, Pending] = {}
    for name, value in stated.items():
        here = at(pointer, name)
        field = None if root is None else _field(faults, name, root, here)
        try:
            read = placeholders.read(value)
        except Unknown as problem:
            faults.add(str(problem), "value", here, problem.hint)
            continue
        if next(placeholders.within(read), None) is None:
            constants[name] = read
            samples: Iterator[Any] = iter([read])
        else:
            pending[name] = Pending(field or Field(), read, field is not None and is_day(field))
            samples = pending[name].samples()
        if field is not None and (misfit := _none_fits(field, samples)):
            faults.add(f"{misfit} does not fit `{shown(name)}`", "type", here)
    return Forced(constants, pending)


def _field(faults: Violations, name: str, root: Field, pointer: str) -> Field | None:
    if name == "id" or name.startswith("_"):
        faults.add(f"`{shown(name)}` is kept by the service", "system_field", pointer)
        return None
    if "." in name:
        hint = f"Set `{shown(name.partition('.')[0])}` as a whole."
        faults.add("`set` names top-level fields only", "unknown_field", pointer, hint)
        return None
    field = root.fields.get(name, root.others)
    if field is None or not name or name.startswith("$") or "\0" in name:
        near = faults.suggest(name, root.fields)
        faults.add(f"there is no field `{shown(name)}`", "unknown_field", pointer, near)
        return None
    return field


def _none_fits(field: Field, samples: Iterator[Any]) -> str | None:
    """Say of the first of the values why it does not fit, None when one of them does."""
    told = None
    for sample in samples:
        misfit = _misfit(field, sample)
        if misfit is None:
            return None
        told = told or misfit
    return told


def _misfit(field: Field, value: Any) -> str | None:
    """Say what a JSON value is when the field cannot have it; the engine judges the rest by the schema."""
    if value is None:
        return None if Kind.NULL in field.kinds else "null"
    if isinstance(value, list):
        return None if Kind.ARRAY in field.kinds else "an array"
    if isinstance(value, dict):
        return None if Kind.OBJECT in field.kinds else "an object"
    try:
        from_json(field.kinds - {Kind.NULL, Kind.OBJECT, Kind.ARRAY}, value)
    except Unreadable as problem:
        return f"what is {problem}"
    return None


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom an alternative is for, as far as the verb and the document do not matter."""

    is_for_anyone: bool = False
    role: str | None = None

    def admits(self, principal: Principal) -> bool:
        """Return whether it is for this caller."""
        if self.is_for_anyone:
            return True
        return principal.is_signed_in and (self.role is None or self.role in principal.roles)

    def covers(self, other: "Audience") -> bool:
        """Return whether it admits everybody whom another one admits."""
        if self.is_for_anyone:
            return True
        return not other.is_for_anyone and self.role in (None, other.role)

    @property
    def named(self) -> str:
        """Return the words for it at the beginning of a sentence."""
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
        """Return whether it is for some of the documents only."""
        return self.is_for_owner or self.where is not None

    @property
    def is_plain(self) -> bool:
        """Return whether it does no more than to narrow the documents."""
        return self.check is None and self.forced is None and self.fields is None

    @property
    def is_fixed(self) -> bool:
        """Return whether it grants the same to everybody whom it admits, at any time."""
        conditions = (self.where, self.check)
        has_own = self.is_for_owner or (self.forced is not None and bool(self.forced.pending))
        return not has_own and all(each is None or each.is_fixed for each in conditions)

    @property
    def asks_time(self) -> bool:
        """Return whether one of its values is the time."""
        pending = [each for part in (self.where, self.check) if part is not None for _, each in part.uses]
        pending += [] if self.forced is None else self.forced.pending.values()
        return any(found.is_time for each in pending for found in placeholders.within(each.value))

    def grant(self, principal: Principal, now: datetime) -> Grant:
        """Return what it grants a caller whom its audience admits; raises Absent when a value is missing."""
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
        """Return its narrowing as a client would write it, None without; raises Absent."""
        shown = {} if self.where is None else self.where.shown(principal, now)
        if not self.is_for_owner:
            return shown or None
        owned = {".".join(OWNER_PATH): {"eq": principal.id}}
        return {"and": [owned, shown]} if shown else owned

    def shown_check(self, principal: Principal, now: datetime) -> dict[str, Any] | None:
        """Return its check as a client would write it, None without; raises Absent."""
        return None if self.check is None else self.check.shown(principal, now)


def _owned_by(principal: Principal) -> Node:
    if principal.id is None:
        raise Absent("the caller has no id")
    return Compare(OWNER_PATH, "eq", principal.id)


def audience_of(word: str) -> Audience:
    """Return the audience of a checked word or role's name; an owner has to be signed in.

    >>> audience_of("role:editor") == audience_of("editor") == Audience(role="editor")
    True
    """
    if word == "anyone":
        return Audience(is_for_anyone=True)
    return Audience() if word in ("user", "owner") else Audience(role=word.removeprefix(ROLE_PREFIX))
