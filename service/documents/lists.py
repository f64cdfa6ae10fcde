"""Lists of documents, stage by stage: parsed, planned, executed; `rendering.page` writes them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote_to_bytes

from service.collections.registry import Collection
from service.documents import visibility
from service.documents.access import Access
from service.documents.expanding import References, ViewPlan, view_plan
from service.kit.errors import ParameterInvalid, Violation
from service.kit.lru import LruTable
from service.query import ListQuery, parse_list, parse_query
from service.query.cursors import Cursors
from service.query.fields import Field
from service.query.limits import MAXIMUM_CURSOR_CHARACTERS
from service.query.mongo import unsearchable
from service.query.parameters import read_parameters, repeated
from service.storage.pages import Slice, Total
from service.storage.plans import ReadPlan, ReadRefused, plan_list
from service.storage.store import Stored, decoded

MAXIMUM_KNOWN = 2048
"""Lists that a worker's cache holds."""

MAXIMUM_BYTES = 512
"""Of the query of a list that is cached."""


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A list that a client asks for, parsed, and planned as far as it is the same for all.

    `plan` reads the page of `query` where no rule narrows it and no cursor leads elsewhere; `list_id` names
    the list for cursors, and `repeated` is what the URLs of all its pages have in common.
    """

    query: ListQuery
    plan: ReadPlan
    list_id: bytes
    shown: ViewPlan
    repeated: str = ""


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
        """Iterate over the stored documents; raises InvalidBSON."""
        return map(decoded, self.stored)


# --- parse


def parse(access: Access, references: References, query_string: bytes) -> ListRequest:
    """Read the query of a list's URL.

    Raises RequestInvalid, ParameterInvalid, and what `references` raise.
    """
    parameters = read_parameters(query_string)
    fields = visibility.fields_of(access.collection, access.permit("list"))
    query = parse_list(parameters, fields, references.fields_of)
    return _request(access, references, query, repeated(parameters))


def parse_body(access: Access, references: References, body: Any) -> ListRequest:
    """Read a query that is a body; raises ParameterInvalid, and what `references` raise."""
    fields = visibility.fields_of(access.collection, access.permit("list"))
    return _request(access, references, parse_query(body, fields, references.fields_of))


def _request(
    access: Access, references: References, query: ListQuery, repeated_parameters: str = ""
) -> ListRequest:
    collection, decision = access.collection, access.permit("list")
    shown = view_plan(references, visibility.fields_of(collection, decision), query)
    # Where there are masks whole documents are read: which of them holds may depend on any member.
    selection = shown.to_read() if decision.shows_all else None
    to_read = query if selection is query.selection else replace(query, selection=selection)
    plan = plan_list(collection.name, collection.description.schema.root, to_read)
    return ListRequest(query, plan, plan.list_id(_identity(collection)), shown, repeated_parameters)


def _identity(collection: Collection) -> str:
    """Return what tells a collection from all others, also from those that had its name before."""
    return f"{collection.name} {collection.uid}"


class ListCache:
    """The lists that were asked for last, parsed and planned, by the queries of their URLs.

    Only those that depend on nothing but the collection's definition: nothing is masked, nothing expanded. A
    page that a cursor leads to is a part of the list without one.
    """

    def __init__(self) -> None:
        self._known: LruTable[tuple[str, bytes], tuple[Collection, ListRequest]] = LruTable(MAXIMUM_KNOWN)

    def parse(self, access: Access, references: References, query_string: bytes) -> ListRequest:
        """Read the query of a list's URL, as `parse` does."""
        if len(query_string) > MAXIMUM_BYTES or not access.permit("list").shows_all:
            return parse(access, references, query_string)
        if b"cursor=" in query_string and (parts := _parts(query_string)) is not None:
            whole, cursor = parts
            asked = self.parse(access, references, whole)
            return replace(asked, query=replace(asked.query, cursor=cursor))
        collection = access.collection
        key = (collection.name, query_string)
        known = self._known.get(key)
        if known is not None and known[0] is collection:
            return known[1]
        asked = parse(access, references, query_string)
        if not asked.query.expand and asked.query.cursor is None:
            self._known.put(key, (collection, asked))
        return asked


_CURSOR = re.compile(rb"(?:^|&)cursor=([A-Za-z0-9_-]{1,%d})(?=&|$)" % MAXIMUM_CURSOR_CHARACTERS)
_EXCLUDED = (b"cursor", b"page", b"q=")
"""What may not stand beside a cursor; parts of longer names are taken for it, which costs only the cache."""


def _parts(query_string: bytes) -> tuple[bytes, str] | None:
    """Split a query into that of the whole list and the cursor; None where that may not be right."""
    found = _CURSOR.search(query_string)
    if found is None:
        return None
    whole = (query_string[: found.start()] + query_string[found.end() :]).removeprefix(b"&")
    if any(name in unquote_to_bytes(whole) for name in _EXCLUDED):
        return None
    return whole, found[1].decode("ascii")


# --- plan


def plan(access: Access, asked: ListRequest, cursors: Cursors) -> ReadPlan:
    """Return what is read for a caller: the page that was asked for, of the documents that the rule shows.

    Raises ParameterInvalid for what no grant shows, and for a cursor of another list.
    """
    found = asked.plan
    where = visibility.row_filter(access.collection, access.permit("list"), asked.query)
    if where is not None:
        found = found.narrowed(where)
    return found if asked.query.cursor is None else found.at(cursors.read(asked.list_id, asked.query.cursor))


# --- execute


async def execute(access: Access, asked: ListRequest, planned: ReadPlan, cursors: Cursors) -> Page:
    """Read the page of a plan.

    Raises ParameterInvalid for `q` without a text index, for an order that the documents do not have, and for
    an exact count that takes too long.
    """
    try:
        found = await access.collection.store.read(planned)
    except ReadRefused as refused:
        raise refusal(refused, visibility.fields_of(access.collection, access.permit("list"))) from None
    return page_of(asked, found, cursors)


def page_of(asked: ListRequest, found: Slice[Stored], cursors: Cursors) -> Page:
    """Return what was read, with the cursors of the pages beside it."""
    query, list_id = asked.query, asked.list_id
    return Page(
        stored=found.documents,
        limit=query.limit,
        has_more=found.has_more,
        number=query.page if query.cursor is None else None,
        following=None if found.following is None else cursors.write(list_id, found.following),
        previous=None if found.previous is None else cursors.write(list_id, found.previous),
        total=found.total,
    )


def refusal(refused: ReadRefused, fields: Field) -> ParameterInvalid:
    """Return the failure for what MongoDB alone could know to be wrong, of documents with these fields."""
    if refused.reason == "no_text_index":
        return unsearchable(fields)
    if refused.reason == "parallel_arrays":
        detail, code = "two of the fields to sort by hold arrays in one document", "parallel_arrays"
    else:
        detail = "a number in a path to sort by is both an array's position and a name in one of its elements"
        code = "ambiguous"
    return ParameterInvalid(detail, errors=[Violation(detail, code, parameter="sort")])
