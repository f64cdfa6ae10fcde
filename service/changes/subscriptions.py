"""One subscription: what is there now, what has changed since, and everything that changes from then on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from bson import Timestamp

from service.changes import entries
from service.changes.cursors import ChangePlace, definition_of
from service.changes.entries import Entry, WhyReset
from service.changes.feeds import Feed, Feeds, written
from service.changes.interests import Interest, Told
from service.changes.mailbox import Mailbox
from service.kit.errors import NotLive, ParameterInvalid, Violation
from service.kit.tasks import Breather
from service.storage.change_stream import HistoryLost, StoredChange
from service.storage.database import Database

MAXIMUM_HELD = 10_000
"""Changes that wait while what was there before them is told."""

MAXIMUM_READERS = 32
"""Subscriptions of streams of several that read what they tell first, at once on one worker; others wait."""

FIRST_BATCH = 100
"""Documents of a snapshot's first batch from which on it is worth counting how many there are."""

CATCHING_UP_S = 20.0
"""How long reading changes again from MongoDB may take."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a subscription begins: at a place, else now; with all that is there now if `has_snapshot`."""

    place: ChangePlace | None = None
    has_snapshot: bool = True


class Reset(Exception):
    """A subscription cannot go on: its client begins anew."""

    def __init__(self, why: WhyReset) -> None:
        super().__init__(why)
        self.why = why


class Catching:
    """What a subscription has to be told before the changes to come: a snapshot, and changes since then.

    Shared by streams and polling. `database` reads again what the feed does not keep.
    """

    def __init__(self, feeds: Feeds, database: Database, snapshot_limit: int) -> None:
        self.feeds = feeds
        self.database = database
        self.snapshot_limit = snapshot_limit
        self.readers = asyncio.Semaphore(MAXIMUM_READERS)

    def place(self, interest: Interest, cursor: str, parameter: str) -> ChangePlace:
        """Read a cursor; raises ParameterInvalid, and Reset where the definition or rights have changed."""
        place = self.feeds.cursors.read(interest, cursor, parameter)
        if place.definition != definition_of(interest.collection):
            raise Reset("definition")
        if place.rights != interest.rights:
            raise Reset("rules")
        return place

    async def snapshot(
        self, interest: Interest, position: Timestamp, after_id: Any, limit: int
    ) -> AsyncIterator[list[Entry]]:
        """Read what is there at a time or later, in the order of ids beyond `after_id`; at most `limit`."""
        store = interest.collection.store
        async with aclosing(
            store.snapshot(interest.filter, after=position, beyond=after_id, limit=limit - 1)
        ) as batches:
            async for documents in batches:
                breather = Breather()
                found: list[Entry] = []
                for document in documents:
                    await breather.breathe()
                    found.append(self._snapshot_entry(interest, position, document))
                yield found

    def _snapshot_entry(self, interest: Interest, position: Timestamp, document: dict[str, Any]) -> Entry:
        document_id = document["_id"]
        cursor = self.feeds.cursors.write(interest, position, is_in_snapshot=True, after_id=document_id)
        text = interest.text(document, {})
        return entries.put("snapshot", text, cursor, document_id, document.get("_version"))

    async def changes(
        self, feed: Feed, interest: Interest, since: Timestamp, until: Timestamp
    ) -> AsyncIterator[list[Entry]]:
        """Tell what changed after a time, up to another; raises Reset where that is not known any more."""
        recent = feed.recent(since, until)
        if recent is not None:
            yield await self._told(interest, recent, since, until)
            return
        try:
            async with aclosing(
                self.database.replay(feed.name, since, until, timeout_s=CATCHING_UP_S)
            ) as batches:
                async for batch in batches:
                    yield await self._told(interest, batch.changes, since, batch.time)
                    since = batch.time
        except (HistoryLost, TimeoutError):
            raise Reset("history") from None

    async def _told(
        self, interest: Interest, changes: Sequence[StoredChange], since: Timestamp, until: Timestamp
    ) -> list[Entry]:
        found: list[tuple[Timestamp, Told]] = []
        breather = Breather()
        for change in changes:
            await breather.breathe()
            if change.operation == "drop":
                raise Reset("definition")
            if change.operation != "insert" and change.before is None:
                raise Reset("history")
            told = interest.told(change, {})
            if told is not None:
                found.append((change.time, told))
        return [*written(interest, found, self.feeds.cursors, since, until)]


