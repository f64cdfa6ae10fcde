"""What is to be read and written, as plain data, and what a write changed: made without a database.

A `Store` executes plans.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from service.kit.errors import DocumentNotFound, Failure
from service.query import keyset
from service.query.cursors import list_id
from service.query.fields import Field
from service.query.keyset import BY_ID, Order, Place, order_of
from service.query.kinds import Kind
from service.query.limits import DEFAULT_LIMIT
from service.query.mongo import Filter, best_first, both, projection, searched, shape_of, to_mongo
from service.query.tree import Count, ListQuery, Node, conjoin
from service.storage.commands import Find

SHAPE_CHARACTERS = 500
"""Of what tells slow lists apart: of a filter of a hundred conditions, its beginning."""

Reason = Literal[
    "ambiguous_sort",
    "no_text_index",
    "parallel_arrays",
    "answer_too_large",
    "document_too_large",
    "memory_exceeded",
    "unfit_value",
]


class ReadRefused(Exception):
    """A plan that is wrong, or too much, as MongoDB alone can know; whoever made it words the `reason`."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """One page of the documents of a collection.

    `where` is the one condition on them, the client's and the rule's; `filter` is the same for MongoDB,
    compiled once. The page begins beyond `place`, which a cursor has led to, or after `skip` documents.
    `command` reads it where one query can.
    """

    collection: str
    where: Node | None = None
    order: Order = BY_ID
    limit: int = DEFAULT_LIMIT
    skip: int = 0
    place: Place | None = None
    projection: dict[str, int] | None = None
    search: str | None = None
    count: Count | None = None
    filter: Filter | None = field(default=None, compare=False, repr=False)
    places: dict[Any, Place | None] = field(default_factory=dict, compare=False, repr=False)
    """Places at the ends of the pages that were read last, by their documents: a cache of `pages`."""

    command: Find | None = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.filter is None:
            object.__setattr__(self, "filter", {} if self.where is None else to_mongo(self.where))
        object.__setattr__(self, "command", self._command())

    def list_id(self, collection: str) -> bytes:
        """Name the list that the page is of, for cursors; `collection` tells its collection from all others.

        Of a plan that no rule narrows: the list is the same for all who ask for it.
        """
        where = None if self.where is None else self.filter
        return list_id(collection, where, self.order.keys, self.search)

    def narrowed(self, where: Node) -> "ReadPlan":
        """Return the plan for those of the documents that fulfil another condition too."""
        compiled = both(to_mongo(where), self.filter or {})
        return replace(self, where=conjoin(where, self.where), filter=compiled)

    def at(self, place: Place) -> "ReadPlan":
        """Return the plan for the page at a place."""
        return replace(self, place=place)

    def condition(self, part: Filter | None = None) -> Filter:
        """Return the driver's filter for the whole list, or for a part of it."""
        condition = self.filter or {}
        if part:
            condition = {"$and": [condition, part]} if condition else part
        return condition if self.search is None else searched(condition, self.search)

    def _command(self) -> Find | None:
        """Return the one query that reads the page, None where it may take several."""
        order, place = self.order, self.place
        if self.search is not None or (place is not None and place.is_backward):
            return None
        has_known_places = order.is_by_id or not order.has_places
        if not has_known_places and (self.projection is not None or any(order.may_hold_arrays)):
            return None
        beyond = None if place is None or place.values is None else keyset.beyond(order, place.values)
        return Find(
            self.collection,
            self.condition(beyond),
            keys=order.keys,
            skip=self.skip if place is None else 0,
            limit=self.limit + 1,
            projection=self.projection,
            shape=f"{self.collection} {order.keys} {shape_of(self.filter)}"[:SHAPE_CHARACTERS],
        )


@dataclass(frozen=True, slots=True)
class PipelinePlan:
    """An aggregation of a collection's documents, bounded in time and in the bytes of its answer."""

    collection: str
    stages: list[dict[str, Any]]
    time_limit_s: float
    limit_bytes: int


def plan_list(collection: str, root: Field, query: ListQuery) -> ReadPlan:
    """Plan the page that a query asks for by its number, of documents with these fields.

    A cursor is not read here: see `ReadPlan.at`.

    >>> plan_list("films", Field(), ListQuery(page=3, limit=10)).skip
    20
    """
    if query.search is not None and not query.sort:
        order = Order(best_first(), may_hold_arrays=(), has_places=False)
    else:
        order = order_of(query.sort, root)
    return ReadPlan(
        collection,
        query.where,
        order,
        query.limit,
        query.skip,
        projection=projection(query.selection),
        search=query.search,
        count=query.count,
    )


Document: TypeAlias = dict[str, Any]
"""A document as it is stored."""

ChangeKind = Literal["create", "update", "delete", "clear"]

Through = Literal["request", "bulk", "batch", "import", "removal", "definition"]
"""What somebody wrote through: a request for one document, one for many or a batch, an import, the removal of
a user, a change of the collection's definition."""


class Origin(NamedTuple):
    """Whose write it is (a user's id, None for nobody's), and through what it comes."""

    by: str | None
    through: Through


