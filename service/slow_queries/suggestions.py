"""The index that would serve a query: the fields of equality first, then the order, then ranges (ESR).

Source: MongoDB's "The ESR (Equality, Sort, Range) Guideline", and its rules for multikey indexes and sorts.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from service.collections.registry import Collection
from service.query.fields import Field
from service.query.kinds import Kind
from service.slow_queries.commands import Query, Sort

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
        """The paths that an index could narrow."""
        return {*self.equal, *self.ranges}

    def joined(self, other: "Conditions") -> "Conditions":
        """Return the conditions of both."""
        return Conditions(
            equal=_distinct(self.equal + other.equal),
            ranges=_distinct(self.ranges + other.ranges),
            places=_distinct(self.places + other.places),
            has_text=self.has_text or other.has_text,
            alternatives=self.alternatives + other.alternatives,
        )


def conditions_of(where: Mapping[str, Any], prefix: str = "") -> Conditions:
    """Read a filter; what no index narrows (`$ne`, `$not`, text in the middle) is left out.

    >>> found = conditions_of({"a": 1, "b": {"$gte": 2}, "$or": [{"c": 3}, {"d": {"$in": [4, 5]}}]})
    >>> found.equal, found.ranges, [[branch.equal for branch in each] for each in found.alternatives]
    (['a'], ['b'], [[['c'], ['d']]])
    """
    found = Conditions()
    for name, value in where.items():
        for part in _of_member(name, value, prefix):
            found = found.joined(part)
    return found


def _of_member(name: str, value: Any, prefix: str) -> Iterator[Conditions]:
    if name == "$and":
        yield from (conditions_of(each, prefix) for each in value)
    elif name == "$or":
        branches = [conditions_of(each, prefix) for each in value]
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
            yield from [conditions_of(operand, f"{path}.")] if is_of_object else _of_path(path, operand)
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


MAXIMUM_FIELDS = 8
"""Fields of a suggested index: each one more costs every write, and narrows less."""

Keys = tuple[tuple[str, int | str], ...]
ArrayOf = Callable[[str], str | None]
"""From a path to the first name on it that may hold an array, None where none may."""


@dataclass(frozen=True, slots=True)
class Present:
    """An index that is there; one that leaves out documents, or has a collation, serves no query for sure."""

    name: str
    keys: Keys
    is_whole: bool = True
    is_plain: bool = True


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An index to create, and the names of those that it makes superfluous, because it begins as they do."""

    keys: Keys
    replaces: tuple[str, ...] = ()


def suggest(query: Query, present: Sequence[Present], array_of: ArrayOf) -> list[Suggestion]:
    """Return the indexes that a query lacks: one, or one for each alternative; none where none would help."""
    conditions = conditions_of(query.where)
    if conditions.has_text or "_id" in conditions.equal:
        return []
    if conditions.places:
        indexed = {path for index in present for path, kind in index.keys if kind == "2dsphere"}
        lacking = [path for path in conditions.places if path not in indexed]
        return [Suggestion(((path, "2dsphere"),)) for path in lacking[:1]]
    branches = [] if conditions.equal else _branches(conditions)
    wanted = [_parts(branch, query.sort, array_of) for branch in branches or [conditions]]
    lacking_keys = [
        parts.arranged(present)
        for parts in wanted
        if parts.would_narrow and not any(parts.is_served_by(index) for index in present)
    ]
    return [Suggestion(keys, _replaced(keys, present)) for keys in dict.fromkeys(lacking_keys)]