class Subscription:
    """What one client is told of one interest, through its mailbox.

    `key` is the client's name for it on a stream of several, where entries have `member`. It ends with a
    `reset`: `has_ended`.
    """

    __slots__ = (
        "_feed",
        "_held",
        "_mailbox",
        "_snapshot_until",
        "_versions",
        "catching",
        "has_ended",
        "interest",
        "is_ready",
        "key",
        "member",
        "position",
        "why",
    )

    def __init__(
        self, catching: Catching, interest: Interest, mailbox: Mailbox, key: str | None = None
    ) -> None:
        if not interest.collection.is_live:
            name = interest.collection.name
            raise NotLive(
                f"`{name}` is not live", hint="Set the option `live` in its definition to watch its changes."
            )
        self.catching = catching
        self.interest = interest
        self.key = key
        self.member = b"" if key is None else entries.key_member(key)
        self.has_ended = False
        self.why: WhyReset | None = None
        self.is_ready = False
        self.position: Timestamp | None = None
        self._mailbox = mailbox
        self._feed: Feed | None = None
        self._held: list[Entry] | None = []
        self._versions: dict[Any, Any] = {}  # of the documents of the snapshot
        self._snapshot_until: Timestamp | None = None

    async def begin(self, start: Start) -> AsyncIterator[Sequence[Entry]]:
        """Yield all that is to be told before the changes to come; these wait in the mailbox afterwards.

        Raises what keeps a subscription from beginning before anything is yielded; later failures are resets.
        """
        catching, interest = self.catching, self.interest
        feed = self._feed = await catching.feeds.feed(interest.collection)
        position = self.position = feed.join(interest, self)
        place, versions = start.place, self._versions
        has_snapshot = start.has_snapshot if place is None else place.is_in_snapshot
        snapshot_time = position if place is None else place.time
        cursors = catching.feeds.cursors
        begun = cursors.write(
            interest,
            snapshot_time,
            is_in_snapshot=has_snapshot,
            after_id=None if place is None else place.after_id,
        )
        opening = [entries.at(begun)] if begun else []
        try:
            if has_snapshot:
                async for found in self._snapshot(position, None if place is None else place.after_id):
                    if self.has_ended:  # what is sent after a `reset` would be taken for what is there now
                        return
                    versions.update((entry.id, entry.version) for entry in found)
                    yield [*opening, *found]
                    opening = []
            yield opening
            if versions:
                self._snapshot_until = await catching.database.operation_time()
            if place is not None:
                async for found in catching.changes(feed, interest, place.time, position):
                    if self.has_ended:
                        return
                    yield self._news(found)
        except Reset as failure:
            self.reset(failure.why)
        held, self._held = self._held, None
        cursor = cursors.write(interest, feed.position)  # what comes after it waits in the mailbox
        if self.has_ended:
            return
        self.is_ready = True
        yield [*self._news(held or ()), entries.ready(cursor or "")]

    async def _snapshot(self, position: Timestamp, after_id: Any) -> AsyncIterator[list[Entry]]:
        limit = self.catching.snapshot_limit
        total = 0
        async for found in self.catching.snapshot(self.interest, position, after_id, limit):
            if total == 0 and len(found) >= FIRST_BATCH and await self._is_larger_than(limit):
                raise _too_large(limit)
            total += len(found)
            yield found

    async def _is_larger_than(self, limit: int) -> bool:
        """Count what fulfils the condition, up to one more than the limit: before anything is told."""
        interest = self.interest
        return await interest.collection.store.count_up_to(interest.filter, limit + 1) > limit

    @property
    def cursor(self) -> str | None:
        """The place up to which all has been told, if it lies beyond the one that was asked for last."""
        feed = self._feed
        if feed is None or not self.is_ready or self.has_ended or feed.position == self.position:
            return None
        self.position = feed.position
        return self.catching.feeds.cursors.write(self.interest, feed.position)

    @property
    def reached(self) -> Timestamp | None:
        """The time up to which all is told or waits to be; None while it begins, and once it has ended."""
        return (
            self._feed.position if self._feed is not None and self.is_ready and not self.has_ended else None
        )

    def tell(self, told: Sequence[Entry]) -> None:
        """Take entries from the feed."""
        held = self._held
        if held is not None:
            held.extend(told)
            if len(held) > MAXIMUM_HELD:
                self.reset("overflow")
            return
        put = self._mailbox.put
        for entry in self._news(told) if self._versions else told:
            if not put(self, entry):
                self.reset("overflow")
                return

    def _news(self, told: Sequence[Entry]) -> Sequence[Entry]:
        """Leave out what the snapshot has told already: it is read later than where the changes begin."""
        versions, news = self._versions, list[Entry]()
        for entry in told:
            if _is_told(entry, versions):
                continue
            if entry.event == "gone":  # what is created again under its id begins with the first version
                versions.pop(entry.id, None)
            news.append(entry)
        return news

    def settle(self) -> None:
        """Forget the snapshot, once all is told that was stored while it was read."""
        feed, until = self._feed, self._snapshot_until
        if feed is not None and until is not None and feed.position >= until:
            self._versions, self._snapshot_until = {}, None

    def reset(self, why: WhyReset) -> None:
        """End it: the client forgets what it has, and begins anew."""
        if self.has_ended:
            return
        self.end()
        self.why = why
        self.catching.feeds.resets[why] += 1
        self._mailbox.forget(self)
        self._mailbox.put(self, entries.reset(why))

    def end(self) -> None:
        """Tell nothing more."""
        self.has_ended = True
        if self._feed is not None:
            self._feed.leave(self.interest, self)


async def first_of(beginning: AsyncIterator[Sequence[Entry]]) -> Sequence[Entry]:
    """Return what a subscription tells first: nothing when it was reset before."""
    async for told in beginning:
        return told
    return ()


def _is_told(entry: Entry, versions: dict[Any, Any]) -> bool:
    """Return whether the snapshot has told this state of a document, or a newer one."""
    told = versions.get(entry.id)
    if told is None or entry.version is None:
        return False
    return bool(entry.version <= told if entry.event == "put" else entry.version < told)


def _too_large(limit: int) -> ParameterInvalid:
    detail = f"a live list may begin with {limit} documents at the most"
    hint = "Narrow the filter, or begin with the changes to come by `snapshot=none`."
    return ParameterInvalid(
        detail, hint=hint, errors=[Violation(detail, "too_large", parameter="filter", hint=hint)]
    )
