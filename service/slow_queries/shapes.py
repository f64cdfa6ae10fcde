"""The shape of a query: its filter and order without a value, so that it may be logged, and counted by."""

from service.query.mongo import shape_of
from service.slow_queries.commands import Query, Sort

LIMIT = 1000
"""Characters of a shape: a filter of a hundred conditions is told from another by its beginning."""


def of(query: Query) -> str:
    """Give the shape of a query.

    >>> of(Query("find", "films", {"year": {"$gte": 1999, "$lt": 2005}, "a": {"$eq": 1}}, (("title", -1),)))
    'find films {a: ?, year: {$gte: ?, $lt: ?}} sort -title'
    """
    order = "" if query.sort == () else f" sort {sort(query.sort)}"
    return f"{query.operation} {query.collection} {shape_of(query.where)}{order}"[:LIMIT]


def sort(keys: Sort | None) -> str:
    """Give an order as clients write it.

    >>> sort((("price", -1), ("_id", -1))), sort(None)
    ('-price,-_id', 'computed')
    """
    if keys is None:
        return "computed"
    return ",".join(f"-{path}" if direction < 0 else path for path, direction in keys)
