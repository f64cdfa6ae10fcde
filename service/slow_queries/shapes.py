"""The shape of a query: its filter and order without a value, so that it may be logged, and counted by."""

from collections.abc import Iterable, Mapping
from typing import Any

from service.slow_queries.commands import Query, Sort

VALUE = "?"
LIMIT = 1000
"""Characters of a shape: a filter of a hundred conditions is told from another by its beginning."""


def of(query: Query) -> str:
    """Give the shape of a query.

    >>> of(Query("find", "films", {"year": {"$gte": 1999, "$lt": 2005}, "a": {"$eq": 1}}, (("title", -1),)))
    'find films {a: ?, year: {$gte: ?, $lt: ?}} sort -title'
    """
    order = "" if query.sort == () else f" sort {sort(query.sort)}"
    return f"{query.operation} {query.collection} {where(query.where)}{order}"[:LIMIT]


def where(condition: Any) -> str:
    """Give a filter without its values; alternatives that are alike are there once.

    >>> where({"$or": [{"a": {"$in": [1, 2]}}, {"a": {"$in": [3]}}], "b": [1]})
    '{$or: [{a: {$in: ?}}], b: ?}'
    """
    if isinstance(condition, Mapping):
        if set(condition) == {"$eq"}:
            return VALUE
        return "{" + ", ".join(sorted(_members(condition))) + "}"
    return VALUE


def sort(keys: Sort | None) -> str:
    """Give an order as clients write it.

    >>> sort((("price", -1), ("_id", -1))), sort(None)
    ('-price,-_id', 'computed')
    """
    if keys is None:
        return "computed"
    return ",".join(f"-{path}" if direction < 0 else path for path, direction in keys)


def _members(condition: Mapping[str, Any]) -> Iterable[str]:
    for name, value in condition.items():
        if name in {"$and", "$or", "$nor"} and isinstance(value, list):
            yield f"{name}: [{', '.join(dict.fromkeys(map(where, value)))}]"
        elif isinstance(value, Mapping) and (name == "$elemMatch" or _is_condition(value)):
            yield f"{name}: {where(value)}"
        else:
            yield f"{name}: {VALUE}"


def _is_condition(value: Mapping[str, Any]) -> bool:
    """Tell conditions from a value that is an object, and from what regions and texts are made of."""
    return bool(value) and all(name.startswith("$") for name in value) and not value.keys() & _OPAQUE


_OPAQUE = frozenset({"$geometry", "$search", "$centerSphere", "$box", "$polygon", "$center", "$expr"})
