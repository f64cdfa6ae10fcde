"""The conditions of a filter by what an index can do for them: equality, range, place, text, alternatives."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MAXIMUM_SCANS = 200
"""Values of `$in` up to which MongoDB reads one sorted run for each and merges them, as for equality."""

RANGES = frozenset({"$gt", "$gte", "$lt", "$lte"})
PLACES = frozenset({"$geoWithin", "$geoIntersects", "$near", "$nearSphere"})
_PREFIX = re.compile(r"\^(?![\[(.*+?|])")
"""A pattern that begins with a text at the beginning, which is a range."""


@dataclass(slots=True)
class Conditions:
    """The paths of a filter's conditions; `alternatives` are its disjunctions, each with its branches."""

    equal: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    has_text: bool = False
    alternatives: list[list["Conditions"]] = field(default_factory=list)

    @property
    def paths(self) -> set[str]:
        """Give the paths that an index could narrow."""
        return {*self.equal, *self.ranges}

    def joined(self, other: "Conditions") -> "Conditions":
        """Give the conditions of both."""
        return Conditions(
            equal=_distinct(self.equal + other.equal),
            ranges=_distinct(self.ranges + other.ranges),
            places=_distinct(self.places + other.places),
            has_text=self.has_text or other.has_text,
            alternatives=self.alternatives + other.alternatives,
        )


def read(where: Mapping[str, Any], prefix: str = "") -> Conditions:
    """Read a filter; what no index narrows (`$ne`, `$not`, text in the middle) is left out.

    >>> found = read({"a": 1, "b": {"$gte": 2}, "$or": [{"c": 3}, {"d": {"$in": [4, 5]}}]})
    >>> found.equal, found.ranges, [[branch.equal for branch in each] for each in found.alternatives]
    (['a'], ['b'], [[['c'], ['d']]])
    """
    found = Conditions()
    for name, value in where.items():
        for part in _parts(name, value, prefix):
            found = found.joined(part)
    return found


def _parts(name: str, value: Any, prefix: str) -> Iterator[Conditions]:
    if name == "$and":
        yield from (read(each, prefix) for each in value)
    elif name == "$or":
        branches = [read(each, prefix) for each in value]
        yield branches[0] if len(branches) == 1 else Conditions(alternatives=[branches])
    elif name == "$text":
        yield Conditions(has_text=True)
    elif not name.startswith("$"):
        yield from _of_path(prefix + name, value)


def _of_path(path: str, value: Any) -> Iterator[Conditions]:
    if not isinstance(value, Mapping) or not next(iter(value), "").startswith("$"):
        yield Conditions(equal=[path])
        return
    for operator, operand in value.items():
        if operator == "$elemMatch":
            is_of_object = not next(iter(operand), "$").startswith("$")
            yield from [read(operand, f"{path}.")] if is_of_object else _of_path(path, operand)
        elif operator in PLACES:
            yield Conditions(places=[path])
        elif _is_equality(operator, operand):
            yield Conditions(equal=[path])
        elif operator in RANGES or _is_range(operator, operand, value):
            yield Conditions(ranges=[path])


def _is_equality(operator: str, operand: Any) -> bool:
    if operator == "$in":
        return len(operand) <= MAXIMUM_SCANS and not any(isinstance(each, re.Pattern) for each in operand)
    return operator in {"$eq", "$all"} or (operator == "$exists" and not operand)


def _is_range(operator: str, operand: Any, beside: Mapping[str, Any]) -> bool:
    if operator == "$in":
        return True
    is_plain = isinstance(operand, str) and "$options" not in beside
    return operator == "$regex" and is_plain and _PREFIX.match(operand) is not None


def _distinct(paths: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(paths))
