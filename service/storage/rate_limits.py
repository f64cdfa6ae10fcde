"""Counting requests against a limit that all workers share, without asking the database at each request."""

import asyncio
import math
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog
from limits import RateLimitItem
from limits.aio.storage import Storage
from pymongo import ReturnDocument, WriteConcern
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from service.kit.lru import LruTable
from service.storage.classes import is_to_come

LEASE_SHARE = 0.05
"""Part of a limit that all workers together may hold unspent, and so may refuse too early."""

TABLE_SIZE = 50_000
"""Keys that a worker remembers for each limit; the least recently used one is forgotten, with its lease."""

STORE_TIMEOUT_S = 0.5
"""How long a request waits for the shared count before its worker counts alone."""

STORE_PAUSE_S = 5.0
"""How long a worker counts alone before it asks the failing store again."""

UPSERT_TRIES = 3

log = structlog.get_logger("sheaf.rates")


@dataclass(frozen=True, slots=True)
class Taken:
    """A shared count after taking from it, and the seconds until its window ends."""

    count: int
    reset_in_s: float


class Verdict(NamedTuple):
    """Whether a request is within the limit, how many more would be, and the seconds until a new count."""

    is_admitted: bool
    remaining: int
    reset_in_s: float


class SharedCounts(Storage):
    """Counts of fixed windows in one MongoDB collection, as a storage of the `limits` library.

    A key's window starts with its first request. Time is the database's own, so that the workers' clocks
    do not matter. `collection` is an asynchronous driver's; what it raises, these methods raise.
    """

    STORAGE_SCHEME = None

    def __init__(self, collection: Any) -> None:
        super().__init__()
        # A count lost in a failover is harmless; waiting for the majority at each lease is not.
        self._counts = collection.with_options(
            write_concern=WriteConcern(w=1), read_concern=ReadConcern("local")
        )
        self._has_index = False

    @property
    def base_exceptions(self) -> type[Exception]:
        """Name what the store raises."""
        return PyMongoError

    async def take(self, key: str, window_s: int, amount: int) -> Taken:
        """Add `amount` to the key's count in one atomic operation; a window that is over begins anew."""
        is_live = is_to_come("$expires_at")
        change = {
            "count": {"$cond": [is_live, {"$add": ["$count", amount]}, amount]},
            "expires_at": {"$cond": [is_live, "$expires_at", {"$add": ["$$NOW", window_s * 1000]}]},
            "taken_at": "$$NOW",
        }
        if not self._has_index:  # here and not at the start, when the database may be away
            await self._counts.create_index("expires_at", expireAfterSeconds=0)
            self._has_index = True
        for tries_left in reversed(range(UPSERT_TRIES)):
            try:
                window = await self._counts.find_one_and_update(
                    {"_id": key}, [{"$set": change}], upsert=True, return_document=ReturnDocument.AFTER
                )
                break
            except DuplicateKeyError:  # two workers inserted the key at once; now it is there to update
                if not tries_left:
                    raise
        return Taken(window["count"], (window["expires_at"] - window["taken_at"]).total_seconds())

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add `amount` to the key's count; returns the sum."""
        return (await self.take(key, expiry, amount)).count

    async def get(self, key: str) -> int:
        """Return the count in the key's present window."""
        window = await self._live(key)
        return 0 if window is None else int(window["count"])

    async def get_expiry(self, key: str) -> float:
        """Return the end of the key's window, in seconds since 1970; now when it has none."""
        window = await self._live(key)
        return time.time() if window is None else float(window["expires_at"].timestamp())

    async def check(self) -> bool:
        """Return whether the store answers."""
        try:
            await self._counts.find_one({}, {"_id": 1})
        except PyMongoError:
            return False
        return True

    async def reset(self) -> int:
        """Forget every count; returns how many there were."""
        return int((await self._counts.delete_many({})).deleted_count)

    async def clear(self, key: str) -> None:
        """Forget one key's count."""
        await self._counts.delete_one({"_id": key})

    async def _live(self, key: str) -> Any:
        return await self._counts.find_one({"_id": key, "$expr": is_to_come("$expires_at")})


class _Window:
    """What this worker knows of one key: its unspent lease, what nobody has leased yet, and the end."""

    __slots__ = ("left", "reset_at_s", "unleased")

    def __init__(self, left: int, unleased: int, reset_at_s: float) -> None:
        self.left = left
        self.unleased = unleased
        self.reset_at_s = reset_at_s


