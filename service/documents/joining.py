"""Concurrent reads by id share one query: what waits while one runs goes together as the next."""

import asyncio
from collections.abc import Mapping
from typing import Any

from pymongo.errors import PyMongoError

from service.errors import Busy

MAXIMUM_WAITING = 10_000
"""Reads that may wait for their turn; beyond it they are refused at once."""

MAXIMUM_BATCH = 500
"""Ids in one query."""

Waiting = dict[Any, list["asyncio.Future[dict[str, Any] | None]"]]


class JoinedReads:
    """Reads of one collection by id; without delay when idle, and never stale.

    A read only ever joins a query that has not been sent yet, so that each query starts after the arrival of
    all reads that it serves. Readers of one id share one dict and must not change it.
    """

    def __init__(self, documents: Any) -> None:
        self._documents = documents
        self._waiting: Waiting = {}
        self._count = 0
        self._task: asyncio.Task[None] | None = None

    async def get(self, document_id: Any) -> dict[str, Any] | None:
        """Read the document of an id, None when there is none; raises Busy, and what the driver raises."""
        if self._count >= MAXIMUM_WAITING:
            raise Busy
        future: asyncio.Future[dict[str, Any] | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(document_id, []).append(future)
        if self._task is None:
            self._task = asyncio.create_task(self._serve(), name="joined reads")
        self._count += 1
        try:
            return await future
        finally:
            self._count -= 1

    async def _serve(self) -> None:
        """Query for all that waits, until nothing does."""
        try:
            while self._waiting:
                await self._serve_batch(self._take())
        finally:
            self._task = None

    def _take(self) -> Waiting:
        if len(self._waiting) <= MAXIMUM_BATCH:
            batch, self._waiting = self._waiting, {}
            return batch
        ids = list(self._waiting)[:MAXIMUM_BATCH]
        return {document_id: self._waiting.pop(document_id) for document_id in ids}

    async def _serve_batch(self, batch: Waiting) -> None:
        try:
            found = await self._find(list(batch))
        except PyMongoError as error:
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            if len(batch) == 1:
                _fail(batch, error)
            else:  # one document that cannot be decoded fails no read but its own
                for document_id, futures in batch.items():
                    await self._serve_batch({document_id: futures})
        else:
            for document_id, futures in batch.items():
                for future in futures:
                    if not future.done():
                        future.set_result(found.get(document_id))

    async def _find(self, ids: list[Any]) -> Mapping[Any, dict[str, Any]]:
        if len(ids) == 1:
            document = await self._documents.find_one({"_id": ids[0]})
            return {} if document is None else {ids[0]: document}
        cursor = self._documents.find({"_id": {"$in": ids}}, batch_size=len(ids))
        return {document["_id"]: document for document in await cursor.to_list(len(ids))}


def _fail(batch: Waiting, error: Exception) -> None:
    for futures in batch.values():
        for future in futures:
            if not future.done():
                future.set_exception(error)
