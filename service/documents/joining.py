"""Concurrent reads by id share queries: all that waits when a thread is free goes together as one."""

import asyncio
from collections import deque
from typing import Any, NamedTuple

from pymongo.errors import PyMongoError

from service import calls, deadline, waits
from service.calls import Work
from service.database import calls_of
from service.errors import Busy
from service.tracing import Attributes, span

MAXIMUM_WAITING = 10_000
"""Reads that may wait for their documents; beyond it they are refused at once."""

MAXIMUM_BATCH = 500
"""Ids in one query."""

Found = dict[Any, dict[str, Any] | Exception]
"""Documents by their ids, and what is wrong with those that cannot be read."""


class Reader(NamedTuple):
    """Somebody who waits for the document of an id, until their time is over."""

    document_id: Any
    future: "asyncio.Future[dict[str, Any] | None]"
    ends_at_s: float


class JoinedReads:
    """Reads of one collection by id; without delay when idle, and never stale.

    A read only ever joins a query that has not been sent yet, so that each query starts after the arrival of
    all reads that it serves. Readers of one id share one dict and must not change it.
    """

    def __init__(self, documents: Any) -> None:
        self.documents = documents.delegate
        self.calls = calls_of(documents)
        self._waiting: deque[Reader] = deque()
        self._count = 0
        self._is_announced = False
        self._span = f"find {documents.name}"
        self._attributes: Attributes = {
            "db.system.name": "mongodb",
            "db.operation.name": "find",
            "db.collection.name": documents.name,
            "sheaf.joined": True,
        }

    async def get(self, document_id: Any) -> dict[str, Any] | None:
        """Read the document of an id, None when there is none; raises Busy, and what the driver raises."""
        if self._count >= MAXIMUM_WAITING:
            raise Busy
        future: asyncio.Future[dict[str, Any] | None] = asyncio.get_running_loop().create_future()
        reader = Reader(document_id, future, deadline.ends_at_s())
        self._waiting.append(reader)
        if not self._is_announced:
            self._announce(reader)
        self._count += 1
        try:
            # here, for a thread serves many requests at once
            with span(self._span, "client", self._attributes), waits.database():
                return await future
        finally:
            self._count -= 1

    def _announce(self, reader: Reader) -> None:
        """Have a thread take all who wait; in vain, the first of them does not wait."""
        self._is_announced = True  # before there is something to take, for a thread may be quicker
        try:
            self.calls.quick.put(_Batch(self))
        except Exception:
            self._is_announced = False
            self._waiting.remove(reader)
            raise

    def take(self) -> list[Reader]:
        """Take those who wait, in the thread that is about to ask for them."""
        self._is_announced = False  # first, so that whoever comes from now on is taken or announces a batch
        taken: list[Reader] = []
        try:
            while len(taken) < MAXIMUM_BATCH:
                reader = self._waiting.popleft()
                if not reader.future.done():
                    taken.append(reader)
        except IndexError:  # there are no more
            return taken
        if not self._is_announced:
            self._is_announced = True
            self.calls.quick.put_again(_Batch(self))
        return taken

    def find(self, ids: list[Any]) -> Found:
        """Find documents, in a thread; one that cannot be decoded fails no read but its own."""
        try:
            cursor = self.documents.find({"_id": {"$in": ids}}, batch_size=len(ids) + 1)
            return {document["_id"]: document for document in cursor.to_list()}
        except PyMongoError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it is of one of them
            if len(ids) == 1:
                return {ids[0]: error}
            middle = len(ids) // 2
            return self.find(ids[:middle]) | self.find(ids[middle:])


class _Batch(Work):
    """Reads that share one query: those who wait when it runs."""

    __slots__ = ("_error", "_found", "_readers", "_reads", "size", "subject")

    def __init__(self, reads: JoinedReads) -> None:
        self._reads = reads
        self._readers: list[Reader] = []
        self._found: Found = {}
        self._error: Exception | None = None
        self.subject = None
        self.size = 0

    def run(self) -> None:
        """Take those who wait, and ask for their documents."""
        self._readers = readers = self._reads.take()
        self.size = len(readers)
        if not readers:
            return
        ids = list({reader.document_id: None for reader in readers})
        self.subject = {"kind": "get", "collection": self._reads.documents.name, "ids": len(ids)}
        try:
            with calls.within(max(reader.ends_at_s for reader in readers), self._reads.calls.timeout_s):
                self._found = self._reads.find(ids)
        except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            self._error = error

    def settle(self) -> None:
        """Give each reader their document."""
        if self._error is not None:
            self._refuse(self._error)
            return
        found = self._found
        for document_id, future, _ in self._readers:
            if future.done():
                continue
            document = found.get(document_id)
            if isinstance(document, Exception):
                future.set_exception(document)
            else:
                future.set_result(document)

    def fail(self, error: Exception) -> None:
        """Tell its readers, or else those who wait, that nothing will be read."""
        self._readers = self._readers or self._reads.take()
        self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        for reader in self._readers:
            if not reader.future.done():
                reader.future.set_exception(error)
