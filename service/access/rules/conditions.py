"""Conditions of rules: the clients' filter grammar, with values of the caller in it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.access.principals import Principal
from service.access.rules import placeholders
from service.access.rules.placeholders import Absent, Placeholder, Unknown
from service.kit.json_values import split_pointer
from service.query.comparisons import Unfit, compare_json
from service.query.fields import Field
from service.query.json_filters import FilterReader, Place
from service.query.kinds import Kind
from service.query.operators import OPERATORS, Operator
from service.query.parameters import Problems
from service.query.tree import EVERYTHING, And, Compare, Elem, Node, Not, Or, Path
from service.query.values import comparable_kinds

DAY = len("2026-11-22")
"""How much of a moment's text is its day."""


@dataclass(frozen=True, slots=True, eq=False)
class Pending:
    """A comparison's value that is known when the caller is: JSON with placeholders, read at a field."""

    field: Field
    value: Any
    is_day: bool

    def json(self, principal: Principal, now: datetime) -> Any:
        """Return the caller's value as JSON; raises Absent."""
        return placeholders.resolve(self.value, lambda each: self._at_field(each, each.read(principal, now)))

    def misfit(self) -> Absent:
        """Return the failure of a caller whose value does not fit the field."""
        first = next(placeholders.within(self.value))
        return Absent(f"the caller's `{first.text}` does not fit the field")

    def samples(self) -> Iterator[Any]:
        """Return values as JSON that callers can have."""
        return placeholders.samples(self.value, self._at_field)

    def _at_field(self, each: Placeholder, value: Any) -> Any:
        return value[:DAY] if self.is_day and each.is_time else value


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """A filter in a rule; `node` may hold Pending values, `uses` are their pointers within its `source`."""

    source: Mapping[str, Any]
    node: Node
    uses: tuple[tuple[str, Pending], ...] = ()

    @property
    def is_fixed(self) -> bool:
        """Return whether it is the same for every caller, at any time."""
        return all(next(placeholders.within(pending.value), None) is None for _, pending in self.uses)

    def bound(self, principal: Principal, now: datetime) -> Node:
        """Return the filter for a caller; raises Absent when a value is missing or misfits its field."""
        return bind(self.node, principal, now)

    def shown(self, principal: Principal, now: datetime) -> dict[str, Any]:
        """Return the same as a client would write it; raises Absent."""
        written = _copy(self.source)
        for pointer, pending in self.uses:
            _put(written, pointer, pending.json(principal, now))
        return dict(written)


def is_day(field: Field) -> bool:
    """Return whether the time is a day at a field."""
    kinds = comparable_kinds(field)
    return Kind.DATE in kinds and not kinds & {Kind.DATE_TIME, Kind.STRING}


def bind(node: Node, principal: Principal, now: datetime) -> Node:
    """Put a caller's values into a filter; raises Absent."""
    match node:
        case Compare(path, name, Pending() as pending):
            try:
                return compare_json(path, pending.field, OPERATORS[name], pending.json(principal, now))
            except Unfit:
                raise pending.misfit() from None
        case Compare():
            return node
        case Elem(path, condition):
            return Elem(path, bind(condition, principal, now))
        case Not(part):
            return Not(bind(part, principal, now))
        case And(parts):
            return And(tuple(bind(part, principal, now) for part in parts))
        case Or(parts):
            return Or(tuple(bind(part, principal, now) for part in parts))


class ConditionReader(FilterReader):
    """Reads the conditions of one rule, which have the limits of one request's filters together."""

    __slots__ = ("_pending",)

    def __init__(self, problems: Problems) -> None:
        super().__init__(problems)
        self._pending: list[tuple[str, Pending]] = []

    def condition(self, value: Any, fields: Field) -> Condition:
        """Read one; what is wrong goes to the problems. Raises ParameterInvalid when it is too much."""
        self._pending = []
        node = self.read(value, fields)
        return Condition(value if isinstance(value, dict) else {}, node, tuple(self._pending))

    def _compare(self, path: Path, field: Field, operator: Operator, value: Any, place: Place) -> Node:
        try:
            read = placeholders.read(value)
        except Unknown as problem:
            self._problems.add(
                str(problem), "value", parameter=self._parameter, pointer=place.pointer, hint=problem.hint
            )
            return EVERYTHING
        if read == value:
            return super()._compare(path, field, operator, value, place)
        pending = Pending(field, read, is_day(field))
        self._pending.append((place.pointer, pending))
        if next(placeholders.within(read), None) is None:
            return super()._compare(path, field, operator, read, place)
        if problem_here := _unfit(path, pending, operator):
            return self._refuse(problem_here, "type", place)
        return Compare(path, operator.name, pending)


def _unfit(path: Path, pending: Pending, operator: Operator) -> str | None:
    """Say why no value that a caller can have fits, None when one does."""
    problems = []
    for sample in pending.samples():
        try:
            compare_json(path, pending.field, operator, sample)
        except Unfit as problem:
            problems.append(str(problem))
        else:
            return None
    first = next(placeholders.within(pending.value))
    return f"`{first.text}` does not fit here: {problems[0]}"


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(each) for name, each in value.items()}
    return [_copy(each) for each in value] if isinstance(value, list) else value


def _put(written: Any, pointer: str, value: Any) -> None:
    *before, last = split_pointer(pointer)
    for name in before:
        written = written[int(name)] if isinstance(written, list) else written[name]
    written[last] = value
