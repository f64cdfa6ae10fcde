"""Going on from a place in an order: filters for the documents after it, or before it.

A document's value to sort by is, of several at the path, the least, or the greatest where the order descends.
So what comes after a place in ascending order has no value that is less or equal, whatever its types. Written
as negations of comparisons, that is exact for arrays too, and an index on the fields finds it at once.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from itertools import combinations, takewhile
from typing import Any, TypeAlias
from uuid import UUID

from bson import Decimal128, MinKey, ObjectId, Timestamp
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS

from service.query.fields import Field
from service.query.kinds import Kind
from service.query.mongo import Filter, sort_keys
from service.query.tree import Path, SortKey

EMPTY = MinKey()
"""Stands for an array without elements as a value to sort by, which the driver would read as null."""


class Rank(IntEnum):
    """The types in their order; all numbers are one."""

    LEAST = 0
    EMPTY = 1
    NULL = 2
    NUMBER = 3
    STRING = 4
    OBJECT = 5
    ARRAY = 6
    BINARY = 7
    OBJECT_ID = 8
    BOOLEAN = 9
    DATE = 10
    TIMESTAMP = 11
    OTHER = 12


_NAN = {"$eq": math.nan}
_WHOLE: dict[Rank, tuple[Filter, ...]] = {
    Rank.LEAST: ({"$type": "minKey"},),
    Rank.EMPTY: ({"$size": 0},),
    # Comparisons with the least value of a type, not `$type`: negated, only they become bounds of an index.
    Rank.NUMBER: ({"$gte": -math.inf}, _NAN),
    Rank.STRING: ({"$gte": ""},),
    Rank.OBJECT: ({"$gte": {}},),
    Rank.ARRAY: ({"$elemMatch": {"$type": "array"}},),
    Rank.BINARY: ({"$gte": Binary(b"")},),
    Rank.OBJECT_ID: ({"$gte": ObjectId(bytes(12))},),
    Rank.BOOLEAN: ({"$gte": False},),
    Rank.DATE: ({"$gte": DatetimeMS(-(2**63))},),
    Rank.TIMESTAMP: ({"$gte": Timestamp(0, 0)},),
    Rank.OTHER: ({"$type": ["regex", "dbPointer", "javascript", "javascriptWithScope", "maxKey"]},),
}
_RANKS: tuple[tuple[tuple[type, ...], Rank], ...] = (
    ((MinKey,), Rank.EMPTY),
    ((type(None),), Rank.NULL),
    ((bool,), Rank.BOOLEAN),  # before int, which it is too
    ((int, float, Decimal128), Rank.NUMBER),
    ((str,), Rank.STRING),
    ((dict,), Rank.OBJECT),
    ((list,), Rank.ARRAY),
    ((bytes, UUID), Rank.BINARY),
    ((ObjectId,), Rank.OBJECT_ID),
    ((datetime, DatetimeMS), Rank.DATE),
    ((Timestamp,), Rank.TIMESTAMP),
)


def rank(value: Any) -> Rank:
    """Return the type of a value as the driver reads it; OTHER for those that nothing can be compared with.

    >>> rank(True), rank(None), rank(EMPTY)
    (<Rank.BOOLEAN: 9>, <Rank.NULL: 2>, <Rank.EMPTY: 1>)
    """
    return next((found for types, found in _RANKS if isinstance(value, types)), Rank.OTHER)


def below_value(path: str, value: Any, *, or_equal: bool = False) -> list[Filter]:
    """Return filters of which one holds when a value at the path is less, or equal.

    >>> below_value("a", "x")[-1], below_value("a", 7, or_equal=True)[-2:]
    ({'a': {'$lt': 'x'}}, [{'a': {'$lte': 7}}, {'a': {'$eq': nan}}])
    """
    own = rank(value)
    lower = [found for other in Rank if other < own for found in _whole(path, other)]
    return lower + _compared(path, value, "$lte" if or_equal else "$lt")


def above_value(path: str, value: Any, *, or_equal: bool = False) -> list[Filter]:
    """Return filters of which one holds when a value at the path is greater, or equal."""
    own = rank(value)
    higher = [found for other in Rank if other > own for found in _whole(path, other)]
    return higher + _compared(path, value, "$gte" if or_equal else "$gt")


def equal_value(path: str, value: Any) -> list[Filter]:
    """Return filters of which one holds when a value at the path is equal.

    >>> equal_value("a.b", None)[1:]
    [{'a': {'$size': 0}}, {'a': {'$elemMatch': {'$not': {'$type': 'object'}}}}]
    """
    return _compared(path, value, "$eq")


def none_of(filters: Iterable[Filter]) -> list[Filter]:
    """Return the negations of one-condition filters in the form that MongoDB turns into index bounds."""
    return [{path: {"$not": condition}} for each in filters for path, condition in each.items()]


def is_served(path: str, one: Filter) -> bool:
    """Return whether an index on the path finds quickly what fulfils a filter of this module."""
    return path in one and not one[path].keys() & {"$size", "$elemMatch"}


def _whole(path: str, which: Rank) -> list[Filter]:
    if which is Rank.NULL:
        return _nulls(path)
    return [{path: condition} for condition in _WHOLE[which]]


def _nulls(path: str) -> list[Filter]:
    """Also what has no members, and so none of that name: elements that are no objects, empty arrays."""
    found: list[Filter] = [{path: {"$eq": None}}]
    names = path.split(".")
    for length in range(1, len(names)):
        prefix = ".".join(names[:length])
        found += [{prefix: {"$size": 0}}, {prefix: {"$elemMatch": {"$not": {"$type": "object"}}}}]
    return found


def _compared(path: str, value: Any, operator: str) -> list[Filter]:
    own = rank(value)
    if own <= Rank.NULL:
        return _whole(path, own) if operator in {"$eq", "$lte", "$gte"} else []
    if own is Rank.ARRAY:
        return [{path: {"$elemMatch": {operator: value}}}]
    if own is Rank.NUMBER:
        return [{path: condition} for condition in _numbers(value, operator)]
    return [{path: {operator: value}}]


def _numbers(value: Any, operator: str) -> list[Filter]:
    """Compare a number: NaN is less than all others, and equal to itself, in order though not in filters."""
    is_nan = value.to_decimal().is_nan() if isinstance(value, Decimal128) else math.isnan(value)
    if not is_nan:
        return [{operator: value}] + ([_NAN] if operator in {"$lt", "$lte"} else [])
    return {
        "$eq": [_NAN],
        "$lte": [_NAN],
        "$lt": [],
        "$gt": [{"$gte": -math.inf}],
        "$gte": [{"$gte": -math.inf}, _NAN],
    }[operator]


Keys: TypeAlias = list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: beyond a document with these values to sort by, its id last.

    Without values it begins at the first document or, backward, at the last.
    """

    values: tuple[Any, ...] | None = None
    is_backward: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """A list's order, as the driver takes it, and whether a document may have several values for a key.

    `has_places` tells whether one can go on from a place in it. That is not so where a name may be an array's
    position; nor for two members of objects in one array, by which a document is sorted as pairs.
    """

    keys: Keys
    may_hold_arrays: tuple[bool, ...]
    has_places: bool

    @property
    def is_by_id(self) -> bool:
        """Return whether the id alone makes the order."""
        return len(self.keys) == 1 and self.keys[0][0] == "_id"

    def reversed(self) -> Keys:
        """Return the opposite directions, which for arrays is not the opposite order."""
        return [(path, -direction) for path, direction in self.keys]