class Limiter:
    """One limit, enforced by this worker with shares that it leases from the shared counts.

    Never admits more than the limit while the store answers, and may refuse up to LEASE_SHARE of it too
    early. What is spent may count as several requests, which are admitted together or not at all; refused,
    they may leave this worker with what was leased for them. What is exhausted is remembered, so that a flood
    costs no database calls. While the store fails, each worker counts alone against the same limit.
    `admitted`, `refused` and both kinds of leases are counted since the start.
    """

    def __init__(self, rate: RateLimitItem, counts: SharedCounts, *, workers: int = 1) -> None:
        self.limit = rate.amount
        self.window_s = rate.get_expiry()
        self._rate = rate
        self._counts = counts
        self._share = max(1, int(rate.amount * LEASE_SHARE / workers))
        self._windows: LruTable[str, _Window] = LruTable(TABLE_SIZE)
        self._leases: dict[str, asyncio.Task[None]] = {}
        self._waiting: Counter[str] = Counter()
        self._alone_until_s = -math.inf
        self.admitted = self.refused = 0
        self.leases_of_store = self.leases_alone = 0

    def spend_leased(self, key: str, amount: int = 1) -> Verdict | None:
        """Count `amount` requests if what this worker knows is enough to decide; else return None."""
        window = self._live(key)
        if window is None:
            return None
        reset_in_s = window.reset_at_s - time.monotonic()
        if window.left >= amount:
            window.left -= amount
            self.admitted += 1
            return Verdict(is_admitted=True, remaining=window.left + window.unleased, reset_in_s=reset_in_s)
        remaining = window.left + window.unleased
        if remaining >= amount:
            return None
        self.refused += 1
        return Verdict(is_admitted=False, remaining=remaining, reset_in_s=reset_in_s)

    async def spend(self, key: str, amount: int = 1) -> Verdict:
        """Count `amount` requests, leasing a share for them; requests of one key wait for one lease."""
        verdict = self.spend_leased(key, amount)
        if verdict is not None:
            return verdict
        self._waiting[key] += amount
        try:
            while verdict is None:
                # Shielded: a client that goes away must not take the lease from those who wait with it.
                await asyncio.shield(self._leases.get(key) or self._begin_lease(key))
                verdict = self.spend_leased(key, amount)
        finally:
            self._waiting[key] -= amount
            if not self._waiting[key]:
                del self._waiting[key]
        return verdict

    def _begin_lease(self, key: str) -> "asyncio.Task[None]":
        needed = self._waiting[key]
        known = self._live(key)
        if known is not None:
            needed = min(needed - known.left, known.unleased)
        amount = min(max(self._share, needed), max(self.limit, 1))
        lease = asyncio.create_task(self._lease(key, amount))
        self._leases[key] = lease
        lease.add_done_callback(lambda _: self._leases.pop(key, None))
        return lease

    async def _lease(self, key: str, amount: int) -> None:
        window = await self._shared_window(key, amount) or self._own_window(key)
        known = self._live(key)
        if known is not None:
            window.left += known.left  # too little for the request that asked for more
        self._windows.put(key, window)

    async def _shared_window(self, key: str, amount: int) -> _Window | None:
        """Lease from the store; None while it does not answer."""
        began_s = time.monotonic()
        if began_s < self._alone_until_s:
            return None
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                taken = await self._counts.take(self._rate.key_for(key), self.window_s, amount)
        except (PyMongoError, TimeoutError) as error:
            if self._alone_until_s == -math.inf:
                log.warning("rate limits are counted by each worker alone", reason=repr(error)[:300])
            self._alone_until_s = time.monotonic() + STORE_PAUSE_S
            return None
        self.leases_of_store += 1
        if self._alone_until_s != -math.inf:
            log.info("rate limits are shared by the workers again")
            self._alone_until_s = -math.inf
        granted = min(max(self.limit - (taken.count - amount), 0), amount)
        # Counted from before the call, our window never outlives the store's.
        return _Window(granted, max(self.limit - taken.count, 0), began_s + taken.reset_in_s)

    def _own_window(self, key: str) -> _Window:
        """Count alone: with what nobody had leased when the store last answered, or with the whole limit."""
        self.leases_alone += 1
        known = self._live(key)
        if known is not None:
            return _Window(known.unleased, 0, known.reset_at_s)
        return _Window(self.limit, 0, time.monotonic() + self.window_s)

    def _live(self, key: str) -> _Window | None:
        """Return what is known of a key, unless its time is over."""
        known = self._windows.get(key)
        return known if known is not None and known.reset_at_s > time.monotonic() else None
