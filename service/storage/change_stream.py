"""Everything that changes in the database, whoever changes it: one change stream per worker for all.

A thread of its own reads MongoDB's change stream and hands what one reply holds to the event loop as one
`Batch`. The driver resumes the stream after a failover, without a gap. After all else it begins anew, and
every listener is told that it may have missed something.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, Self, TypeVar, cast

import bson
import pymongo
import structlog
from bson import CodecOptions, Timestamp
from bson.errors import InvalidBSON
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure, PyMongoError

from service.kit.errors import Busy, DatabaseUnavailable
from service.kit.tasks import Attempts, Backoff, background, comes_in_time
from service.storage.codes import DOCUMENT_TOO_LARGE, HISTORY_LOST, is_transient
from service.storage.raw_bson import CODEC

if TYPE_CHECKING:
    from service.storage.database import Database

INTERVAL_S = 1.0
"""How long MongoDB waits for a change before it says that there was none."""

MAXIMUM_BATCH = 1000
"""Changes in one reply of MongoDB, and so in one batch."""

FULL_BYTES = 8 * 1024 * 1024
"""From this size on a reply may have been cut off in the middle of a transaction: it holds 16 MB at most."""

MAXIMUM_PENDING = 4
"""Batches that the event loop has not taken yet. Beyond it nothing is read, and MongoDB holds the rest."""

MAXIMUM_PENDING_BYTES = 16 * 1024 * 1024
"""The same in bytes; one batch may be larger."""

MAXIMUM_BUFFERED = 10_000
"""Changes that wait for one follower. Beyond it, it has a gap."""

RESUME_S = 30.0
"""How long a broken stream is resumed where it was. After it, reading everything again costs less."""

CLOSE_TIMEOUT_S = 1.0
"""How long the end of the stream waits for MongoDB to hear of it."""

REPLAY_INTERVAL_S = 0.1
"""How long a replay waits for a change before it looks whether that was all."""

LOOK_S = 0.002
"""How often who waits for another collection looks whether its changes are told."""

RETRY = Backoff(0.2, 1.0)

Result = TypeVar("Result")

Operation = Literal["insert", "update", "replace", "delete", "drop"]

_OPERATIONS: Mapping[str, Operation] = {
    "insert": "insert",
    "update": "update",
    "replace": "replace",
    "delete": "delete",
    "drop": "drop",
    "rename": "drop",
}
"""What MongoDB's events are here. The others only follow `drop` events of each collection."""

_RAW: "CodecOptions[RawBSONDocument]" = CODEC.with_options(document_class=RawBSONDocument)

_TIMESTAMP = "82"
"""How MongoDB's resume tokens begin: a timestamp of its KeyString format."""

log = structlog.get_logger("sheaf.changes")


class Gap(Exception):
    """Changes may have been missed: what is known must be read again."""


class HistoryLost(Exception):
    """MongoDB cannot tell all that changed since a time: too long ago, or too large for its replies."""


class StoredChange(NamedTuple):
    """One change of one document, or the end of a whole collection (`drop`, then without an id).

    `before` and `after` are the document as it was and as this change stored it, None where MongoDB keeps no
    such image. All changes of one transaction have the same cluster time.
    """

    collection: str
    operation: Operation
    id: Any
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    time: Timestamp


class Batch(NamedTuple):
    """Changes in their order; everything up to and including `time` has been handed over by now.

    It is empty when nothing has happened for INTERVAL_S. While a transaction that is larger than a batch is
    being handed over, `time` stays before it.
    """

    changes: Sequence[StoredChange]
    time: Timestamp


class Listener(Protocol):
    """Hears of batches, in the event loop; it may not block."""

    def changed(self, batch: Batch) -> None:
        """Take a batch, empty ones too."""

    def interrupted(self, why: str) -> None:
        """Forget what was heard, for something may have been missed; batches follow when it is open again.

        `why` is `outage`, `history`, `too_large`, `invalidated` (a database or a collection is another one),
        `error`, or `closed` at the end.
        """


