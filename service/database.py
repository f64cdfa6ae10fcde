"""The one connection to MongoDB: open, ping, initialise the document classes, close."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import pymongo
from beanie import Document, init_beanie
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo.errors import ConfigurationError, InvalidURI, PyMongoError

from service import deadline
from service.errors import DatabaseUnavailable, StartupFailure

BUILD_TIMEOUT_S = 3600.0
"""How long building indexes or dropping may take, which on large collections is far longer than a request."""

WATCH_INTERVAL_S = 1.0
"""How often a long operation is asked whether MongoDB is still there."""

PING_TTL_S = 1.0
"""How long one ping's answer serves all who ask."""

PING_TIMEOUT_S = 2.0
"""How long a ping may take: probes do not wait long, and only a server in trouble is slower."""

CLOSE_TIMEOUT_S = 1.0

Result = TypeVar("Result")


class Database:
    """A Motor client bound to one database; safe to share by everything on one event loop."""

    def __init__(self, client: "AsyncIOMotorClient[dict[str, Any]]", name: str) -> None:
        self.client = client
        self.motor: AsyncIOMotorDatabase[dict[str, Any]] = client[name]
        self._ping = asyncio.Lock()
        self._pinged_at = float("-inf")
        self._is_reachable = False

    async def is_reachable(self) -> bool:
        """Tell whether MongoDB answered a ping within the last second; a flood of callers costs one ping."""
        async with self._ping:
            if time.monotonic() - self._pinged_at >= PING_TTL_S:
                self._is_reachable = await self._answers()
                self._pinged_at = time.monotonic()
            return self._is_reachable

    async def _answers(self) -> bool:
        try:
            with pymongo.timeout(PING_TIMEOUT_S):
                async with asyncio.timeout(PING_TIMEOUT_S):
                    await self.motor.command("ping")
        except (PyMongoError, TimeoutError):
            return False
        return True

    async def patiently(self, operation: Callable[[], Awaitable[Result]]) -> Result:
        """Run an operation that may take BUILD_TIMEOUT_S, as long as MongoDB answers pings meanwhile.

        Raises DatabaseUnavailable when it does not; what the operation has done is not known then.
        """
        with deadline.lifted(), pymongo.timeout(BUILD_TIMEOUT_S):
            task = asyncio.ensure_future(operation())
            try:
                while not (await asyncio.wait({task}, timeout=WATCH_INTERVAL_S))[0]:
                    if not await self.is_reachable():
                        raise DatabaseUnavailable
                return task.result()
            finally:
                task.cancel()

    async def operation_time(self) -> Any:
        """Give the database's logical time, from which a change stream can start."""
        return (await self.motor.command("ping"))["operationTime"]

    async def initialise(self, documents: Sequence[type[Document]]) -> None:
        """Bind document classes to this database and create their indexes; raises DatabaseUnavailable."""
        await self.patiently(lambda: init_beanie(database=self.motor, document_models=list(documents)))

    def close(self) -> None:
        """Close every connection; tells a server that answers, and does not wait for one that does not."""
        with pymongo.timeout(CLOSE_TIMEOUT_S):
            self.client.close()


def connect(
    uri: str, name: str, *, pool_size: int, selection_timeout_s: float, operation_timeout_s: float
) -> Database:
    """Prepare the connection pool; nothing is sent before it is first used.

    Writes are acknowledged by the majority and retried once. Raises StartupFailure when the URI is malformed.
    """
    try:
        client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
            uri,
            appname="sheaf",
            tz_aware=True,
            uuidRepresentation="standard",
            w="majority",
            retryWrites=True,
            maxPoolSize=pool_size,
            waitQueueTimeoutMS=int(selection_timeout_s * 1000),
            serverSelectionTimeoutMS=int(selection_timeout_s * 1000),
            connectTimeoutMS=int(selection_timeout_s * 1000),
            timeoutMS=int(operation_timeout_s * 1000),
        )
    except (ConfigurationError, InvalidURI, ValueError) as error:
        raise StartupFailure(f"MONGODB_URI is wrong: {error}.") from None
    return Database(client, name)
