"""Commands of MongoDB, as far as a slow one matters: what a call sends, what it looks for, its shape."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from service.query.mongo import shape_of as filter_shape
from service.storage.commands import Find
from service.storage.pages import Reader

Filter = Mapping[str, Any]
Sort = tuple[tuple[str, int], ...]

READS = ("find", "aggregate", "count", "distinct")
CHANGES = ("update", "delete", "findAndModify")

SHAPE_CHARACTERS = 1000
"""Characters of a shape: the beginning is enough to tell long filters apart."""

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
        """Whether it may be run again to count what it examines."""
        return self.operation in READS


def read(command: Mapping[str, Any]) -> Query | None:
    """Read what a command is for; None for one that is not for the documents of one collection.

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
    """Return the query that a pipeline begins with, as far as an index can serve it."""
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
    """Return the first of several changes: those that are sent together are alike."""
    first: Mapping[str, Any] = next(iter(explained.get(_STATEMENTS[operation]) or ()), {})
    return Query(operation, collection, first.get("q", {}), (), explained | {_STATEMENTS[operation]: [first]})


def _sort(sort: Any) -> Sort | None:
    if not sort:
        return ()
    keys = tuple(sort.items() if isinstance(sort, Mapping) else sort)
    return keys if all(direction in (1, -1) for _, direction in keys) else None


Command = Mapping[str, Any]


def command_of(subject: Any) -> Command | None:
    """Return the command of a call in the threads of the driver; None where it does not say.

    It is a command already, a query, a part of a list, or a method of the driver's
    collection with its arguments.
    """
    if isinstance(subject, Mapping):
        return subject
    if not isinstance(subject, partial):
        return None
    find = next((each for each in subject.args if isinstance(each, Find)), None)
    if find is not None:
        return find.command()
    owner = getattr(subject.func, "__self__", None)
    if isinstance(owner, Reader):
        return _of_list(owner)
    return _of_method(subject)


def _of_list(reader: Reader) -> Command:
    """Return the query of a list's first page: those after it differ in where they begin."""
    plan = reader.plan
    projection = {} if plan.projection is None else {"projection": plan.projection}
    return {
        "find": plan.collection,
        "filter": plan.condition(),
        "sort": dict(plan.order.keys),
        "limit": plan.limit + 1,
        **projection,
    }


def _of_method(call: "partial[Any]") -> Command | None:
    """Return the command that a method of the driver's collection sends, or a function of ours like it.

    Such a function is given the collection first.
    """
    owner = getattr(call.func, "__self__", None)
    documents, *arguments = (*call.args, None) if owner is None else (owner, *call.args)
    name, form = getattr(documents, "name", None), _FORMS.get(call.func.__name__)
    where = arguments[0] if arguments and isinstance(arguments[0], Mapping) else {}
    return None if form is None or not isinstance(name, str) else form(name, where)


def _find(name: str, where: Command) -> Command:
    return {"find": name, "filter": where, "limit": 1}


def _update(name: str, where: Command) -> Command:
    return {"update": name, "updates": [{"q": where, "u": {"$set": {}}}]}


def _delete(name: str, where: Command) -> Command:
    return {"delete": name, "deletes": [{"q": where, "limit": 1}]}


def _count(name: str, where: Command) -> Command:
    return {"count": name, "query": where}


_FORMS: Mapping[str, Callable[[str, Command], Command]] = {
    "_counted": _count,
    "count_documents": _count,
    "find_one": _find,
    "find_one_and_delete": _delete,
    "replace_one": _update,
    "update_one": _update,
}


def shape_of(query: Query) -> str:
    """Return the shape of a query: its filter and order without a value, for logs and counts.

    >>> where = {"year": {"$gte": 1999, "$lt": 2005}, "a": {"$eq": 1}}
    >>> shape_of(Query("find", "films", where, (("title", -1),)))
    'find films {a: ?, year: {$gte: ?, $lt: ?}} sort -title'
    """
    order = "" if query.sort == () else f" sort {written_sort(query.sort)}"
    return f"{query.operation} {query.collection} {filter_shape(query.where)}{order}"[:SHAPE_CHARACTERS]


def written_sort(keys: Sort | None) -> str:
    """Return an order as clients write it.

    >>> written_sort((("price", -1), ("_id", -1))), written_sort(None)
    ('-price,-_id', 'computed')
    """
    if keys is None:
        return "computed"
    return ",".join(f"-{path}" if direction < 0 else path for path, direction in keys)
