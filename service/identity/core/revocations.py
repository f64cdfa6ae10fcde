"""What is valid no more though its time has not come, known to every worker without asking each time."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import structlog
from beanie import BulkWriter
from bson import Timestamp

from models.base import utc_now
from models.revocation import Revocation
from service.access.principals import Principal
from service.kit.errors import TokenOutdated
from service.kit.tasks import Attempts, Backoff, background, comes_in_time
from service.storage import classes
from service.storage.change_stream import Gap
from service.storage.database import Database
from service.storage.errors import DatabaseError
from service.storage.transactions import session

BOUND_S = 2.0
"""How long after it was stored every worker heeds a revocation; mostly it takes some milliseconds."""

STALE_AFTER_S = 30.0
"""How long a worker that hears nothing goes on believing tokens: a failover is over sooner."""

MARGIN = timedelta(minutes=2)
"""How much longer than the tokens that it is about a revocation is kept: clocks differ."""

GONE = 2**53
"""The epoch of an account that is no more: above that of any token."""

MAXIMUM_KNOWN = 500_000
"""Revocations that a worker holds, some 200 bytes each. Beyond it no token is believed until some expire."""

MAXIMUM_PENDING = 10_000
RETRY = Backoff(0.2, 1.0)

COLLECTION = classes.name_of(Revocation)
"""What the change stream must include."""

STORING = ("insert", "update", "replace")
"""The kinds of changes by which a revocation is stored; deleting expired ones is of no interest."""

log = structlog.get_logger("sheaf.revocations")


class Revocations:
    """The revocations that concern tokens which may still be presented; `ttl_s` is how long a token lives.

    A revocation is stored within the transaction of what causes it. This worker heeds it from `catch_up` on,
    every other one within BOUND_S, by a change stream: no request asks the database. A worker that has
    heard nothing for STALE_AFTER_S is not `is_current` any more, and then believes no token. `heard_at_s` is
    when it last did, in seconds since 1970.
    """

    def __init__(
        self, ttl_s: float, *, limit: int = MAXIMUM_KNOWN, stale_after_s: float = STALE_AFTER_S
    ) -> None:
        self._kept_for = timedelta(seconds=ttl_s) + MARGIN
        self._limit = limit
        self._stale_after_s = stale_after_s
        self._known: dict[str, tuple[int, float]] = {}  # epoch and expiry; that which expires first is first
        self._pending: set[str] = set()
        self._current_until_s = -math.inf
        self.heard_at_s = 0.0
        self._is_loaded = asyncio.Event()

    @property
    def is_current(self) -> bool:
        """Return whether this worker knows enough to believe a token."""
        return time.monotonic() < self._current_until_s

    def covers(self, principal: Principal) -> bool:
        """Return whether what a principal was read from has been revoked."""
        known = self._known
        if not known:
            return False
        if principal.session_id is not None and f"session:{principal.session_id}" in known:
            return True
        if principal.key_id is not None and f"key:{principal.key_id}" in known:
            return True
        least = known.get(f"user:{principal.id}")
        return least is not None and principal.epoch < least[0]

    async def check(self, principal: Principal) -> None:
        """Raise TokenOutdated for what has been revoked, by the store and not by what this worker has heard.

        For what outlives the token that it is done with, such as a new key. Joins the present transaction.
        """
        names = (f"session:{principal.session_id}", f"user:{principal.id}")
        self.learn(await _stored(names))
        if self.covers(principal):
            raise TokenOutdated(principal.session_id)

    async def end_session(self, session_id: str) -> None:
        """Revoke the access tokens of a session; joins the present transaction."""
        await self.end_sessions([session_id])

    async def end_sessions(self, session_ids: Iterable[str]) -> None:
        """Revoke the access tokens of sessions, at least one; joins the present transaction."""
        await self._store({f"session:{each}": GONE for each in session_ids})

    async def end_key(self, key_id: str) -> None:
        """Revoke an API key; joins the present transaction."""
        await self._store({f"key:{key_id}": GONE})

    async def outdate_user(self, user_id: str, epoch: int = GONE) -> None:
        """Revoke a user's tokens and remembered keys of earlier epochs; joins the present transaction."""
        await self._store({f"user:{user_id}": epoch})

    async def catch_up(self) -> None:
        """Heed at once what this worker has stored, once that is committed; never raises.

        Within a transaction it does nothing: that is for whoever waits for its end.
        """
        if session() is not None:
            return
        names, self._pending = self._pending, set()
        if not names:
            return
        try:
            found = await _stored(names)
        except DatabaseError:
            return  # the change stream tells it too
        self.learn(found)

    def learn(self, found: Iterable[Mapping[str, Any]]) -> None:
        """Heed stored revocations, and forget those that no token outlives any more."""
        for each in found:
            epoch, expires_at_s = each["epoch"], each["expires_at"].timestamp()
            known = self._known.pop(each["_id"], (epoch, expires_at_s))
            self._known[each["_id"]] = (max(epoch, known[0]), max(expires_at_s, known[1]))
        now_s = time.time()
        while self._known and next(iter(self._known.values()))[1] < now_s:
            del self._known[next(iter(self._known))]

    def hear(self) -> None:
        """Count as current for a while from now on, unless there is more to know than may be held."""
        self._current_until_s = -math.inf if self._has_too_many() else time.monotonic() + self._stale_after_s
        self.heard_at_s = time.time()
        self._is_loaded.set()

    def _has_too_many(self) -> bool:
        """Return whether there is more to know than may be held."""
        return len(self._known) > self._limit

    async def wait_until_loaded(self, timeout_s: float) -> bool:
        """Wait until this worker knows what is revoked; returns whether that came in time."""
        return await comes_in_time(self._is_loaded, timeout_s)

    @asynccontextmanager
    async def following(self, database: Database) -> AsyncIterator[None]:
        """Keep up with the other workers until the context ends."""
        async with background(self._follow(database), "revocations"):
            yield

    async def _follow(self, database: Database) -> None:
        """Load everything and follow what is stored; after any gap load everything again."""
        attempts, has_told = Attempts(RETRY), False
        async for _ in attempts:
            try:
                async for _ in self._heard(database):
                    has_told = False
                    attempts.reset()
            except Gap:
                pass  # the stream has told the log why
            except Exception as error:
                if not has_told:  # one line for an outage, however long
                    unexpected = None if isinstance(error, DatabaseError) else error
                    log.warning("revocations.retrying", reason=type(error).__name__, exc_info=unexpected)
                has_told = True

    async def _heard(self, database: Database) -> AsyncIterator[None]:
        """Yield whenever MongoDB has told what is new, or that nothing is, about once per second."""
        # The load comes within, so that nothing between load and follow is missed.
        async with database.stream.subscribed([COLLECTION]) as subscription:
            # All or nothing: a part of what is revoked is no ground to believe a token on.
            await self._load(database, {}, subscription.time)
            yield
            while not self._has_too_many():  # or else perhaps not any more in a while
                batch = await anext(subscription)
                names = [change.id for change in batch.changes if change.operation in STORING]
                if names:  # what an update has made of them is in no event
                    await self._load(database, {"_id": {"$in": names}}, batch.changes[-1].time)
                self.learn([])
                self.hear()
                yield

    async def _load(self, database: Database, which: Mapping[str, Any], after: Timestamp) -> None:
        """Learn what is stored at a cluster time or later."""
        limit = self._limit + 1
        self.learn(
            await classes.found(database, Revocation, which, after=after, order="expires_at", limit=limit)
        )
        self.hear()

    async def _store(self, epochs: Mapping[str, int]) -> None:
        now = utc_now()
        async with BulkWriter(session()) as writer:
            for name, epoch in epochs.items():
                change = {
                    "$max": {"epoch": epoch, "expires_at": now + self._kept_for},
                    "$set": {"_updated_at": now},
                    "$setOnInsert": {"_version": 1, "_created_at": now},
                }
                await Revocation.find_one({"_id": name}).update(change, bulk_writer=writer, upsert=True)
        if len(self._pending) < MAXIMUM_PENDING:
            self._pending.update(epochs)


async def _stored(names: Collection[str]) -> list[dict[str, Any]]:
    found = await Revocation.find({"_id": {"$in": list(names)}}, session=session()).to_list()
    return [each.model_dump(by_alias=True) for each in found]
