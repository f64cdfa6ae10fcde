"""The one connection to MongoDB: open, ping, initialise the document classes, run transactions, close."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from time import perf_counter
from typing import Any, TypeAlias, TypeVar

import pymongo
import structlog
from beanie import Document, init_beanie
from bson import Timestamp
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo.errors import ConfigurationError, InvalidURI, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from service.kit.errors import Contention, DatabaseUnavailable, StartupFailure
from service.kit.tasks import Backoff
from service.runtime import deadline
from service.storage import change_stream, transactions
from service.storage.change_stream import Batch, ChangeStream
from service.storage.codes import TRANSIENT_TRANSACTION, UNKNOWN_COMMIT
from service.storage.plans import Change
from service.storage.thread_pools import SlowCall, ThreadPools

Listener: TypeAlias = Callable[[Sequence[Change]], None]

log = structlog.get_logger("sheaf.changes")


class ChangeFeed:
    """Passes on every change of collections' documents that is made on one connection.

    What a transaction changes is passed on when it is committed, and never if it is aborted. The changes of
    one write come in order; those of writes that met, as their answers come: `version` orders them. Whether a
    write came to pass whose connection broke is not known: nothing is passed on then.
    """

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        """Have a function called with all changes from now on, in the event loop; it may not block."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Listener) -> None:
        """Have a function called no more."""
        self._listeners.remove(listener)

    def publish(self, changes: Sequence[Change]) -> None:
        """Pass on changes that are stored; within a transaction, keep them until it is committed."""
        pending = transactions.pending_changes()
        if pending is not None:
            pending.extend(changes)
            return
        for listener in self._listeners:
            try:
                listener(changes)
            except Exception:
                log.exception("changes.listener_failed")


BUILD_TIMEOUT_S = 3600.0
"""How long building indexes or dropping may take, which on large collections is far longer than a request."""

WATCH_INTERVAL_S = 1.0
"""How often a long operation is asked whether MongoDB is still there."""

PING_TTL_S = 1.0
"""How long one ping's answer serves all who ask."""

PING_TIMEOUT_S = 2.0
"""How long a ping may take: probes do not wait long, and only a server in trouble is slower."""

CLOSE_TIMEOUT_S = 1.0

HEARTBEAT_S = 0.5
"""How often each server tells how it is. One silent for the time of connecting beyond it counts as gone:
what waits for its answer is broken off, and tried on its successor."""

PATIENT_PARTS = 2
"""As what part of the time for finding a server connecting to one may take, so that another can be tried."""

IMAGES_SINCE = 6
"""The first version of MongoDB that keeps images."""

IMITATIONS = frozenset({"secantusVersion"})
"""What `buildInfo` has of servers that say they are MongoDB, but keep no image after a change."""

RETRY = Backoff(0.002, 0.1)
"""How long a transaction waits before it is tried again."""

TRANSACTION_ATTEMPTS = 32

Result = TypeVar("Result")


class Client(AsyncIOMotorClient[dict[str, Any]]):
    """Motor's client, with threads that run calls of its synchronous delegate, and the feed of changes."""

    pools: ThreadPools
    changes: ChangeFeed
    owner: "Database"


def pools_of(documents: Any) -> ThreadPools:
    """Return the thread pools for calls of a driver's collection."""
    pools: ThreadPools = documents.database.client.pools
    return pools


def database_of(documents: Any) -> "Database":
    """Return the connection that a driver's collection is of."""
    database: Database = documents.database.client.owner
    return database