class Change(NamedTuple):
    """One change of one document: what a write yields, whatever it was.

    `before` and `after` are the document as it was and is stored. `before` is None for a new document, and
    where it was not read: a deletion by filter knows the id and the version alone. `version` is the
    document's own, after the change, or at its deletion; None where it is not known. `at` is as documents
    have their times: in UTC, without a zone. A `clear` is of all documents of the collection at once, or of
    those of some time: it knows none of them, so `id` is None.
    """

    collection: str
    id: Any
    kind: ChangeKind
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    version: int | None
    at: datetime
    by: str | None
    through: Through


class Precondition(Protocol):
    """What a write demands of the document as it is."""

    def check(self, document: Document) -> None:
        """Raise a failure unless the document is as demanded."""


class Modification(Protocol):
    """What becomes of one stored document; a pure object, which may be asked several times."""

    def outcome(self, present: Document) -> Document:
        """Return what takes the place of a stored document; raises a failure where that may not be."""

    def watched(self) -> frozenset[str]:
        """Return the names of the members whose new values the database alone may judge.

        Such as those of indexes that may refuse a value; those of the plan's own condition are known.
        """


class Modifications(Protocol):
    """What becomes of many stored documents."""

    def outcomes(self, present: AsyncIterator[Document]) -> AsyncIterator[tuple[Document, Document]]:
        """Yield each document with what takes its place, which is itself where nothing changes.

        Raises, at the end at the latest, what is wrong with any of them.
        """


class Create(NamedTuple):
    """A document to be created, as it is stored: without `_id` where one of the kind `id_kind` is to be made.

    `build` makes the document of the id, where the rule looks at that.
    """

    document: Document
    origin: Origin
    id_kind: Kind | None = None
    build: Callable[[Any], Document] | None = None

    def under(self, made_id: Any) -> Document:
        """Return the document under an id that was made for it."""
        return {"_id": made_id, **self.document} if self.build is None else self.build(made_id)


class CreateMany(NamedTuple):
    """Documents to be created, all or none: those without `_id` get one of the kind `id_kind`.

    `build` makes all of them of the ids of those without, where the rule looks at ids; `documents` say then
    no more than which have ids.
    """

    documents: Sequence[Document]
    origin: Origin
    id_kind: Kind
    build: Callable[[Sequence[Any]], Awaitable[Sequence[Document]]] | None = None


class Update(NamedTuple):
    """A document to be changed where it fulfils `where`; `absent` makes the failure where there is none."""

    id: Any
    change: Modification
    where: Node | None
    origin: Origin
    absent: Callable[[], Failure] = DocumentNotFound


class Upsert(NamedTuple):
    """A document to be changed, or created where there is none; of many at once one creates."""

    update: Update
    create: Callable[[], Create]
    """Makes the other plan, once it is needed."""


class Delete(NamedTuple):
    """A document to be deleted where it fulfils `where`, and `expected` if there is such."""

    id: Any
    where: Node | None
    origin: Origin
    expected: Precondition | None = None


class Matching(NamedTuple):
    """Which documents are meant: those that fulfil `where` and hold the text `search`, `maximum` at most."""

    where: Node | None
    maximum: int
    search: str | None = None


class UpdateMany(NamedTuple):
    """Matching documents to be changed, all or none."""

    matching: Matching
    change: Modifications
    origin: Origin


class DeleteMany(NamedTuple):
    """Matching documents to be deleted, all or none."""

    matching: Matching
    origin: Origin


class Load(NamedTuple):
    """Documents to be created each by itself: those whose ids are there already stay as they are."""

    documents: Sequence[Mapping[str, Any]]
    origin: Origin


class ReleaseOwned(NamedTuple):
    """The documents of an owner, to be given to another one, or deleted without any."""

    owner: str
    origin: Origin
    new_owner: str | None = None


class Clear(NamedTuple):
    """All documents to be deleted, unread; of those created in some time, if `created` has its two ends.

    With `drops` the collection goes with its indexes.
    """

    origin: Origin
    created: tuple[datetime, datetime] | None = None
    drops: bool = False


WritePlan: TypeAlias = (
    Create | CreateMany | Update | Upsert | Delete | UpdateMany | DeleteMany | Load | ReleaseOwned | Clear
)


class Written(NamedTuple):
    """What a write did: its changes, in order, and the documents that it was for, as stored now.

    Those that it left as they were are among the documents, and not among the changes. `affected` is the
    number of changes; the release of an owner's documents, which may be very many, tells no more here.
    `refused` are the documents that a Load could not create, by their positions.
    """

    changes: tuple[Change, ...] = ()
    documents: Sequence[Document] = ()
    affected: int = 0
    refused: Sequence[tuple[int, Failure]] = ()

    @property
    def document(self) -> Document:
        """The one document of a write of one."""
        return self.documents[0]

    @property
    def is_new(self) -> bool:
        """Whether that document was created."""
        return bool(self.changes) and self.changes[0].kind == "create"
