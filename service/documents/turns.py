"""One change of a document at a time in each worker: those who would race take turns instead."""

from asyncio import Lock
from collections.abc import Hashable
from weakref import WeakValueDictionary


class Turns:
    """Locks by what they guard, which live as long as somebody holds one or waits for it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[Hashable, Lock] = WeakValueDictionary()

    def of(self, guarded: Hashable) -> Lock:
        """Give the one lock of what is guarded; use it at once, in `async with`."""
        lock = self._locks.get(guarded)
        if lock is None:
            lock = self._locks[guarded] = Lock()
        return lock