class Database:
    """A Motor client bound to one database; safe to share by everything on one event loop."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.pools = client.pools
        self.changes = client.changes
        client.owner = self
        self.stream = ChangeStream(self)
        self.motor: AsyncIOMotorDatabase[dict[str, Any]] = client[name]
        self._keeps_images: bool | None = None
        self._ping = asyncio.Lock()
        self._pinged_at = float("-inf")
        self._is_reachable = False
        self._endings: set[asyncio.Future[None]] = set()

    async def is_reachable(self) -> bool:
        """Return whether MongoDB answered a ping within the last second; many callers cost one ping."""
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

    async def explain(self, command: Mapping[str, Any], verbosity: str, timeout_s: float) -> Any:
        """Return what MongoDB's `explain` says of a command; raises DatabaseError, also for lack of time."""
        with pymongo.timeout(timeout_s):
            return await self.motor.command("explain", dict(command), verbosity=verbosity)

    async def keeps_images(self) -> bool:
        """Return whether the server can keep documents as they were before and after a change; asked once."""
        if self._keeps_images is None:
            server = await self.motor.command("buildInfo")
            is_recent = server["versionArray"][0] >= IMAGES_SINCE
            self._keeps_images = is_recent and not IMITATIONS.intersection(server)
        return self._keeps_images

    async def operation_time(self) -> Timestamp:
        """Return the database's logical time, from which a change stream can start.

        Raises DatabaseUnavailable while the server is not a member of a replica set.
        """
        now: Timestamp | None = (await self.motor.command("ping")).get("operationTime")
        if now is None:
            raise DatabaseUnavailable
        return now

    @asynccontextmanager
    async def reading_after(self, time: Timestamp) -> AsyncIterator[Any]:
        """Provide a session in which nothing is read as it was before a cluster time.

        What a server has at that time the majority may have only a little later, which is what reads give.
        """
        async with await self.client.start_session() as opened:
            opened.advance_operation_time(time)
            yield opened

    def replay(
        self, collection: str, since: Timestamp, until: Timestamp, timeout_s: float
    ) -> AsyncGenerator[Batch, None]:
        """Read the changes of one collection after a time, up to and including another one; for `aclosing`.

        `until` is a time up to which a stream has been read already. Raises HistoryLost, TimeoutError when it
        takes longer than `timeout_s`, and what the driver raises.
        """
        return change_stream.replay(self, collection, since, until, timeout_s)

    async def initialise(self, documents: Sequence[type[Document]]) -> None:
        """Bind document classes to this database and create their indexes; raises DatabaseUnavailable."""
        await self.patiently(lambda: init_beanie(database=self.motor, document_models=list(documents)))

    async def transaction(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Run work of which everything comes to pass or nothing; joins the transaction that runs already.

        After a transient error (another writer, another primary) all of it is done again, so `work` has no
        effect but on the database. Raises what `work` raises, Contention when every try met another writer.
        """
        if transactions.session() is not None:
            return await work()
        for attempt in range(TRANSACTION_ATTEMPTS):
            try:
                return await self._try_transaction(work)
            except PyMongoError as error:
                if not error.has_error_label(TRANSIENT_TRANSACTION):
                    raise
                last = error
            await RETRY.sleep(attempt)
        if isinstance(last, OperationFailure):
            raise Contention from None
        raise DatabaseUnavailable from None

    async def _try_transaction(self, work: Callable[[], Awaitable[Result]]) -> Result:
        session = await self.client.start_session()
        try:
            session.start_transaction(ReadConcern("snapshot"), WriteConcern("majority"))
            with transactions.within(session) as changes:
                result = await work()
            await self._commit(session)
        except Exception:
            await asyncio.shield(self._end(session))  # what it has locked is free before the next try
            raise
        except BaseException:  # nobody waits any more
            self._end(session)
            raise
        self._end(session)
        if changes:
            self.changes.publish(changes)
        return result

    def _end(self, session: Any) -> "asyncio.Future[None]":
        """Begin to give a session back, which aborts its transaction unless that was committed."""
        ending: asyncio.Future[None] = asyncio.ensure_future(session.end_session())
        self._endings.add(ending)
        ending.add_done_callback(self._ended)
        return ending

    def _ended(self, ending: "asyncio.Future[None]") -> None:
        self._endings.discard(ending)
        if not ending.cancelled():
            ending.exception()  # MongoDB aborts by itself what it was not told to

    @staticmethod
    async def _commit(session: Any) -> None:
        """Commit; while it is not known whether that came to pass, again, which MongoDB does only once."""
        attempt = 0
        while True:
            try:
                await session.commit_transaction()
            except PyMongoError as error:
                attempt += 1
                if attempt == TRANSACTION_ATTEMPTS or not error.has_error_label(UNKNOWN_COMMIT):
                    raise
                await asyncio.sleep(RETRY.longest_s)
            else:
                return

    def close(self) -> None:
        """Close every connection; tells a server that answers, and does not wait for one that does not.

        Calls that wait are refused.
        """
        self.pools.close()
        with pymongo.timeout(CLOSE_TIMEOUT_S):
            self.client.close()


def connect(
    uri: str,
    name: str,
    *,
    pool_size: int,
    selection_timeout_s: float,
    operation_timeout_s: float,
    listeners: Sequence[Any] = (),
) -> Database:
    """Prepare the connection pool; nothing is sent before it is first used. `listeners` hear of each command.

    Writes are acknowledged by the majority, and reads give what the majority has: what was read is never
    undone, so that no version of a document stands for two. Both are tried again until the timeout when a
    server fails. Raises StartupFailure when the URI is malformed.
    """
    try:
        client = Client(
            uri,
            appname="sheaf",
            tz_aware=True,
            uuidRepresentation="standard",
            w="majority",
            readConcernLevel="majority",
            retryWrites=True,
            heartbeatFrequencyMS=int(HEARTBEAT_S * 1000),
            maxPoolSize=pool_size,
            waitQueueTimeoutMS=int(selection_timeout_s * 1000),
            serverSelectionTimeoutMS=int(selection_timeout_s * 1000),
            connectTimeoutMS=int(selection_timeout_s * 1000 / PATIENT_PARTS),
            timeoutMS=int(operation_timeout_s * 1000),
            event_listeners=list(listeners),
        )
    except (ConfigurationError, InvalidURI, ValueError) as error:
        raise StartupFailure(f"MONGODB_URI is wrong: {error}.") from None
    client.pools = ThreadPools(operation_timeout_s, pool_size)
    client.changes = ChangeFeed()
    return Database(client, name)


@contextmanager
def timed(documents: Any, command: Mapping[str, Any]) -> Iterator[None]:
    """Have what runs within `with` told of if it is slow: a command for the driver's collection."""
    began_s = perf_counter()
    try:
        yield
    finally:
        pools, took_s = pools_of(documents), perf_counter() - began_s
        if took_s >= pools.slow_s and pools.on_slow is not None:
            pools.on_slow(SlowCall("others", command, 1, took_s))
