"""Every change of the collections that somebody watches, found out for whom it is something, told to them."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from time import monotonic
from typing import Any, Protocol

import structlog
from bson import Timestamp

from service.changes import entries
from service.changes.cursors import ChangeCursors
from service.changes.entries import Entry, WhyReset
from service.changes.interests import Interest, Texts, Told
from service.changes.predicates import PredicateIndex, keys_of
from service.collections.registry import Collection
from service.kit.errors import DatabaseUnavailable, TooManyFilters
from service.kit.tasks import Breather, background
from service.query.match import ComparisonKey
from service.storage.change_stream import Batch, ChangeStream, StoredChange

MAXIMUM_UNFILED = 500
"""Distinct conditions of one collection that name no value, so that each is asked at every change."""

MAXIMUM_ALIKE = 5000
"""Distinct conditions of one collection that name the same value, so that each is asked where that is met."""

RECENT_S = 300.0
"""How long changes are kept for those who come back, and a collection followed that nobody watches."""

RECENT_BYTES = 32 * 1024 * 1024
"""Of the changes that are kept of one collection, about."""

RECENT_CHANGES = 20_000

OPENING_S = 5.0
"""How long one waits until MongoDB tells the changes of another collection."""

log = structlog.get_logger("sheaf.changes")


class Subscriber(Protocol):
    """Who is told entries, in the event loop and without waiting."""

    def tell(self, told: Sequence[Entry]) -> None:
        """Take entries."""

    def reset(self, why: WhyReset) -> None:
        """Take that what is known is void, and that there will be nothing more."""


class Topic:
    """All who share an interest, and what they are told."""

    __slots__ = ("interest", "pending", "subscribers")

    def __init__(self, interest: Interest) -> None:
        self.interest = interest
        self.subscribers: dict[Subscriber, None] = {}
        self.pending: list[tuple[Timestamp, Told]] = []

    def take(self, change: StoredChange, texts: Texts) -> bool:
        """Find out what a change is to those who share the interest; returns whether it is anything."""
        interest, earlier = self.interest, None
        if interest.depends_on_time:
            earlier = interest.where
            interest = self.interest = interest.as_of_now()
        told = interest.told(change, texts, earlier)
        if told is None:
            return False
        self.pending.append((change.time, told))
        return True

    def reset(self, why: WhyReset) -> None:
        """Have all who share the interest begin anew."""
        for subscriber in [*self.subscribers]:
            subscriber.reset(why)

    def tell(self, cursors: ChangeCursors, before: Timestamp, until: Timestamp) -> int:
        """Tell what was found out since a time, up to another; returns how many entries were told."""
        pending, self.pending = self.pending, []
        told = list(written(self.interest, pending, cursors, before, until))
        for subscriber in [*self.subscribers]:
            subscriber.tell(told)
        return len(told) * len(self.subscribers)


def written(
    interest: Interest,
    pending: Sequence[tuple[Timestamp, Told]],
    cursors: ChangeCursors,
    before: Timestamp,
    until: Timestamp,
) -> Iterator[Entry]:
    """Write entries of changes, with their times, since `before`, of which all up to `until` are there.

    Only the last one of a time has that as its cursor: until then not all of a transaction has been told.
    """
    last = len(pending) - 1
    for position, (at, told) in enumerate(pending):
        is_last = position == last or pending[position + 1][0] != at
        if is_last and at <= until:
            before = at
        yield _entry(told, cursors.write(interest, before))


def _entry(told: Told, cursor: str | None) -> Entry:
    """Write what a change is to somebody as an entry."""
    if told.event == "put":
        return entries.put(told.why, told.text, cursor, told.id, told.version)
    return entries.gone(told.why, cursor, told.id, told.version)


class Feed:
    """The changes of one collection: who is told of them, and those of the last minutes.

    `position` is the time up to which all has been told, `since` that from which on all changes are kept.
    """

    def __init__(self, name: str, position: Timestamp, cursors: ChangeCursors) -> None:
        self.name = name
        self.position = self.since = position
        self._cursors = cursors
        self._topics: dict[str, Topic] = {}
        self._index: PredicateIndex[Topic] = PredicateIndex()
        self._of_all: dict[Topic, None] = {}
        self._recent: deque[tuple[float, int, StoredChange]] = deque()
        self._recent_bytes = 0
        self.left_at_s = monotonic()
        """When the last subscriber left."""

    @property
    def subscribers(self) -> int:
        """How many there are."""
        return sum(len(topic.subscribers) for topic in self._topics.values())

    @property
    def topics(self) -> int:
        """How many distinct interests there are."""
        return len(self._topics)

    def join(self, interest: Interest, subscriber: Subscriber) -> Timestamp:
        """Tell somebody of all that comes after the time that is returned; raises TooManyFilters."""
        topic = self._topics.get(interest.key)
        if topic is None:
            topic = self._open(interest)
        topic.subscribers[subscriber] = None
        return self.position

    def _open(self, interest: Interest) -> Topic:
        topic = Topic(interest)
        if interest.where is None:
            self._of_all[topic] = None
        else:
            keys = keys_of(interest.where)
            if interest.depends_on_time and keys is not None and any(_is_time(value) for _, value in keys):
                keys = None  # they will be others at the next change
            if keys is None and len(self._index.unfiled) >= MAXIMUM_UNFILED:
                raise TooManyFilters(
                    f"Too many different filters of `{self.name}` are watched that name no value",
                    hint="Add a condition that names a value, such as `filter[room]=x`.",
                )
            if keys is not None and self._index.most_alike(keys) >= MAXIMUM_ALIKE:
                raise TooManyFilters(
                    f"Too many different filters of `{self.name}` are watched that name the same value",
                    hint="Add a condition that names another value, such as `filter[room]=x`.",
                )
            self._index.add(topic, keys)
        self._topics[interest.key] = topic
        return topic

    def leave(self, interest: Interest, subscriber: Subscriber) -> None:
        """Tell somebody nothing more."""
        topic = self._topics.get(interest.key)
        if topic is None or topic.subscribers.pop(subscriber, topic) is topic:
            return
        if not topic.subscribers:
            del self._topics[interest.key]
            self._index.remove(topic)
            self._of_all.pop(topic, None)
        if not self._topics:
            self.left_at_s = monotonic()

    def take(self, changes: Sequence[StoredChange], until: Timestamp) -> int:
        """Tell all whom changes concern, which are complete up to a time; returns how many entries."""
        touched: dict[Topic, None] = {}
        failed: dict[Topic, None] = {}
        for change in changes:
            if change.operation == "drop":
                self.reset("definition")
                return 0
            if change.operation != "insert" and change.before is None:  # whom it concerns cannot be known
                self.reset("history")
                return 0
            self._keep(change)
            texts: Texts = {}
            for topic in self._candidates(change):
                try:
                    if topic.take(change, texts):
                        touched[topic] = None
                except Exception:
                    log.exception("changes.failed", collection=self.name)
                    failed[topic] = None
        for topic in failed:  # the others are told
            topic.reset("history")
        before, self.position = self.position, until
        return sum(topic.tell(self._cursors, before, until) for topic in touched)

    def _candidates(self, change: StoredChange) -> Iterable[Topic]:
        yield from self._of_all
        yield from self._index.candidates((change.before, change.after))

    def reset(self, why: WhyReset, position: Timestamp | None = None) -> None:
        """Have all who are told begin anew, and forget what was kept."""
        if position is not None:
            self.position = position
        self.since = self.position
        self._recent.clear()
        self._recent_bytes = 0
        for topic in [*self._topics.values()]:
            topic.reset(why)

    def recent(self, since: Timestamp, until: Timestamp) -> list[StoredChange] | None:
        """Return the changes after a time, up to another; None where they are not kept any more."""
        if since < self.since:
            return None
        found: list[StoredChange] = []
        for _, _, change in reversed(self._recent):
            if change.time <= since:
                break
            if change.time <= until:
                found.append(change)
        found.reverse()
        return found

    def _keep(self, change: StoredChange) -> None:
        size = sum(_size(image) for image in (change.before, change.after) if image is not None)
        now_s = monotonic()
        self._recent.append((now_s, size, change))
        self._recent_bytes += size
        while self._recent and (
            len(self._recent) > RECENT_CHANGES
            or self._recent_bytes > RECENT_BYTES
            or self._recent[0][0] < now_s - RECENT_S
        ):
            _, left, oldest = self._recent.popleft()
            self._recent_bytes -= left
            self.since = oldest.time  # those of one transaction go together: their time is not after it


def _is_time(key: ComparisonKey) -> bool:
    return isinstance(key[1], datetime)


def _size(value: Any) -> int:
    """Return about how many bytes a value takes."""
    if isinstance(value, dict):
        return 100 + sum(_size(each) + len(name) for name, each in value.items())
    if isinstance(value, list):
        return 60 + sum(map(_size, value))
    return 50 + len(value) if isinstance(value, str | bytes) else 30


class Feeds:
    """The feeds of one worker, by their collections; a collection is followed while somebody watches it."""

    def __init__(self, stream: ChangeStream, cursors: ChangeCursors) -> None:
        self.cursors = cursors
        self._stream = stream
        self._feeds: dict[str, Feed] = {}
        self._batches: deque[Batch] = deque()
        self._has_batches = asyncio.Event()
        self.entries = 0
        """Entries told since the start."""
        self.changes = 0
        """Changes taken since the start."""

        self.resets: Counter[str] = Counter()
        """Subscriptions that were reset since the start, by why."""

        self.on_told: Callable[[float], None] | None = None
        """Hears how many seconds after it was stored a change has been told, now and then."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell changes until the context ends."""
        with self._stream.listen(self):
            async with background(self._work(), "feeds of changes"):
                yield

    @property
    def feeds(self) -> Iterable[Feed]:
        """Those that there are."""
        return self._feeds.values()

    async def feed(self, collection: Collection) -> Feed:
        """Return the feed of a collection, followed from now on; raises DatabaseUnavailable."""
        found = self._feeds.get(collection.name)
        if found is not None:
            return found
        position = await self._stream.follow(collection.name, OPENING_S)
        if position is None:
            raise DatabaseUnavailable
        # Another request may have been quicker; what both wait for is the same stream.
        return self._feeds.setdefault(collection.name, Feed(collection.name, position, self.cursors))

    # --- what the stream says

    def changed(self, batch: Batch) -> None:
        """Take a batch of changes."""
        self._batches.append(batch)
        self._has_batches.set()

    def interrupted(self, why: str) -> None:
        """Have everybody begin anew: something may have been missed."""
        self._batches.clear()
        feeds, self._feeds = self._feeds, {}
        for feed in feeds.values():
            feed.reset("history")
        if feeds:
            log.warning("changes.interrupted", reason=why)

    async def _work(self) -> None:
        breather = Breather()
        while True:
            await self._has_batches.wait()
            self._has_batches.clear()
            while self._batches:
                batch = self._batches.popleft()
                for changes, until in _pieces(batch):
                    self._take(changes, until)
                    await breather.breathe()
                self._forget_unwatched()

    def _take(self, changes: Sequence[StoredChange], until: Timestamp) -> None:
        by_name: dict[str, list[StoredChange]] = {}
        for change in changes:
            by_name.setdefault(change.collection, []).append(change)
        for name, feed in [*self._feeds.items()]:
            found = by_name.get(name)
            if found is None:
                feed.position = max(feed.position, until)
                continue
            try:
                self.entries += feed.take([each for each in found if each.time > feed.position], until)
            except Exception:
                log.exception("changes.failed", collection=name)
                feed.reset("history", until)
        self.changes += len(changes)
        if self.on_told is not None and changes:
            stored_at = (changes[-1].after or {}).get("_updated_at")
            if isinstance(stored_at, datetime):
                self.on_told(max(0.0, time.time() - stored_at.timestamp()))

    def _forget_unwatched(self) -> None:
        before_s = monotonic() - RECENT_S
        for name, feed in [*self._feeds.items()]:
            if not feed.topics and feed.left_at_s < before_s:
                del self._feeds[name]
                self._stream.unfollow(name)


PIECE = 64
"""Changes that are told at once, before others may go on; what belongs to one time is never parted."""


def _pieces(batch: Batch) -> Iterator[tuple[Sequence[StoredChange], Timestamp]]:
    """Cut a batch where the time changes; each piece with the time up to which it is complete."""
    changes, begin = batch.changes, 0
    for end in range(1, len(changes)):
        if end - begin >= PIECE and changes[end].time != changes[end - 1].time:
            yield changes[begin:end], changes[end - 1].time
            begin = end
    yield changes[begin:], batch.time
