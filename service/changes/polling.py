"""Polling: the same entries in pages, for clients that keep no stream open."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from service.changes.cursors import ChangePlace, definition_of
from service.changes.entries import Entry
from service.changes.interests import Interest
from service.changes.mailbox import Mailbox
from service.changes.subscriptions import Catching, Reset, Start, Subscription

DEFAULT_LIMIT = 500
MAXIMUM_LIMIT = 1000
"""Entries of one page."""

MAXIMUM_WAIT_S = 30
"""How long a client may have its answer held until there is something."""


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, the cursor of what comes after them, and whether that is still to come."""

    entries: Sequence[Entry]
    following: str | None
    is_up_to_date: bool


@dataclass(frozen=True, slots=True)
class Poll:
    """What a client polls for: at most `limit` entries from `start` on; it waits `wait_s` for the first."""

    start: Start
    limit: int = DEFAULT_LIMIT
    wait_s: float = 0.0


async def poll(subscription: Subscription, asked: Poll, mailbox: Mailbox) -> Page:
    """Return the page that a client asks for; raises Reset, and what `Subscription` raises.

    `mailbox` is the subscription's, where the changes arrive that are waited for; closed, nothing is.
    """
    catching, interest = subscription.catching, subscription.interest
    feed = await catching.feeds.feed(interest.collection)
    place = asked.start.place or ChangePlace(
        feed.position,
        definition_of(interest.collection),
        interest.rights,
        is_in_snapshot=asked.start.has_snapshot,
    )
    if place.is_in_snapshot:
        return await _snapshot(catching, interest, asked, place)
    return await _changes(subscription, asked, place, mailbox)


async def _snapshot(catching: Catching, interest: Interest, asked: Poll, place: ChangePlace) -> Page:
    """Return a page of what is there, in the order of ids; changes come after the last one."""
    found = list[Entry]()
    documents = catching.snapshot(interest, place.time, place.after_id, asked.limit)
    async with aclosing(cast("Any", documents)) as batches:
        async for told in batches:
            found += told
    if len(found) == asked.limit and found[-1].cursor is not None:
        return Page(found, found[-1].cursor, is_up_to_date=False)
    return Page(found, catching.feeds.cursors.write(interest, place.time), is_up_to_date=False)


async def _changes(subscription: Subscription, asked: Poll, place: ChangePlace, mailbox: Mailbox) -> Page:
    """Return a page of what has changed since a place, of each document the newest state."""
    cursors = subscription.catching.feeds.cursors
    found = _Found(asked.limit, cursors.write(subscription.interest, place.time))
    reached: str | None = None
    try:
        async with aclosing(cast("Any", subscription.begin(Start(place)))) as beginning:
            async for told in beginning:
                for entry in told:
                    if entry.id is None:
                        reached = entry.cursor
                    elif not found.add(entry):
                        return found.part()
        if not found.entries:
            await mailbox.wait(asked.wait_s)
        for waiting in mailbox.take():
            if waiting.entry.id is not None and not found.add(waiting.entry):
                return found.part()
            reached = waiting.entry.cursor or reached
        if subscription.why is not None:
            raise Reset(subscription.why)
        return Page([*found.entries.values()], subscription.cursor or reached, is_up_to_date=True)
    finally:
        subscription.end()


class _Found:
    """The entries of a page, which does not end within what one transaction changed."""

    def __init__(self, limit: int, cursor: str | None) -> None:
        self.entries: dict[Any, Entry] = {}
        self._limit = limit
        self._reached = cursor
        self._is_whole = True

    def add(self, entry: Entry) -> bool:
        """Add an entry in the place of an older one of its document; returns whether the page had room."""
        if len(self.entries) >= self._limit and self._is_whole:
            return False
        self.entries.pop(entry.id, None)
        self.entries[entry.id] = entry
        self._is_whole = entry.cursor != self._reached
        self._reached = entry.cursor
        return True

    def part(self) -> Page:
        """Return the page, which more follows."""
        return Page([*self.entries.values()], self._reached, is_up_to_date=False)