def _branches(conditions: Conditions) -> list[Conditions]:
    """Return the branches of the first disjunction of which indexes can narrow every one."""
    for branches in conditions.alternatives:
        if all(branch.paths - {"_id"} for branch in branches):
            own = Conditions(ranges=conditions.ranges)
            return [branch.joined(own) for branch in branches]
    return []


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of the one index for some conditions and an order."""

    equal: list[str]
    order: Sort
    ranges: list[str]

    @property
    def would_narrow(self) -> bool:
        """Whether such an index does more than that of the ids."""
        return bool(self.equal or self.ranges) or any(path != "_id" for path, _ in self.order)

    def is_served_by(self, index: Present) -> bool:
        """Return whether an index has these parts already."""
        first, after = index.keys[: len(self.equal)], index.keys[len(self.equal) :]
        if not index.is_whole or {path for path, _ in first} != set(self.equal):
            return False
        order, rest = after[: len(self.order)], after[len(self.order) :]
        return order in (self.order, _backward(self.order)) and set(self.ranges) <= {path for path, _ in rest}

    def arranged(self, present: Sequence[Present]) -> Keys:
        """Put the keys in order; where that is free, so that an index that is there can be replaced."""
        plain = [index for index in present if index.is_plain]
        begun = max((self._run(index) for index in plain), key=len, default=())
        rest = [(path, 1) for path in self.equal if path not in dict(begun)]
        ranges = [(path, 1) for path in self.ranges]
        ways: list[Keys] = [(*begun, *rest, *order, *ranges) for order in (self.order, _backward(self.order))]

        def extended(keys: Keys) -> int:
            return max((len(each.keys) for each in plain if keys[: len(each.keys)] == each.keys), default=0)

        return max(ways, key=extended)

    def _run(self, index: Present) -> Keys:
        """Return the leading keys of an index that are among those of equality."""
        return tuple(takewhile(lambda key: key[0] in self.equal, index.keys))


def _parts(conditions: Conditions, sort: Sort | None, array_of: ArrayOf) -> _Parts:
    """Sort out what an index can do: it holds one array at the most, and sorts by one under conditions."""
    equal = _beside(conditions.equal, set(), array_of)[:MAXIMUM_FIELDS]
    arrays = _arrays(equal, array_of)
    order = _order(conditions, sort, equal, arrays, array_of)
    arrays |= _arrays((path for path, _ in order), array_of)
    rest = [path for path in conditions.ranges if path not in equal and path not in dict(order)]
    ranges = _beside(rest, arrays, array_of)
    if ranges and [path for path, _ in order] == ["_id"]:
        order = ()  # that order is for pages alone, and what a range finds is soon sorted by it
    room = max(0, MAXIMUM_FIELDS - len(equal) - len(order))
    return _Parts(equal, order, ranges[:room])


def _order(
    conditions: Conditions, sort: Sort | None, equal: list[str], taken: set[str], array_of: ArrayOf
) -> Sort:
    """Return the part of the order that the index must have; none where no index gives that order."""
    arrays = _arrays((path for path, _ in sort or ()), array_of)
    if arrays & _arrays(conditions.paths, array_of) or len(arrays | taken) > 1:
        return ()
    return tuple((path, way) for path, way in sort or () if path not in equal)


def _beside(paths: Iterable[str], taken: set[str], array_of: ArrayOf) -> list[str]:
    """Return those paths that one index can hold together, beside the arrays that it has already."""
    chosen: list[str] = []
    for path in paths:
        if len(taken | _arrays([path, *chosen], array_of)) <= max(1, len(taken)):
            chosen.append(path)
    return chosen


def _arrays(paths: Iterable[str], array_of: ArrayOf) -> set[str]:
    return {array for path in paths if (array := array_of(path)) is not None}


def _backward(keys: Keys) -> Keys:
    return tuple((path, -way if isinstance(way, int) else way) for path, way in keys)


def _replaced(keys: Keys, present: Sequence[Present]) -> tuple[str, ...]:
    beginnings = {keys[:length] for length in range(1, len(keys) + 1)}
    beginnings |= set(map(_backward, beginnings))
    return tuple(index.name for index in present if index.is_plain and index.keys in beginnings)


_PARTIAL = ("partialFilterExpression", "sparse", "collation", "hidden", "wildcardProjection")
_SPECIAL = ("unique", "expireAfterSeconds")


def present_indexes(described: Mapping[str, Mapping[str, Any]]) -> list[Present]:
    """Read the driver's `index_information`."""
    return [_present(name, index) for name, index in described.items()]


def _present(name: str, index: Mapping[str, Any]) -> Present:
    keys = tuple((path, int(way) if isinstance(way, float) else way) for path, way in index["key"])
    is_whole = not any(index.get(option) for option in _PARTIAL)
    is_ordered = all(isinstance(way, int) for _, way in keys)
    is_special = name == "_id_" or any(option in index for option in _SPECIAL)
    return Present(name, keys, is_whole, is_plain=is_whole and is_ordered and not is_special)


def arrays_of(root: Field) -> ArrayOf:
    """Return a function from a path to the first name on it that may hold an array, by a schema's fields.

    What the schema does not say may be an array: two of those in one index would refuse documents.
    """

    def array_of(path: str) -> str | None:
        names = tuple(path.split("."))
        if names == ("_id",):
            return None
        for length in range(1, len(names) + 1):
            here = root.resolve(names[:length])
            if here is None or Kind.ARRAY in here.kinds:
                return ".".join(names[:length])
        return None

    return array_of


def written(keys: Keys, source: str) -> Any:
    """Write an index as a collection's definition takes it, or a class's `Settings.indexes`.

    >>> keys = (("category", 1), ("price", -1), ("_id", -1))
    >>> written(keys, "runtime")
    {'fields': ['category', '-price', '-id']}
    >>> written(keys, "code")
    "IndexModel([('category', 1), ('price', -1), ('_id', -1)])"
    >>> written((("at", "2dsphere"),), "runtime")
    {'geo': 'at'}
    """
    if source == "code":
        return f"IndexModel({list(keys)})"
    ((path, way), *_) = keys
    if way == "2dsphere":
        return {"geo": path}
    return {"fields": [_written(path, way) for path, way in keys]}


def _written(path: str, way: int | str) -> str:
    name = "id" if path == "_id" else path
    return f"-{name}" if way == -1 else name


def suggested_index(collection: Collection) -> ArrayOf:
    """Return the function of `arrays_of` for a collection."""
    return arrays_of(collection.description.schema.root)