class ChangeStream:
    """The change stream of a database, for everybody in this process.

    `position` is the time up to which everything has been handed over, None while the stream is not open.
    `is_alive` tells whether MongoDB answered last.
    """

    def __init__(self, database: "Database") -> None:
        self.position: Timestamp | None = None
        self.is_alive = False
        self._database = database
        self._included: set[str] = set()
        self._followed: set[str] = set()
        self._reading: _Reading | None = None
        self._more: asyncio.Future[None] | None = None
        self._listeners: list[tuple[Listener, frozenset[str] | None]] = []
        self._opened = asyncio.Event()
        self._is_running = False
        self._attempts = Attempts(RETRY)
        self._has_told = False
        self._has_images = False

    def include(self, *collections: str) -> None:
        """Have system collections in the stream, for those who will listen to them; before it runs.

        The other ones are left out by MongoDB: there are many changes in them, and nobody is concerned.
        """
        if self._is_running and not self._included.issuperset(collections):
            raise RuntimeError("what the stream includes is settled before it runs")
        self._included.update(collections)

    @contextmanager
    def listen(self, listener: Listener, collections: Collection[str] | None = None) -> Iterator[None]:
        """Have a listener hear of system collections, or else of the public ones that are followed.

        It hears of every batch, with the changes that concern it.
        """
        names = None if collections is None else frozenset(collections)
        if names is not None and not self._included.issuperset(names):
            raise ValueError(f"the stream does not include all of {', '.join(sorted(names))}")
        entry = (listener, names)
        self._listeners.append(entry)
        try:
            yield
        finally:
            self._listeners.remove(entry)

    async def follow(self, name: str, timeout_s: float) -> Timestamp | None:
        """Have a public collection in the stream; returns the time after which all of its changes are told.

        None when that does not come about in time. The stream is opened again where it is, without a gap:
        collections that nobody watches would cost MongoDB and every worker something at each change.
        """
        if name not in self._followed:
            self._followed.add(name)
            self._look_again()
        try:
            async with asyncio.timeout(timeout_s):
                while not self._reads(name):  # noqa: ASYNC110  # too rare a change to deserve an event
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            return None
        return self.position

    def _reads(self, name: str) -> bool:
        return self._reading is not None and self.position is not None and name in self._reading.names

    def _look_again(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    def unfollow(self, name: str) -> None:
        """Leave a public collection out of the stream, once that is opened the next time."""
        self._followed.discard(name)

    async def wait_until_open(self, timeout_s: float) -> bool:
        """Wait until the stream is open; returns whether it came in time."""
        return await comes_in_time(self._opened, timeout_s)

    @asynccontextmanager
    async def subscribed(self, names: Collection[str]) -> "AsyncIterator[Subscription]":
        """Wait until the stream is open, and have all changes of system collections from then on.

        Batches wait until they are taken; empty ones come about once per INTERVAL_S, to show that the stream
        lives. Iterating raises Gap after an interruption, and when more than MAXIMUM_BUFFERED changes wait.
        """
        while not self._opened.is_set():  # it may have been closed again before this task's turn comes
            await self._opened.wait()
        subscription = Subscription(cast("Timestamp", self.position))
        with self.listen(subscription, names):
            yield subscription

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the stream until the context ends."""
        self._is_running = True
        try:
            async with background(self._run(), "changes"):
                yield
        finally:
            self._is_running = False

    async def _run(self) -> None:
        """Read the stream; whenever that fails begin anew, from then on."""
        self._attempts = Attempts(RETRY)
        async for _ in self._attempts:
            error: Exception | None = None
            try:
                await self._read()
            except Exception as failure:  # noqa: BLE001  # whatever it is, those who listen must be told
                error = failure
            self._interrupt(error)

    async def _read(self) -> None:
        self._has_images = await self._database.keeps_images()
        readings = [self._begin(await self._database.operation_time())]
        try:
            while not readings[-1].ended.done():
                if len(readings) > 1:
                    await readings.pop(0).stop()
                elif self.position is not None and self._followed - readings[-1].names:
                    readings.append(self._begin(self.position))  # the other goes on until it is open
                    await _first_of(readings[-1].opened, readings[-1].ended)
                else:
                    self._more = asyncio.get_running_loop().create_future()
                    await _first_of(readings[-1].ended, self._more)
            await readings[-1].ended
        except asyncio.CancelledError:
            self._end("closed")
            raise
        finally:
            self._reading = None
            for reading in readings:
                await reading.stop()

    def _begin(self, start: Timestamp) -> "_Reading":
        names = frozenset(self._followed)
        return _Reading(self, partial(self._open, start, names), Batches(start), names)

    def _open(self, start: Timestamp, names: frozenset[str]) -> Any:
        """Open MongoDB's stream, in a thread."""
        several = {"ns.coll": {"$in": sorted(self._included | names)}}
        concerned = {"$or": [several, {"ns.coll": {"$exists": False}}]}  # or the end of the whole database
        wait_s = min(INTERVAL_S, self._database.pools.timeout_s / 2)
        target = self._database.motor.delegate
        return _watch(target, [{"$match": concerned}], start, wait_s, has_images=self._has_images)

    def opened(self, reading: "_Reading", start: Timestamp) -> None:
        """Begin a stream: whoever reads from now on, and hears of what comes, misses nothing.

        One that reads more takes the place of another: what that has handed over is not handed over again.
        """
        if self._reading is not None:
            self._reading.abandon()
        if self._reading is None or self.position is None:
            self.position = start
        self._reading = reading
        self.is_alive = True
        self._opened.set()
        self._look_again()

    def hand_over(self, batch: Batch) -> None:
        """Hand a batch to all who listen."""
        position = self.position or batch.time
        if batch.changes and batch.changes[0].time <= position:  # another reading has handed them over
            batch = Batch([each for each in batch.changes if each.time > position], batch.time)
        self.position = max(position, batch.time)
        batch = batch._replace(time=self.position)
        self.is_alive = True
        self._has_told = False
        self._attempts.reset()
        for listener, names in tuple(self._listeners):
            concerned = [each for each in batch.changes if _concerns(each, names)]
            part = batch if len(concerned) == len(batch.changes) else Batch(concerned, batch.time)
            try:
                listener.changed(part)
            except Exception:
                log.exception("changes.listener_failed")

    def falter(self) -> None:
        """Note that MongoDB does not answer, while the stream is being resumed."""
        self.is_alive = False

    def _interrupt(self, error: Exception | None) -> None:
        """Tell the log, once for an outage however long, and everybody who listens."""
        why = _why(error)
        if not self._has_told:
            self._has_told = True
            unexpected = error if why == "error" else None
            reason = why if error is None else type(error).__name__
            pause_s = self._attempts.pause_s
            log.warning("changes.interrupted", why=why, reason=reason, retry_s=pause_s, exc_info=unexpected)
        self._end(why)

    def _end(self, why: str) -> None:
        was_open = self._opened.is_set()
        self.position = None
        self.is_alive = False
        self._opened.clear()
        for listener, _ in tuple(self._listeners) if was_open else ():
            try:
                listener.interrupted(why)
            except Exception:
                log.exception("changes.listener_failed")


async def _first_of(*futures: "asyncio.Future[None]") -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _concerns(change: StoredChange, names: frozenset[str] | None) -> bool:
    return not change.collection.startswith("_") if names is None else change.collection in names


def _why(error: Exception | None) -> str:
    if error is None:
        return "invalidated"
    if isinstance(error, OperationFailure) and error.code in HISTORY_LOST:
        return "history"
    if isinstance(error, OperationFailure) and error.code in DOCUMENT_TOO_LARGE:
        return "too_large"
    return "outage" if is_transient(error) else "error"


class Subscription:
    """All batches that come after `time`, for one who takes them one after the other."""

    def __init__(self, time: Timestamp) -> None:
        self.time = time
        self._batches: deque[Batch] = deque()
        self._count = 0
        self._gap: str | None = None
        self._is_woken = asyncio.Event()
        self._told_at_s = monotonic()

    def changed(self, batch: Batch) -> None:
        """Keep a batch; of empty ones no more than show that the stream lives."""
        if not batch.changes and (self._batches or monotonic() - self._told_at_s < INTERVAL_S / 2):
            return
        self._told_at_s = monotonic()
        self._batches.append(batch)
        self._count += len(batch.changes)
        if self._count > MAXIMUM_BUFFERED:
            self.interrupted("overflow")
        self._is_woken.set()

    def interrupted(self, why: str) -> None:
        """Have the next iteration raise Gap."""
        self._gap = why
        self._batches.clear()
        self._is_woken.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Batch:
        while not self._batches and self._gap is None:
            self._is_woken.clear()
            await self._is_woken.wait()
        if self._gap is not None:
            raise Gap(self._gap)
        batch = self._batches.popleft()
        self._count -= len(batch.changes)
        return batch


class _Reading:
    """One stream of MongoDB, read in a thread until it ends, fails or is stopped.

    `names` are the public collections that it reads. `opened` and `ended` are done when it has.
    """

    def __init__(
        self,
        target: ChangeStream,
        open_stream: Callable[[], Any],
        batches: "Batches",
        names: frozenset[str],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.names = names
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self.ended.add_done_callback(_take_note)
        self._target = target
        self._open = open_stream
        self._batches = batches
        self._stream: Any = None
        self._window = _Window()
        self._is_stopped = threading.Event()
        threading.Thread(target=self._run, name="changes", daemon=True).start()

    async def stop(self) -> None:
        """Have the thread end, and MongoDB forget the stream; waits for neither of them for long.

        The thread may go on for INTERVAL_S, and as long as the driver waits for a server that is frozen.
        """
        self._is_stopped.set()
        self._window.open()
        if self.ended.done() and not self.ended.cancelled():
            return
        is_closed = asyncio.Event()
        closing = partial(self._close_stream, partial(self._post, is_closed.set))
        threading.Thread(target=closing, name="changes: end", daemon=True).start()
        await comes_in_time(is_closed, CLOSE_TIMEOUT_S)

    def _close_stream(self, note: Callable[[], None]) -> None:
        if self._stream is not None:
            with pymongo.timeout(CLOSE_TIMEOUT_S):
                _close(self._stream)
        note()

    def _post(self, call: Callable[..., object], *arguments: Any) -> None:
        """Have something called in the event loop."""
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(call, *arguments)

    def _run(self) -> None:
        error: Exception | None = None
        try:
            self._read()
        except Exception as failure:  # noqa: BLE001  # whatever it is, the event loop must hear of it
            error = failure
        self._post(self._end, error)

    def _end(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)

    def _read(self) -> None:
        """Read replies and hand them over, in the thread."""
        self._stream = stream = self._open()
        try:
            self._post(self._unless_stopped, self._begin, self._batches.time)
            while stream.alive and not self._is_stopped.is_set():
                reply = self._reply(stream)
                batch, size = self._batches.add(reply), reply.size
                self._window.enter(size)
                self._post(self._unless_stopped, self._hand_over, batch, size)
                if self._batches.is_invalid:
                    return
        finally:
            _close(stream)

    def _begin(self, start: Timestamp) -> None:
        self._target.opened(self, start)
        if not self.opened.done():
            self.opened.set_result(None)

    def abandon(self) -> None:
        """Hand over nothing more: another reading has taken its place."""
        self._is_stopped.set()
        self._window.open()

    def _unless_stopped(self, call: Callable[..., object], *arguments: Any) -> None:
        if not self._is_stopped.is_set():
            call(*arguments)

    def _hand_over(self, batch: Batch, size: int) -> None:
        self._window.leave(size)
        self._target.hand_over(batch)

    def _reply(self, stream: Any) -> "Reply":
        """Read a reply; a stream that breaks for a while is resumed where it was."""
        failures, ends_at_s = 0, monotonic() + RESUME_S
        while True:
            try:
                return read_reply(stream)
            except PyMongoError as error:
                is_lasting = not stream.alive or not is_transient(error) or monotonic() > ends_at_s
                if is_lasting or self._is_stopped.is_set():
                    raise
            self._post(self._unless_stopped, self._target.falter)
            self._is_stopped.wait(RETRY.pause_s(failures))
            failures += 1


def _take_note(ended: "asyncio.Future[None]") -> None:
    """Take note of how a reading has ended: that of one that was stopped is nobody's concern."""
    if not ended.cancelled():
        ended.exception()


class _Window:
    """Keeps the thread from reading on while much of what it has read has not been taken."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0
        self._bytes = 0
        self._is_open = False

    def enter(self, size: int) -> None:
        """Wait until there is room for a batch."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_room(size))
            self._count += 1
            self._bytes += size

    def _has_room(self, size: int) -> bool:
        is_within = self._count < MAXIMUM_PENDING and self._bytes + size <= MAXIMUM_PENDING_BYTES
        return self._is_open or not self._count or is_within

    def leave(self, size: int) -> None:
        """Note that a batch has been taken."""
        with self._changed:
            self._count -= 1
            self._bytes -= size
            self._changed.notify()

    def open(self) -> None:
        """Have nobody wait any more."""
        with self._changed:
            self._is_open = True
            self._changed.notify()


class Reply(NamedTuple):
    """The events of one reply of MongoDB, in BSON, and the resume token after them."""

    events: Sequence[Any]
    token: Mapping[str, Any] | None

    @property
    def size(self) -> int:
        """The bytes of its events."""
        return sum(len(event.raw) for event in self.events)

    @property
    def is_whole(self) -> bool:
        """Whether it ends for want of events, and not for want of room."""
        return len(self.events) < MAXIMUM_BATCH and self.size < FULL_BYTES


def _watch(
    target: Any, pipeline: list[dict[str, Any]], start: Timestamp, wait_s: float, *, has_images: bool
) -> Any:
    """Open a change stream of a driver's synchronous database or collection, after a cluster time."""
    images = "whenAvailable" if has_images else None
    return target.with_options(codec_options=_RAW).watch(
        pipeline,
        full_document=images,
        full_document_before_change=images,
        start_at_operation_time=_after(start),
        max_await_time_ms=int(wait_s * 1000),
        batch_size=MAXIMUM_BATCH,
    )


def _after(time: Timestamp) -> Timestamp:
    """Return the next cluster time.

    What ended a stream, such as a change too large for a reply, would be met again by one that begins at it.
    """
    return Timestamp(time.time, time.inc + 1)


def read_reply(stream: Any) -> Reply:
    """Wait for a reply of MongoDB and return all that it holds; an empty one when nothing has happened."""
    events = []
    event = stream.try_next()
    while event is not None:
        events.append(event)
        event = stream.try_next() if has_buffered(stream) else None
    return Reply(events, stream.resume_token)


def has_buffered(stream: Any) -> bool:
    """Return whether the next event of a driver's change stream is there, without asking MongoDB.

    PyMongo has no public way to ask. One event per round trip would cost MongoDB many times as much.
    """
    return bool(stream._cursor._has_next())  # noqa: SLF001


def time_of(token: Mapping[str, Any] | None) -> Timestamp | None:
    """Return the cluster time that a resume token is of; None where the server makes tokens of its own.

    A token is hexadecimal KeyString: a timestamp, as its type, seconds and increment, and then more.

    >>> time_of({"_data": "826B0DE72F000000042B0229296E04"})
    Timestamp(1796073263, 4)
    """
    text = "" if token is None else token["_data"]
    if not isinstance(text, str) or not text.startswith(_TIMESTAMP):
        return None
    return Timestamp(int(text[2:10], 16), int(text[10:18], 16))


class Batches:
    """Makes batches of MongoDB's replies, and knows up to which time all has been told.

    They are of a stream that begins after `start`.
    `is_invalid` tells that there were changes of which MongoDB tells nothing: a collection was given the name
    of another one, or a reply ended within a transaction that was taken for complete.
    """

    def __init__(self, start: Timestamp) -> None:
        self.time = start
        self.is_invalid = False
        self._first = _after(start)
        self._latest = start

    def add(self, reply: Reply) -> Batch:
        """Make a batch of a reply."""
        changes = [change for event in reply.events if (change := self._change(event)) is not None]
        reached = time_of(reply.token)
        if reached is None or reached == self._first:  # said until something happens, perhaps at that time
            reached = self.time
        if reply.is_whole or reached > self._latest:
            self.time = max(self.time, self._latest, reached)
        return Batch(changes, self.time)

    def _change(self, event: Any) -> StoredChange | None:
        """Read an event; None for one that only follows others."""
        kind, time = event["operationType"], event["clusterTime"]
        if time > self._latest:  # so there is no more of the time before
            self.time, self._latest = max(self.time, self._latest), time
        elif time <= self.time:
            self.is_invalid = True
        operation = _OPERATIONS.get(kind)
        if operation is None:
            return None
        name: str = event["ns"]["coll"]
        if operation == "drop":
            self.is_invalid |= kind == "rename"
            return StoredChange(name, operation, None, None, None, time)
        key = bson.decode(event["documentKey"].raw, CODEC)["_id"]
        before, after = _image(event, "fullDocumentBeforeChange"), _image(event, "fullDocument")
        return StoredChange(name, operation, key, before, after, time)


def _image(event: Any, member: str) -> dict[str, Any] | None:
    """Return an image of a document, None where MongoDB has none, or none that can be read."""
    image = event.get(member)
    try:
        return None if image is None else bson.decode(image.raw, CODEC)
    except InvalidBSON:
        return None


async def replay(
    database: "Database", collection: str, since: Timestamp, until: Timestamp, timeout_s: float
) -> AsyncGenerator[Batch, None]:
    """Read the changes of one collection after a time, up to and including another one; for `aclosing`.

    `until` is a time up to which a stream has been read already. Raises HistoryLost, TimeoutError when it
    takes longer than `timeout_s`, and what the driver raises.
    """
    batches = Batches(since)
    ends_at_s = monotonic() + timeout_s
    target, has_images = database.motor.delegate[collection], await database.keeps_images()
    begin = partial(_watch, target, [], since, REPLAY_INTERVAL_S, has_images=has_images)
    stream = await _run(database, ends_at_s, begin)
    try:
        while batches.time < until:
            reply = await _run(database, ends_at_s, partial(read_reply, stream))
            batch = batches.add(reply)
            if batches.is_invalid or (not stream.alive and batch.time < until):
                raise HistoryLost("invalidated")
            yield batch._replace(changes=[each for each in batch.changes if each.time <= until])
            reached = time_of(reply.token)
            if not reply.events and (reached is None or reached >= until):
                return  # also without a time, on a server of another kind: this was all
    finally:
        with suppress(Busy, DatabaseUnavailable):  # MongoDB ends by itself what it is not told to
            await asyncio.shield(database.pools.scans.run(partial(_close, stream)))


async def _run(database: "Database", ends_at_s: float, call: Callable[[], Result]) -> Result:
    """Run a call of a replay in a thread, in what is left of its time."""
    left_s = ends_at_s - monotonic()
    if left_s <= 0:
        raise TimeoutError
    try:
        with pymongo.timeout(left_s):
            return await database.pools.scans.run(call)
    except PyMongoError as error:
        if error.timeout:
            raise TimeoutError from error
        if (why := _why(error)) in {"history", "too_large"}:
            raise HistoryLost(why) from error
        raise


def _close(stream: Any) -> None:
    """Close a change stream, which another thread may be reading: whatever comes of it, it ends."""
    with suppress(Exception):
        stream.close()