BY_ID = Order([("_id", 1)], may_hold_arrays=(False,), has_places=True)
"""The order of a list that names none."""


def order_of(sort: tuple[SortKey, ...], root: Field) -> Order:
    """Return the order of a list of documents with these fields; it always ends in the id."""
    keys = sort_keys(sort)
    paths = [tuple(path.split(".")) for path, _ in keys]
    has_places = not any(name.isdecimal() for path in paths for name in path) and not any(
        _may_hold_arrays(_common(one, other), root) for one, other in combinations(paths, 2)
    )
    return Order(keys, tuple(_may_hold_arrays(path, root) for path in paths), has_places)


def place(values: list[Any], *, is_backward: bool) -> Place | None:
    """Return the place of a document's values, None when one is of a type that nothing is compared with."""
    if Rank.OTHER in map(rank, values):
        return None
    return Place(tuple(values), is_backward)


def beyond(order: Order, values: tuple[Any, ...]) -> Filter:
    """Return the filter for all that comes after the document with these values.

    >>> from service.query.fields import Field
    >>> from bson import ObjectId
    >>> list(beyond(order_of((SortKey(("price",)),), Field()), (7, ObjectId())))
    ['$or']
    """
    branches: list[Filter] = []
    tied: list[Filter] = []
    for key, value, may_hold in zip(order.keys, values, order.may_hold_arrays, strict=True):
        branches.append(_all([*tied, *none_of(_before(key, value, or_equal=True))]))
        tied.append(_tied(key, value, may_hold_arrays=may_hold))
    return _any(branches)


def before(order: Order, values: tuple[Any, ...], *, is_exact: bool) -> Filter:
    """Return the filter for all that comes before the document with these values.

    What is not exact is found quickly by an index. It is right where there are no arrays, and still finds
    documents that hold some, unless what makes them come before is neither a simple value nor null.
    """
    branches: list[Filter] = []
    tied: list[Filter] = []
    for key, value, may_hold in zip(order.keys, values, order.may_hold_arrays, strict=True):
        path, direction = key
        earlier = _before(key, value)
        if path == "_id" or not is_exact:
            branches.append(_all([*tied, *none_of(_before((path, -direction), value, or_equal=True))]))
        if path != "_id":
            earlier = earlier if is_exact else [each for each in earlier if is_served(path, each)]
            branches.append(_all([*tied, _any(earlier)]))
            tied.append(_tied(key, value, may_hold_arrays=may_hold))
    return _any(branches)


def _before(key: tuple[str, int], value: Any, *, or_equal: bool = False) -> list[Filter]:
    path, direction = key
    return (below_value if direction > 0 else above_value)(path, value, or_equal=or_equal)


def _tied(key: tuple[str, int], value: Any, *, may_hold_arrays: bool) -> Filter:
    """Return the filter for documents of which this is the value to sort by."""
    path, direction = key
    same = equal_value(path, value)
    if value is None and direction > 0 and not may_hold_arrays:
        # The other ways to have a null need no array, and then there is nothing but null.
        same = [each for each in same if is_served(path, each)]
        same += [_all(none_of(above_value(path, None)))] if "." in path else []
    return _all([_any(same), *none_of(_before(key, value))])


def _may_hold_arrays(path: Path, root: Field) -> bool:
    if path == ("_id",):
        return False
    fields = [root.resolve(path[:length]) for length in range(1, len(path) + 1)]
    return any(field is None or Kind.ARRAY in field.kinds for field in fields)


def _common(one: Path, other: Path) -> Path:
    pairs = zip(one, other, strict=False)
    return tuple(name for name, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _all(filters: list[Filter]) -> Filter:
    return filters[0] if len(filters) == 1 else {"$and": filters}


def _any(filters: list[Filter]) -> Filter:
    return filters[0] if len(filters) == 1 else {"$or": filters}
