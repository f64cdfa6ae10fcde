"""One page of a list: read by number, or from a place on, forward and backward, with the places around it.

All of it is synchronous, for a thread: a page may need several queries, and those who wait need not know.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import bson
from bson import MinKey
from bson.errors import BSONError
from pymongo.errors import OperationFailure

from service.query import keyset
from service.query.keyset import Keys, Order, Place
from service.query.mongo import Filter, shape_of
from service.query.search import searched
from service.storage import finds
from service.storage.codes import NO_SORT_KEY
from service.storage.finds import Find
from service.storage.transactions import delegate_session

Document = dict[str, Any]
Stage = dict[str, Any]
Stored = TypeVar("Stored")
"""A document, as a dict or in BSON."""

SORT_VALUES = "_sort_values"
HAS_ARRAYS = "_has_arrays"
REVERSED = "_reversed"
"""What is computed beside a document's own members, of which none can have such a name."""

MAXIMUM_KNOWN = 2
"""Places that a reader remembers: those at the ends of a page."""

MAXIMUM_KNOWN_BYTES = 1024
"""Of a document whose place is remembered."""

SHAPE_CHARACTERS = 500
"""Of what is remembered of slow lists: a filter of a hundred conditions is told by its beginning."""

_ALL: Filter = {}
_VALUES: Stage = {
    "$map": {
        "input": {"$meta": "sortKey"},
        # The value of an array without elements, which the driver would read as null; see EMPTY.
        "in": {"$cond": [{"$eq": [{"$type": "$$this"}, "undefined"]}, MinKey(), "$$this"]},
    }
}


class _ArrayFound(Exception):  # it is no error: only MongoDB knows what is sorted by
    """A document holds an array where its schema has none."""


