"""Concurrent reads by id share queries, and creates share inserts: what waits for a thread goes together."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.errors import (
    BulkWriteError,
    DocumentTooLarge,
    DuplicateKeyError,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
    WriteError,
    WTimeoutError,
)

from service import calls, deadline, waits
from service.calls import Lane, Work
from service.database import calls_of
from service.errors import Busy
from service.tracing import Attributes, span

MAXIMUM_WAITING = 10_000
"""Of one kind in one collection, how many may wait for an outcome; beyond it they are refused at once."""

MAXIMUM_BATCH = 500
"""How many share one query or one insert."""

MAXIMUM_BATCH_BYTES = 4 * 1024 * 1024
"""How large the documents of one insert are together; one may be larger, and then goes alone."""

MAXIMUM_DOCUMENT_BYTES = 16 * 1024 * 1024

DUPLICATE_KEY = 11000
WRITE_CONCERN_TIMEOUT = 64
UNREADABLE = frozenset({15, 22, 10334})
"""Codes of a command that MongoDB cannot read for what is in a document: nothing of it was done."""

NOT_PRIMARY = frozenset({91, 189, 10107, 11600, 11602, 13435, 13436})
"""Codes of a member of a replica set that is no longer, or not yet, the one that takes writes."""

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Waiting(NamedTuple, Generic[Asked, Answer]):
    """What somebody asked for, and the future in which they wait for the outcome until their time is over."""

    asked: Asked
    future: "asyncio.Future[Answer]"
    ends_at_s: float
    size_bytes: int


class Joined(ABC, Generic[Asked, Answer]):
    """What is asked of one collection by many at once; without delay when idle.

    What is asked only ever joins a call that has not been begun, so that each begins after the arrival of all
    that it serves. It waits outside of threads: who is not waited for any more is not served.
    """

    operation = ""
    """What MongoDB calls it."""

    def __init__(self, documents: Any, lane: Lane) -> None:
        self.documents = documents.delegate
        self.timeout_s = calls_of(documents).timeout_s
        self._lane = lane
        self._waiting: deque[Waiting[Asked, Answer]] = deque()
        self._count = 0
        self._is_announced = False
        self._span = f"{self.operation} {documents.name}"
        self._attributes: Attributes = {
            "db.system.name": "mongodb",
            "db.operation.name": self.operation,
            "db.collection.name": documents.name,
            "sheaf.joined": True,
        }

    @abstractmethod
    def serve(self, asked: Sequence[Asked]) -> Iterable[Answer | Exception]:
        """Serve all that was asked, in a thread; gives each one's outcome, or raises that of all."""

    async def _ask(self, asked: Asked, size_bytes: int = 0) -> Answer:
        if self._count >= MAXIMUM_WAITING:
            raise Busy
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append(Waiting(asked, future, deadline.ends_at_s(), size_bytes))
        if not self._is_announced:
            self._is_announced = True  # before there is something to take, for a thread may be quicker
            loop.call_soon(self._announce)  # when all that has just come has been looked at: it goes together
        self._count += 1
        try:
            # here, for a thread serves many requests at once
            with span(self._span, "client", self._attributes), waits.database():
                return await future
        finally:
            self._count -= 1

    def _announce(self) -> None:
        """Have a thread take all who wait; if none will, tell them."""
        batch = _Batch(self)
        try:
            self._lane.put(batch)
        except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            batch.fail(error)

    def take(self) -> list[Waiting[Asked, Answer]]:
        """Take those who wait, in the thread that is about to serve them."""
        self._is_announced = False  # first, so that whoever comes from now on is taken or announces a batch
        taken: list[Waiting[Asked, Answer]] = []
        size_bytes = 0
        try:
            while len(taken) < MAXIMUM_BATCH and size_bytes < MAXIMUM_BATCH_BYTES:
                waiting = self._waiting.popleft()
                if not waiting.future.done():
                    taken.append(waiting)
                    size_bytes += waiting.size_bytes
        except IndexError:  # there are no more
            return taken
        if not self._is_announced:
            self._is_announced = True
            self._lane.put_again(_Batch(self))
        return taken


