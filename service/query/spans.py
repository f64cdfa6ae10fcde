"""Conditions for what a document has at a path in a span of the order by which MongoDB sorts, across types.

A document has several values at a path where arrays are on the way. Each function gives filters of which one
holds when one of the values lies in the span; so no value does when none of the filters holds. Sources: the
comparison order of BSON types, and how index keys are made (what is missing is null; an array without
elements is less than null).
"""

import math
from collections.abc import Iterable
from datetime import datetime
from enum import IntEnum
from typing import Any
from uuid import UUID

from bson import Decimal128, MinKey, ObjectId, Timestamp
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS

from service.query.mongo import Filter

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
    """Give the type of a value as the driver reads it; OTHER for those that nothing can be compared with.

    >>> rank(True), rank(None), rank(EMPTY)
    (<Rank.BOOLEAN: 9>, <Rank.NULL: 2>, <Rank.EMPTY: 1>)
    """
    return next((found for types, found in _RANKS if isinstance(value, types)), Rank.OTHER)


def below(path: str, value: Any, *, or_equal: bool = False) -> list[Filter]:
    """Give filters of which one holds when a value at the path is less, or equal.

    >>> below("a", "x")[-1], below("a", 7, or_equal=True)[-2:]
    ({'a': {'$lt': 'x'}}, [{'a': {'$lte': 7}}, {'a': {'$eq': nan}}])
    """
    own = rank(value)
    lower = [found for other in Rank if other < own for found in _whole(path, other)]
    return lower + _compared(path, value, "$lte" if or_equal else "$lt")


def above(path: str, value: Any, *, or_equal: bool = False) -> list[Filter]:
    """Give filters of which one holds when a value at the path is greater, or equal."""
    own = rank(value)
    higher = [found for other in Rank if other > own for found in _whole(path, other)]
    return higher + _compared(path, value, "$gte" if or_equal else "$gt")


def equal(path: str, value: Any) -> list[Filter]:
    """Give filters of which one holds when a value at the path is equal.

    >>> equal("a.b", None)[1:]
    [{'a': {'$size': 0}}, {'a': {'$elemMatch': {'$not': {'$type': 'object'}}}}]
    """
    return _compared(path, value, "$eq")


def none_of(filters: Iterable[Filter]) -> list[Filter]:
    """Give the negations of filters with one condition each, in the form that becomes bounds of an index."""
    return [{path: {"$not": condition}} for each in filters for path, condition in each.items()]


def is_served(path: str, one: Filter) -> bool:
    """Tell whether an index on the path finds quickly what fulfils a filter of this module."""
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