@dataclass(slots=True)  # not frozen, which takes four times as long to make
class Slice(Generic[Stored]):
    """Some documents in order, and the places where those before and after them begin, None where none do.

    `has_more` tells of documents after them, also where there is no place to go on from.
    """

    documents: list[Stored]
    has_more: bool
    previous: Place | None = None
    following: Place | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads slices of the documents that fulfil a filter and a search for text, in one order.

    `documents` is the driver's collection, `projection` names the members that are read.
    """

    documents: Any
    where: Filter
    order: Order
    limit: int
    projection: dict[str, int] | None = None
    search: str | None = None
    _known: dict[tuple[bytes, bool], Place | None] = field(default_factory=dict, compare=False, repr=False)

    def find(self, place: Place | None, skip: int) -> Find | None:
        """Give the one query that reads a part, None where it may take several; `sliced` takes its result."""
        order = self.order
        is_told = order.is_by_id or not order.has_places
        if self.search is not None or (place is not None and place.is_backward):
            return None
        if not is_told and (self.projection is not None or any(order.may_hold_arrays)):
            return None
        beyond = _ALL if place is None or place.values is None else keyset.beyond(order, place.values)
        return Find(
            self.documents.delegate,
            self.narrowed(beyond),
            keys=order.keys,
            skip=skip if place is None else 0,
            limit=self.limit + 1,
            projection=self.projection,
            shape=f"{self.documents.name} {order.keys} {shape_of(self.where)}"[:SHAPE_CHARACTERS],
        )

    def sliced(self, found: list[bytes], place: Place | None) -> Slice[bytes] | None:
        """Give the part that was found, in BSON; None where an array is in the way, so that `read` must be.

        Raises InvalidBSON when the documents at its ends cannot be decoded.
        """
        try:
            return self._slice(
                found,
                has_previous=place is not None and place.values is not None,
                place_of=self._place_of_raw,
            )
        except _ArrayFound:
            return None

    def _place_of_raw(self, raw: bytes, *, is_backward: bool = False) -> Place | None:
        """Give the place of a document; those of the last ones are known, for a list that is read again."""
        key = (raw, is_backward)
        if key in self._known:
            return self._known[key]
        document = finds.decode(self.documents, raw)
        if not self.order.is_by_id and self.order.has_places and not self._have_places([document]):
            raise _ArrayFound
        place = self._place(document, is_backward=is_backward)
        if len(raw) <= MAXIMUM_KNOWN_BYTES:
            if len(self._known) >= MAXIMUM_KNOWN:
                self._known.clear()
            self._known[key] = place
        return place

    def read(self, place: Place | None, skip: int) -> Slice[Document]:
        """Read from a place on, in its direction, or else what comes after the first `skip` documents."""
        if place is None:
            return self.at(skip)
        return self.before(place) if place.is_backward else self.after(place)

    def key(self, place: Place | None, skip: int) -> bytes | None:
        """Give what tells this read from all others of the collection, None where that cannot be told."""
        asked = {
            "where": self.where,
            "keys": self.order.keys,
            "arrays": self.order.may_hold_arrays,
            "has_places": self.order.has_places,
            "limit": self.limit,
            "projection": self.projection,
            "search": self.search,
            "values": None if place is None or place.values is None else place.values,
            "direction": None if place is None else place.is_backward,
            "skip": skip,
        }
        try:
            return bson.encode(asked, codec_options=self.documents.codec_options)
        except (BSONError, OverflowError):  # MongoDB will say what is wrong with it
            return None

    def at(self, skip: int) -> Slice[Document]:
        """Read what comes after the first `skip` documents."""
        found = self._read(_ALL, self.order.keys, skip=skip)
        return self._bare(self._slice(found, has_previous=False, place_of=self._place))

    def after(self, place: Place) -> Slice[Document]:
        """Read what comes after a place; before it there is something, if only the beginning."""
        beyond = _ALL if place.values is None else keyset.beyond(self.order, place.values)
        found = self._read(beyond, self.order.keys)
        has_previous = place.values is not None
        return self._bare(self._slice(found, has_previous=has_previous, place_of=self._place))

    def before(self, place: Place) -> Slice[Document]:
        """Read what comes just before a place, in the list's order."""
        found = None
        if not any(self.order.may_hold_arrays):
            found = self._read(self._before(place, is_exact=False), self.order.reversed(), marked=True)
            if any(document.pop(HAS_ARRAYS, False) for document in found):
                found = None  # some have come too early: the other way round they sort by their other end
        if found is None:
            found = self._read_backward(self._before(place, is_exact=True))
        shown = found[: self.limit][::-1]
        is_end = place.values is None
        if not shown:
            return Slice([], has_more=not is_end, following=None if is_end else Place())
        previous = self._place(shown[0], is_backward=True) if len(found) > self.limit else None
        following = None if is_end else self._place(shown[-1])
        return self._bare(Slice(shown, not is_end, previous, following))

    def _slice(
        self, found: list[Stored], *, has_previous: bool, place_of: Callable[..., Place | None]
    ) -> Slice[Stored]:
        has_more = len(found) > self.limit
        shown = found[: self.limit]
        if not shown:
            return Slice([], has_more=False, previous=Place(None, is_backward=True) if has_previous else None)
        previous = place_of(shown[0], is_backward=True) if has_previous else None
        following = place_of(shown[-1]) if has_more else None
        return Slice(shown, has_more, previous, following)

    @staticmethod
    def _bare(part: Slice[Document]) -> Slice[Document]:
        for document in part.documents:
            document.pop(SORT_VALUES, None)
        return part

    def _before(self, place: Place, *, is_exact: bool) -> Filter:
        return _ALL if place.values is None else keyset.before(self.order, place.values, is_exact=is_exact)

    def narrowed(self, part: Filter = _ALL) -> Filter:
        """Give the driver's filter for the whole list, or for a part of it."""
        both = {"$and": [self.where, part]} if self.where and part else self.where or part
        return both if self.search is None else searched(both, self.search)

    def _place(self, document: Document, *, is_backward: bool = False) -> Place | None:
        values = [document["_id"]] if self.order.is_by_id else document.get(SORT_VALUES)
        return None if values is None else keyset.place(values, is_backward=is_backward)

    def _read(self, part: Filter, keys: Keys, *, skip: int = 0, marked: bool = False) -> list[Document]:
        """Read one document more than asked for, each with its values to sort by."""
        if self.order.is_by_id or not self.order.has_places:
            return self._find(part, keys, skip)
        if self.projection is None and not marked and not any(self.order.may_hold_arrays):
            found = self._find(part, keys, skip)
            if self._have_places(found):
                return found
        stages: list[Stage] = [{"$match": self.narrowed(part)}, {"$sort": dict(keys)}]
        stages += [{"$skip": skip}] if skip else []
        stages += [{"$limit": self.limit + 1}, {"$set": {SORT_VALUES: _VALUES}}]
        if marked:
            arrays = [{"$isArray": f"${path}"} for path, _ in keys]
            stages.append({"$set": {HAS_ARRAYS: {"$or": arrays}}})
        try:
            return self._aggregate(stages)
        except OperationFailure as error:
            if error.code not in NO_SORT_KEY:  # its lists are paged by number
                raise
            return self._find(part, keys, skip)

    def _have_places(self, found: list[Document]) -> bool:
        """Give the documents at both ends their values to sort by, or tell that only MongoDB knows them.

        Where no array is in the way they are just the members, and a plain query costs MongoDB half as much.
        """
        for document in (found[0], found[: self.limit][-1]) if found else ():
            values = [_member(document, path.split(".")) for path, _ in self.order.keys]
            if any(isinstance(value, list) for value in values):
                return False
            document[SORT_VALUES] = values
        return True

    def _read_backward(self, part: Filter) -> list[Document]:
        """Read the last documents, last first: in the order itself, and then by its values the other way."""
        wrapped = {
            # Within an object, so that a value that is an array sorts as one.
            f"key_{position}": {"value": {"$arrayElemAt": [f"${SORT_VALUES}", position]}}
            for position in range(len(self.order.keys))
        }
        opposite = {
            f"{REVERSED}.key_{position}": -direction
            for position, (_, direction) in enumerate(self.order.keys)
        }
        stages: list[Stage] = [
            {"$match": self.narrowed(part)},
            {"$sort": dict(self.order.keys)},
            {"$set": {SORT_VALUES: _VALUES}},
            {"$set": {REVERSED: wrapped}},
            {"$sort": opposite},
            {"$limit": self.limit + 1},
            {"$unset": REVERSED},
        ]
        return self._aggregate(stages, allowDiskUse=True)

    def _find(self, part: Filter, keys: Keys, skip: int) -> list[Document]:
        count = self.limit + 1
        cursor = self.documents.delegate.find(
            self.narrowed(part),
            self.projection,
            sort=keys,
            skip=skip,
            limit=count,
            batch_size=count,
            session=delegate_session(),
        )
        found: list[Document] = cursor.to_list()
        return found

    def _aggregate(self, stages: list[Stage], **options: Any) -> list[Document]:
        if self.projection is not None:
            is_inclusion = any(self.projection.values())
            computed = {SORT_VALUES: 1, HAS_ARRAYS: 1} if is_inclusion else {}
            stages = [*stages, {"$project": self.projection | computed}]
        # With room in the batch for one more than there can be, MongoDB need not be asked for others.
        cursor = self.documents.delegate.aggregate(
            stages, batchSize=self.limit + 2, session=delegate_session(), **options
        )
        found: list[Document] = cursor.to_list()
        return found


def _member(document: Document, path: list[str]) -> Any:
    """Give the value at a path, None for a missing one, or the first array on the way."""
    here: Any = document
    for name in path:
        if isinstance(here, list):
            break
        here = here.get(name) if isinstance(here, dict) else None
    return here
