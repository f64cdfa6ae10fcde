"""Reading documents: one by id, many by query; always narrowed by the collection's rule."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import bson
from pymongo.errors import OperationFailure

from service.access.decisions import Decision
from service.access.principals import Principal
from service.access.rules import Verb
from service.collections.registry import FAST_CODEC, Collection
from service.documents import narrowing
from service.documents.access import Access
from service.kit.errors import (
    DocumentNotFound,
    ParameterInvalid,
    Violation,
)
from service.query import ListQuery, Node, conjoin, projection, to_mongo
from service.query.changes import ChangeQuery
from service.query.cursors import Cursors, list_id
from service.query.fields import Field
from service.query.keyset import Order, Place, order_of
from service.query.search import best_first, unsearchable
from service.storage import counting
from service.storage.codes import AMBIGUOUS_SORT, BAD_VALUE, INDEX_NOT_FOUND
from service.storage.counting import Total
from service.storage.database import calls_of
from service.storage.finds import Find
from service.storage.joining import JoinedLists
from service.storage.joining.joined import Told
from service.storage.pages import Reader, Slice
from service.storage.transactions import delegate_session, session

Stored = bytes | dict[str, Any]
"""A stored document, in BSON as MongoDB has it, or decoded."""


@dataclass(slots=True)  # not frozen, which takes four times as long to make
class Page:
    """A part of a list: documents as they are stored, and what is known of the others.

    `number` is None for a page that a cursor led to. `following` and `previous` are the cursors of the pages
    beside it, None where there is none, or none is known.
    """

    stored: Sequence[Stored]
    limit: int
    has_more: bool
    number: int | None = None
    following: str | None = None
    previous: str | None = None
    total: Total | None = None

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The stored documents; raises InvalidBSON."""
        return list(self.decoded())

    def decoded(self) -> Iterator[dict[str, Any]]:
        """Give one stored document after the other; raises InvalidBSON."""
        return map(decoded, self.stored)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a list is read, the list's own name, and the one query for the first part that was asked for."""

    reader: Reader
    list_id: bytes
    told: Told
    find: Find | None


def decide(collection: Collection, principal: Principal, verb: Verb) -> Decision:
    """Decide what a caller may do by a verb."""
    return Access(collection, principal).decide(verb)


def permit(collection: Collection, principal: Principal, verb: Verb) -> Decision:
    """Return the decision on a verb that a caller may use; raises SignInRequired or Forbidden."""
    return Access(collection, principal).permit(verb)


def selector(document_id: Any, where: Node | None) -> dict[str, Any]:
    """Give the MongoDB filter for one document, if the rule lets it be seen."""
    by_id: dict[str, Any] = {"_id": document_id}
    return by_id if where is None else {"$and": [by_id, to_mongo(where)]}


def narrowed(collection: Collection, decision: Decision, query: ListQuery | ChangeQuery) -> Node | None:
    """Give the condition on the documents that a query is for: its own, and that of the rule.

    Only those grants are left that show all that the query asks about (`narrowing.admitting`); raises
    ParameterInvalid without any.
    """
    return conjoin(narrowing.admitting(collection, decision, query).where, query.where)


async def get(collection: Collection, principal: Principal, document_id: Any) -> dict[str, Any]:
    """Read one stored document; raises DocumentNotFound when it is absent or hidden by the rule."""
    stored = await get_under(collection, permit(collection, principal, "get"), document_id)
    return decoded(stored)


async def get_under(collection: Collection, decision: Decision, document_id: Any) -> Stored:
    """Read one stored document under a decision, whole; raises DocumentNotFound."""
    where = decision.where
    document: Stored | None
    if where is None and session() is None:
        document = await collection.joined_reads.get_raw(document_id)
    else:
        document = await find_one(collection, selector(document_id, where))
    if document is None:
        raise DocumentNotFound
    return document


def decoded(stored: Stored) -> dict[str, Any]:
    """Give the members of a stored document; raises InvalidBSON."""
    if isinstance(stored, dict):
        return stored
    document: dict[str, Any] = bson.decode(stored, codec_options=FAST_CODEC)
    return document


async def find_one(collection: Collection, criteria: dict[str, Any]) -> dict[str, Any] | None:
    """Read the one stored document that fulfils the driver's filter, None when there is none."""
    find = partial(collection.documents.delegate.find_one, criteria, session=delegate_session())
    found: dict[str, Any] | None = await calls_of(collection.documents).quick.run(find)
    return found


async def find(
    collection: Collection, principal: Principal, query: ListQuery, cursors: Cursors | None = None
) -> Page:
    """Read one page of the documents that a caller may list; raises what `find_under` and `permit` raise."""
    return await find_under(collection, permit(collection, principal, "list"), query, cursors)


