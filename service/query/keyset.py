"""Going on from a place in an order: filters for the documents after it, or before it.

A document's value to sort by is, of several at the path, the least, or the greatest where the order descends.
So what comes after a place in ascending order has no value that is less or equal, whatever its types. Written
as negations of comparisons, that is exact for arrays too, and an index on the fields finds it at once.
"""

from dataclasses import dataclass
from itertools import combinations, takewhile
from typing import Any, TypeAlias

from service.query.fields import Field
from service.query.kinds import Kind
from service.query.lists import SortKey
from service.query.mongo import Filter, sort_keys
from service.query.spans import Rank, above, below, equal, is_served, none_of, rank
from service.query.tree import Path

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
        """Tell whether the id alone makes the order."""
        return len(self.keys) == 1 and self.keys[0][0] == "_id"

    def reversed(self) -> Keys:
        """Give the opposite directions, which for arrays is not the opposite order."""
        return [(path, -direction) for path, direction in self.keys]


def order_of(sort: tuple[SortKey, ...], root: Field) -> Order:
    """Give the order of a list of documents with these fields; it always ends in the id."""
    keys = sort_keys(sort)
    paths = [tuple(path.split(".")) for path, _ in keys]
    has_places = not any(name.isdecimal() for path in paths for name in path) and not any(
        _may_hold_arrays(_common(one, other), root) for one, other in combinations(paths, 2)
    )
    return Order(keys, tuple(_may_hold_arrays(path, root) for path in paths), has_places)


def place(values: list[Any], *, is_backward: bool) -> Place | None:
    """Give the place of a document's values, None when one is of a type that nothing is compared with."""
    if Rank.OTHER in map(rank, values):
        return None
    return Place(tuple(values), is_backward)


def beyond(order: Order, values: tuple[Any, ...]) -> Filter:
    """Give the filter for all that comes after the document with these values.

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
    """Give the filter for all that comes before the document with these values.

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
    return (below if direction > 0 else above)(path, value, or_equal=or_equal)


def _tied(key: tuple[str, int], value: Any, *, may_hold_arrays: bool) -> Filter:
    """Give the filter for documents of which this is the value to sort by."""
    path, direction = key
    same = equal(path, value)
    if value is None and direction > 0 and not may_hold_arrays:
        # The other ways to have a null need no array, and then there is nothing but null.
        same = [each for each in same if is_served(path, each)]
        same += [_all(none_of(above(path, None)))] if "." in path else []
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
