"""What waits to be sent to one client: bounded, and of each document only the newest state."""

import asyncio
from collections.abc import Hashable, Iterable
from typing import Any, NamedTuple

from service.changes.entries import Entry


class Waiting(NamedTuple):
    """An entry that waits, and the subscription that it is of."""

    source: Any
    entry: Entry


class Mailbox:
    """The entries that wait for one client, oldest first.

    A newer state of a document takes the place of the one that waits, at the end, so that cursors stay in
    order. `put` returns False, and takes nothing, once there would be more than `maximum_entries` or
    `maximum_bytes`.
    """

    __slots__ = ("_bytes", "_future", "_is_closed", "_maximum_bytes", "_maximum_entries", "_waiting")

    def __init__(self, maximum_entries: int, maximum_bytes: int) -> None:
        self._maximum_entries = maximum_entries
        self._maximum_bytes = maximum_bytes
        self._waiting: dict[Hashable, Waiting] = {}
        self._bytes = 0
        self._future: asyncio.Future[None] | None = None
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_closed(self) -> bool:
        """Whether nobody waits any more."""
        return self._is_closed

    def put(self, source: Any, entry: Entry) -> bool:
        """Have an entry wait; returns whether there was room."""
        waiting = self._waiting
        name = (source, entry.id) if entry.id is not None else entry
        replaced = waiting.pop(name, None)
        if replaced is not None:
            self._bytes -= replaced.entry.size_bytes
        self._bytes += entry.size_bytes
        waiting[name] = Waiting(source, entry)
        self._wake()
        return len(waiting) <= self._maximum_entries and self._bytes <= self._maximum_bytes

    def forget(self, source: Any) -> None:
        """Throw away what waits of a subscription."""
        for name, each in [*self._waiting.items()]:
            if each.source is source:
                del self._waiting[name]
                self._bytes -= each.entry.size_bytes

    def ring(self) -> None:
        """Have who waits look, though nothing may be there."""
        self._wake()

    def close(self) -> None:
        """Have nobody wait any more: `wait` returns at once."""
        self._is_closed = True
        self._wake()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until there is something; returns False after `timeout_s`, and when it is closed and empty."""
        if self._waiting or self._is_closed:
            return bool(self._waiting)
        loop = asyncio.get_running_loop()
        self._future = loop.create_future()
        # An `asyncio.timeout` would cost several times what it takes to wake up thousands of clients.
        alarm = None if timeout_s is None else loop.call_later(timeout_s, self._wake)
        try:
            await self._future
        finally:
            self._future = None
            if alarm is not None:
                alarm.cancel()
        return bool(self._waiting)

    def _wake(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def take(self) -> Iterable[Waiting]:
        """Take all that waits."""
        taken, self._waiting, self._bytes = self._waiting, {}, 0
        return taken.values()