async def find_under(
    collection: Collection,
    decision: Decision,
    query: ListQuery,
    cursors: Cursors | None = None,
    known: Plan | None = None,
) -> Page:
    """Read one page of stored documents: by its number, or by its cursor, which needs `cursors`.

    `known` is the plan of the query itself, if somebody has it, for where the decision does not narrow it.
    Raises ParameterInvalid for a cursor of another list, for `q` without a text index, for an order that the
    documents do not have, for an exact count that takes too long, for what no grant of the decision shows.
    """
    where = narrowed(collection, decision, query)
    found = known if known is not None and where is query.where else plan(collection, where, query)
    name = found.list_id
    try:
        part, total = await _part_and_total(found, _place(cursors, name, query), query)
    except OperationFailure as error:
        raise _refusal(narrowing.root(collection, decision), query, error) from None
    return Page(
        stored=part.documents,
        limit=query.limit,
        has_more=part.has_more,
        number=query.page if query.cursor is None else None,
        following=_cursor(cursors, name, part.following),
        previous=_cursor(cursors, name, part.previous),
        total=total,
    )


def plan(collection: Collection, where: Node | None, query: ListQuery) -> Plan:
    """Give how the documents of a query are read that also fulfil `where`."""
    reader = Reader(
        collection.documents,
        {} if where is None else to_mongo(where),
        _order(collection, query),
        query.limit,
        projection(query.selection),
        query.search,
    )
    return Plan(
        reader,
        list_id(f"{collection.name} {collection.uid}", query),
        Told.of("find", collection.documents),
        reader.find(None, query.skip) if query.cursor is None else None,
    )


def _order(collection: Collection, query: ListQuery) -> Order:
    if query.search is not None and not query.sort:
        return Order(best_first(), may_hold_arrays=(), has_places=False)
    return order_of(query.sort, collection.description.schema.root)


def _place(cursors: Cursors | None, name: bytes, query: ListQuery) -> Place | None:
    if query.cursor is None:
        return None
    if cursors is None:
        raise ValueError("a cursor is read by those who wrote it")
    return cursors.read(name, query.cursor)


def _cursor(cursors: Cursors | None, name: bytes, place: Place | None) -> str | None:
    return None if cursors is None or place is None else cursors.write(name, place)


async def _part_and_total(
    found: Plan, place: Place | None, query: ListQuery
) -> tuple[Slice[Any], Total | None]:
    """Read and count at the same time, but not in a transaction, which does one thing after the other."""
    if query.count is None:
        return await _read(found, place, query.skip), None
    reader = found.reader
    if session() is not None:
        part = await _read(found, place, query.skip)
        total = await counting.total(reader.documents, reader.narrowed(), query.count)
    else:
        tasks = (
            asyncio.ensure_future(_read(found, place, query.skip)),
            asyncio.ensure_future(counting.total(reader.documents, reader.narrowed(), query.count)),
        )
        try:
            part, total = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
    if total is None and query.count == "exact":
        raise counting.too_slow()
    if total is None:
        before = query.skip if part.documents else 0
        total = Total(before + len(part.documents) + part.has_more, "at_least")
    return part, total


async def _read(found: Plan, place: Place | None, skip: int) -> Slice[Any]:
    """Read a part of a list in a thread; together with others, outside of transactions."""
    reader = found.reader
    calls = calls_of(reader.documents)
    if session() is None:
        find = found.find if place is None else reader.find(place, skip)
        if find is not None:
            raw = await calls.once(JoinedLists).read(find, found.told)
            part = reader.sliced(raw, place)
            if part is not None:
                return part
    lane = calls.lists if reader.search is None else calls.scans
    read = partial(reader.read, place, skip)
    key = reader.key(place, skip) if session() is None else None
    if key is None:
        return await lane.run(read)
    return await lane.share((reader.documents.full_name, key), read)


def _refusal(fields: Field, query: ListQuery, error: OperationFailure) -> Exception:
    """Give our failure for the things in a parsed query that MongoDB alone can know to be wrong."""
    if error.code == BAD_VALUE and len(query.sort) > 1:
        detail = "two of the fields to sort by hold arrays in one document"
        return ParameterInvalid(detail, errors=[Violation(detail, "parallel_arrays", parameter="sort")])
    if error.code == AMBIGUOUS_SORT and query.sort:
        detail = "a number in a path to sort by is both an array's position and a name in one of its elements"
        return ParameterInvalid(detail, errors=[Violation(detail, "ambiguous", parameter="sort")])
    is_without_search = error.code == BAD_VALUE and query.search is not None  # the substitute's answer
    if error.code == INDEX_NOT_FOUND or is_without_search:
        return unsearchable(fields)
    return error
