"""Commands of MongoDB, as far as a slow one matters: what it looks for, in which order, how to explain it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Filter = Mapping[str, Any]
Sort = tuple[tuple[str, int], ...]

READS = ("find", "aggregate", "count", "distinct")
CHANGES = ("update", "delete", "findAndModify")

_STATEMENTS = {"update": "updates", "delete": "deletes"}
_KEPT = frozenset(
    {
        *("find", "filter", "sort", "projection", "skip", "limit", "batchSize", "singleBatch", "hint"),
        *("collation", "let", "allowDiskUse"),
        *("aggregate", "pipeline", "cursor"),
        *("count", "distinct", "key", "query"),
        *("update", "updates", "delete", "deletes"),
        *("findAndModify", "remove", "new", "upsert", "fields", "arrayFilters"),
    }
)
"""Members of a command that its plan may depend on, or that it cannot be without: no session."""


@dataclass(frozen=True, slots=True)
class Query:
    """One command: what it does to which collection, which documents it is for, and in which order.

    `sort` is empty where no order is asked for, None where it is one that no index gives.
    `explained` is what `explain` takes, None for what has no plan.
    """

    operation: str
    collection: str
    where: Filter = field(default_factory=dict)
    sort: Sort | None = ()
    explained: Mapping[str, Any] | None = None

    @property
    def is_read(self) -> bool:
        """Tell whether it may be run again to count what it examines."""
        return self.operation in READS


def read(command: Mapping[str, Any]) -> Query | None:
    """Give what a command is for; None for one that is not for the documents of one collection.

    >>> read({"find": "films", "filter": {"year": 1999}, "sort": {"title": 1}, "lsid": 1})
    ... # doctest: +NORMALIZE_WHITESPACE
    Query(operation='find', collection='films', where={'year': 1999}, sort=(('title', 1),),
          explained={'find': 'films', 'filter': {'year': 1999}, 'sort': {'title': 1}})
    >>> read({"ping": 1}), read({"aggregate": "films", "pipeline": [{"$changeStream": {}}]})
    (None, None)
    """
    operation = next(iter(command), "")
    collection = command.get(operation)
    if not isinstance(collection, str):
        return None
    if operation == "insert":
        return Query(operation, collection)
    if operation not in (*READS, *CHANGES):
        return None
    explained = {name: value for name, value in command.items() if name in _KEPT}
    if operation == "aggregate":
        return _aggregation(collection, explained)
    if operation in _STATEMENTS:
        return _statement(operation, collection, explained)
    where = command.get("filter") or command.get("query") or {}
    return Query(operation, collection, where, _sort(command.get("sort")), explained)


def _aggregation(collection: str, explained: dict[str, Any]) -> Query | None:
    """Give the query that a pipeline begins with, as far as an index can serve it."""
    pipeline: Sequence[Mapping[str, Any]] = explained.get("pipeline") or ()
    wheres: list[Filter] = []
    sort: Sort | None = ()
    for stage in pipeline:
        (name, body), *_ = stage.items()
        if name == "$changeStream":
            return None
        if name == "$match" and not sort:
            wheres.append(body)
        elif name == "$sort":
            sort = _sort(body)
            break
        else:
            break
    where = wheres[0] if len(wheres) == 1 else {"$and": wheres} if wheres else {}
    return Query("aggregate", collection, where, sort, {**explained, "cursor": {}})


def _statement(operation: str, collection: str, explained: dict[str, Any]) -> Query:
    """Give the first of several changes: those that are sent together are alike."""
    first: Mapping[str, Any] = next(iter(explained.get(_STATEMENTS[operation]) or ()), {})
    return Query(operation, collection, first.get("q", {}), (), explained | {_STATEMENTS[operation]: [first]})


def _sort(sort: Any) -> Sort | None:
    if not sort:
        return ()
    keys = tuple(sort.items() if isinstance(sort, Mapping) else sort)
    return keys if all(direction in (1, -1) for _, direction in keys) else None
