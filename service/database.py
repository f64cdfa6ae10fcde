"""The one connection to MongoDB: open, ping, initialise the document classes, close."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pymongo
from beanie import Document, init_beanie
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo.errors import ConfigurationError, InvalidURI, PyMongoError

from service.errors import StartupFailure

BUILD_TIMEOUT_S = 3600.0
"""How long the building of indexes may take, which on large collections is far longer than a request."""

PING_TTL_S = 1.0
"""How long one ping's answer serves all who ask."""


class Database:
    """A Motor client bound to one database; safe to share by everything on one event loop."""

    def __init__(
        self, client: "AsyncIOMotorClient[dict[str, Any]]", name: str, operation_timeout_s: float
    ) -> None:
        self.client = client
        self.operation_timeout_s = operation_timeout_s
        self.motor: AsyncIOMotorDatabase[dict[str, Any]] = client[name]
        self._ping = asyncio.Lock()
        self._pinged_at = float("-inf")
        self._is_reachable = False

    async def is_reachable(self) -> bool:
        """Tell whether MongoDB answered a ping within the last second; a flood of callers costs one ping."""
        async with self._ping:
            if time.monotonic() - self._pinged_at >= PING_TTL_S:
                try:
                    await self.motor.command("ping")
                    self._is_reachable = True
                except PyMongoError:
                    self._is_reachable = False
                self._pinged_at = time.monotonic()
            return self._is_reachable

    async def operation_time(self) -> Any:
        """Give the database's logical time, from which a change stream can start."""
        return (await self.motor.command("ping"))["operationTime"]

    async def initialise(self, documents: Sequence[type[Document]]) -> None:
        """Bind document classes to this database and create their indexes."""
        with pymongo.timeout(BUILD_TIMEOUT_S):
            await init_beanie(database=self.motor, document_models=list(documents))

    def close(self) -> None:
        """Close every connection."""
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
    return Database(client, name, operation_timeout_s)
