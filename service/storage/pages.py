"""One page of a list: read by number, or from a place on, forward and backward, with the places around it.

`slice_of` and all of `Reader` is synchronous; a Reader is for a thread: a page may take it several queries.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import bson
from bson import CodecOptions, MinKey
from bson.errors import BSONError
from pymongo.errors import OperationFailure

from service.query import keyset
from service.query.keyset import Keys, Place
from service.query.mongo import Filter
from service.storage.codes import NO_SORT_KEY
from service.storage.plans import ReadPlan
from service.storage.transactions import delegate_session

Document = dict[str, Any]
Stage = dict[str, Any]
Stored = TypeVar("Stored")
"""A document, as a dict or in BSON."""

SORT_VALUES = "_sort_values"
HAS_ARRAYS = "_has_arrays"
REVERSED = "_reversed"
"""What is computed beside a document's own members, of which none can have such a name."""

MAXIMUM_PLACES = 2
"""Places that a plan remembers: those at the ends of a page."""

MAXIMUM_PLACE_BYTES = 1024
"""Of a document whose place is remembered."""

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


@dataclass(frozen=True, slots=True)
class Total:
    """How many documents there are, and how sure that is: `at_least` means that there may be more."""

    number: int
    count: Literal["exact", "estimated", "at_least"]


@dataclass(slots=True)  # not frozen, which takes four times as long to make
class Slice(Generic[Stored]):
    """Some documents in order, and the places where those before and after them begin, None where none do.

    `has_more` tells of documents after them, also where there is no place to go on from. `total` is that of
    the whole list, if it was counted.
    """

    documents: list[Stored]
    has_more: bool
    previous: Place | None = None
    following: Place | None = None
    total: Total | None = None