class _Batch(Work, Generic[Asked, Answer]):
    """What shares one call: all that waits when it begins."""

    __slots__ = ("_error", "_joined", "_outcomes", "_taken", "size")

    def __init__(self, joined: Joined[Asked, Answer]) -> None:
        self._joined = joined
        self._taken: list[Waiting[Asked, Answer]] = []
        self._outcomes: Iterable[Answer | Exception] = ()
        self._error: Exception | None = None
        self.size = 0

    @property
    def subject(self) -> Any:
        """What was asked for."""
        return self._joined

    def run(self) -> None:
        """Serve all who wait."""
        joined = self._joined
        self._taken = taken = joined.take()
        self.size = len(taken)
        if not taken:
            return
        try:
            with calls.within(max(waiting.ends_at_s for waiting in taken), joined.timeout_s):
                self._outcomes = joined.serve([waiting.asked for waiting in taken])
        except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            self._error = error

    def settle(self) -> None:
        """Give each one their own outcome."""
        if self._error is not None:
            self._refuse(self._error)
            return
        for waiting, outcome in zip(self._taken, self._outcomes, strict=True):
            future = waiting.future
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    def fail(self, error: Exception) -> None:
        """Tell whom it serves, or else those who wait, that nothing will be done."""
        self._taken = self._taken or self._joined.take()
        self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        for waiting in self._taken:
            if not waiting.future.done():
                waiting.future.set_exception(error)


class JoinedReads(Joined[Any, dict[str, Any] | None]):
    """Reads of one collection by id, never stale.

    Readers of one id share one dict and must not change it. A document that cannot be decoded fails no read
    but its own.
    """

    operation = "find"

    def __init__(self, documents: Any) -> None:
        super().__init__(documents, calls_of(documents).quick)

    async def get(self, document_id: Any) -> dict[str, Any] | None:
        """Read the document of an id, None when there is none; raises Busy, and what the driver raises."""
        return await self._ask(document_id)

    def serve(self, asked: Sequence[Any]) -> Iterable[dict[str, Any] | Exception | None]:
        """Find documents by their ids, of which some may be asked for several times."""
        found = self._find(list(dict.fromkeys(asked)))
        return [found.get(document_id) for document_id in asked]

    def _find(self, ids: list[Any]) -> dict[Any, dict[str, Any] | Exception]:
        """Find documents, and what is wrong with those that cannot be read, by their ids."""
        try:
            cursor = self.documents.find({"_id": {"$in": ids}}, batch_size=len(ids) + 1)
            return {document["_id"]: document for document in cursor.to_list()}
        except PyMongoError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it is of one of them
            if len(ids) == 1:
                return {ids[0]: error}
            middle = len(ids) // 2
            return self._find(ids[:middle]) | self._find(ids[middle:])


class JoinedCreates(Joined[RawBSONDocument, None]):
    """Creates of documents in one collection: what is wrong with one is nothing to the others.

    An insert is sent again once if the connection breaks, under its number: MongoDB does it only once.
    """

    operation = "insert"

    def __init__(self, documents: Any) -> None:
        super().__init__(documents, calls_of(documents).writes)
        self._codec_options = documents.codec_options

    async def create(self, document: dict[str, Any]) -> None:
        """Insert a document that has its id; raises Busy, and what the driver raises for this one alone.

        After an error of the connection it is not known whether it was inserted.
        """
        encoded = bson.encode(document, codec_options=self._codec_options)
        if len(encoded) > MAXIMUM_DOCUMENT_BYTES:
            raise DocumentTooLarge(f"BSON document too large ({len(encoded)} bytes)")
        await self._ask(RawBSONDocument(encoded), len(encoded))

    def serve(self, asked: Sequence[RawBSONDocument]) -> Iterable[Exception | None]:
        """Insert documents."""
        try:
            self.documents.insert_many(asked, ordered=False)
        except BulkWriteError as error:
            return _outcomes(len(asked), error)
        except OperationFailure as error:
            if error.code not in UNREADABLE or len(asked) == 1:
                raise
            return [self._alone(document) for document in asked]
        return [None] * len(asked)

    def _alone(self, document: RawBSONDocument) -> Exception | None:
        try:
            return next(iter(self.serve([document])))
        except PyMongoError as error:
            return error


def _outcomes(count: int, error: BulkWriteError) -> list[Exception | None]:
    """Give what MongoDB says of each document of an insert."""
    unconfirmed = error.details.get("writeConcernErrors")
    outcomes: list[Exception | None] = [_of_write_concern(unconfirmed[-1]) if unconfirmed else None] * count
    for each in error.details.get("writeErrors", []):
        kind = DuplicateKeyError if each["code"] == DUPLICATE_KEY else WriteError
        told = {name: part for name, part in each.items() if name != "op"}  # which is the document
        outcomes[each["index"]] = kind(each["errmsg"], each["code"], told)
    return outcomes


def _of_write_concern(error: dict[str, Any]) -> Exception:
    """Give the error of writes that were done, but may be undone: the majority did not confirm them."""
    code, message = error.get("code"), str(error.get("errmsg", ""))
    if code in NOT_PRIMARY:
        return NotPrimaryError(message, error)
    if code == WRITE_CONCERN_TIMEOUT:
        return WTimeoutError(message, code, error)
    return WriteConcernError(message, code, error)
