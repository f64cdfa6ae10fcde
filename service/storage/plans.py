"""What is read, as plain data: made without a database, and executed by a `Store`."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from service.query import keyset
from service.query.cursors import list_id
from service.query.fields import Field
from service.query.keyset import BY_ID, Order, Place, order_of
from service.query.limits import DEFAULT_LIMIT
from service.query.lists import Count, ListQuery
from service.query.mongo import Filter, both, projection, shape_of, to_mongo
from service.query.search import best_first, searched
from service.query.tree import Node, conjoin
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