def slice_of(
    plan: ReadPlan, found: list[bytes], codec: "CodecOptions[dict[str, Any]]"
) -> Slice[bytes] | None:
    """Return the page whose documents the plan's command has found, in BSON.

    None where an array is in the way, so that a `Reader` has to read it. Raises InvalidBSON when the
    documents at its ends cannot be decoded.
    """

    def place_of(raw: bytes, *, is_backward: bool = False) -> Place | None:
        key = (raw, is_backward)
        places = plan.places
        if key in places:
            return places[key]
        document: Document = bson.decode(raw, codec_options=codec)
        if not plan.order.is_by_id and plan.order.has_places and not _have_places(plan, [document]):
            raise _ArrayFound
        place = _place(plan, document, is_backward=is_backward)
        if len(raw) <= MAXIMUM_PLACE_BYTES:
            if len(places) >= MAXIMUM_PLACES:
                places.clear()
            places[key] = place
        return place

    has_previous = plan.place is not None and plan.place.values is not None
    try:
        return _slice(plan, found, has_previous=has_previous, place_of=place_of)
    except _ArrayFound:
        return None


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads pages that take more than one query, or that one query alone cannot be sure of.

    `documents` is the driver's synchronous collection.
    """

    documents: Any
    plan: ReadPlan

    def read(self) -> Slice[Document]:
        """Read the page of the plan."""
        place = self.plan.place
        if place is None:
            return self.at(self.plan.skip)
        return self.before(place) if place.is_backward else self.after(place)

    def key(self) -> bytes | None:
        """Return what distinguishes this read from all others of the collection, None where nothing does."""
        plan, place = self.plan, self.plan.place
        asked = {
            "where": plan.filter,
            "keys": plan.order.keys,
            "arrays": plan.order.may_hold_arrays,
            "has_places": plan.order.has_places,
            "limit": plan.limit,
            "projection": plan.projection,
            "search": plan.search,
            "values": None if place is None or place.values is None else place.values,
            "direction": None if place is None else place.is_backward,
            "skip": plan.skip,
        }
        try:
            return bson.encode(asked, codec_options=self.documents.codec_options)
        except (BSONError, OverflowError):  # MongoDB will say what is wrong with it
            return None

    def at(self, skip: int) -> Slice[Document]:
        """Read what comes after the first `skip` documents."""
        found = self._read(_ALL, self.plan.order.keys, skip=skip)
        return _bare(_slice(self.plan, found, has_previous=False, place_of=self._place))

    def after(self, place: Place) -> Slice[Document]:
        """Read what comes after a place; before it there is something, if only the beginning."""
        beyond = _ALL if place.values is None else keyset.beyond(self.plan.order, place.values)
        found = self._read(beyond, self.plan.order.keys)
        has_previous = place.values is not None
        return _bare(_slice(self.plan, found, has_previous=has_previous, place_of=self._place))

    def before(self, place: Place) -> Slice[Document]:
        """Read what comes just before a place, in the list's order."""
        found = None
        if not any(self.plan.order.may_hold_arrays):
            found = self._read(self._before(place, is_exact=False), self.plan.order.reversed(), marked=True)
            if any(document.pop(HAS_ARRAYS, False) for document in found):
                found = None  # some have come too early: the other way round they sort by their other end
        if found is None:
            found = self._read_backward(self._before(place, is_exact=True))
        shown = found[: self.plan.limit][::-1]
        is_end = place.values is None
        if not shown:
            return Slice([], has_more=not is_end, following=None if is_end else Place())
        previous = self._place(shown[0], is_backward=True) if len(found) > self.plan.limit else None
        following = None if is_end else self._place(shown[-1])
        return _bare(Slice(shown, not is_end, previous, following))

    def _before(self, place: Place, *, is_exact: bool) -> Filter:
        order, values = self.plan.order, place.values
        return _ALL if values is None else keyset.before(order, values, is_exact=is_exact)

    def _place(self, document: Document, *, is_backward: bool = False) -> Place | None:
        return _place(self.plan, document, is_backward=is_backward)

    def _read(self, part: Filter, keys: Keys, *, skip: int = 0, marked: bool = False) -> list[Document]:
        """Read one document more than asked for, each with its values to sort by."""
        if self.plan.order.is_by_id or not self.plan.order.has_places:
            return self._find(part, keys, skip)
        if self.plan.projection is None and not marked and not any(self.plan.order.may_hold_arrays):
            found = self._find(part, keys, skip)
            if _have_places(self.plan, found):
                return found
        stages: list[Stage] = [{"$match": self.plan.condition(part)}, {"$sort": dict(keys)}]
        stages += [{"$skip": skip}] if skip else []
        stages += [{"$limit": self.plan.limit + 1}, {"$set": {SORT_VALUES: _VALUES}}]
        if marked:
            arrays = [{"$isArray": f"${path}"} for path, _ in keys]
            stages.append({"$set": {HAS_ARRAYS: {"$or": arrays}}})
        try:
            return self._aggregate(stages)
        except OperationFailure as error:
            if error.code not in NO_SORT_KEY:  # its lists are paged by number
                raise
            return self._find(part, keys, skip)

    def _read_backward(self, part: Filter) -> list[Document]:
        """Read the last documents, last first: in the order itself, and then by its values the other way."""
        wrapped = {
            # Within an object, so that a value that is an array sorts as one.
            f"key_{position}": {"value": {"$arrayElemAt": [f"${SORT_VALUES}", position]}}
            for position in range(len(self.plan.order.keys))
        }
        opposite = {
            f"{REVERSED}.key_{position}": -direction
            for position, (_, direction) in enumerate(self.plan.order.keys)
        }
        stages: list[Stage] = [
            {"$match": self.plan.condition(part)},
            {"$sort": dict(self.plan.order.keys)},
            {"$set": {SORT_VALUES: _VALUES}},
            {"$set": {REVERSED: wrapped}},
            {"$sort": opposite},
            {"$limit": self.plan.limit + 1},
            {"$unset": REVERSED},
        ]
        return self._aggregate(stages, allowDiskUse=True)

    def _find(self, part: Filter, keys: Keys, skip: int) -> list[Document]:
        count = self.plan.limit + 1
        cursor = self.documents.find(
            self.plan.condition(part),
            self.plan.projection,
            sort=keys,
            skip=skip,
            limit=count,
            batch_size=count,
            session=delegate_session(),
        )
        found: list[Document] = cursor.to_list()
        return found

    def _aggregate(self, stages: list[Stage], **options: Any) -> list[Document]:
        if self.plan.projection is not None:
            is_inclusion = any(self.plan.projection.values())
            computed = {SORT_VALUES: 1, HAS_ARRAYS: 1} if is_inclusion else {}
            stages = [*stages, {"$project": self.plan.projection | computed}]
        # With room in the batch for one more than there can be, MongoDB need not be asked for others.
        cursor = self.documents.aggregate(
            stages, batchSize=self.plan.limit + 2, session=delegate_session(), **options
        )
        found: list[Document] = cursor.to_list()
        return found


def _slice(
    plan: ReadPlan, found: list[Stored], *, has_previous: bool, place_of: Callable[..., Place | None]
) -> Slice[Stored]:
    has_more = len(found) > plan.limit
    shown = found[: plan.limit]
    if not shown:
        return Slice([], has_more=False, previous=Place(None, is_backward=True) if has_previous else None)
    previous = place_of(shown[0], is_backward=True) if has_previous else None
    following = place_of(shown[-1]) if has_more else None
    return Slice(shown, has_more, previous, following)


def _bare(part: Slice[Document]) -> Slice[Document]:
    for document in part.documents:
        document.pop(SORT_VALUES, None)
    return part


def _place(plan: ReadPlan, document: Document, *, is_backward: bool) -> Place | None:
    values = [document["_id"]] if plan.order.is_by_id else document.get(SORT_VALUES)
    return None if values is None else keyset.place(values, is_backward=is_backward)


def _have_places(plan: ReadPlan, found: list[Document]) -> bool:
    """Add to the documents at both ends their values to sort by; return False where only MongoDB knows them.

    Where no array is in the way they are just the members, and a plain query costs MongoDB half as much.
    """
    for document in (found[0], found[: plan.limit][-1]) if found else ():
        values = [_member(document, path.split(".")) for path, _ in plan.order.keys]
        if any(isinstance(value, list) for value in values):
            return False
        document[SORT_VALUES] = values
    return True


def _member(document: Document, path: list[str]) -> Any:
    """Return the value at a path, None for a missing one, or the first array on the way."""
    here: Any = document
    for name in path:
        if isinstance(here, list):
            break
        here = here.get(name) if isinstance(here, dict) else None
    return here
