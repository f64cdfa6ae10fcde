"""Lockout: how often passwords and codes may be guessed, exactly, however many guess at once.

A try is taken from its counts in one atomic operation of the database *before* anything is verified, and
given back when it was right. So of a hundred guesses at once as many are verified as the limit allows, on
however many workers. In each worker the changes of one count wait for each other, and those that get no try
are told so by one operation: a flood would else meet itself in the database, which then tries each of its
writes again and again. Time is the database's own. What is guessed at is known only by a keyed hash, and
whether there is such an account is never asked: one that does not exist locks like one that does.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Literal

from models.base import utc_now
from models.lockout import KnownPlace, Lockout
from service.kit.errors import Busy, Locked, SecondFactorAbsent, SecondFactorPresent
from service.kit.sealing import Sealer
from service.storage import classes
from service.storage.classes import is_past, is_to_come
from service.storage.document_queue import DocumentQueue, Waiting
from service.storage.errors import DatabaseError

PLACE_TTL = timedelta(days=90)
"""How long an address is known from which an account has signed in."""

KEPT_S = 86_400
"""How long the guesses at an account are remembered after the last one."""

MAXIMUM_DOUBLINGS = 20
"""Bounds the arithmetic: the longest lock is reached long before."""

PAUSES_S = (0.02, 0.05, 0.1, 0.2, 0.4)
"""How long one waits for tries under way: ten programs may sign in at once with the same right password."""

NOWHERE = "unknown"
"""The address of clients that have none; they count together."""

NOT_VERIFIED = (Busy, SecondFactorAbsent, SecondFactorPresent)
"""What is raised when there was nothing to verify, or nobody to do it; such a try is given back."""

What = Literal["password", "second factor"]
"""What is guessed: each is counted by itself, so that a right password says nothing for a code."""


@dataclass(frozen=True, slots=True)
class Limit:
    """So many tries, then a lock of `first_s` seconds, each next one twice as long, up to `longest_s`.

    The count is forgotten `kept_s` seconds after its last try, or after its first one with `is_window`.
    """

    tries: int
    first_s: float
    longest_s: float
    kept_s: float
    is_window: bool = False


@dataclass(frozen=True, slots=True)
class Guess:
    """One try that was taken and may be made; `wait_s` is set when it was the last before a lock."""

    wait_s: int | None


@dataclass(frozen=True, slots=True)
class _Taken:
    is_admitted: bool
    is_last: bool
    is_undecided: bool
    wait_s: int


class Lockouts:
    """The counts of guesses at each account, and from each address at whichever accounts.

    Where an account has signed in before, its tries are counted apart from those of strangers: whoever
    guesses elsewhere does not lock its owner out. `account_tries` wrong ones begin a lock of `first_s`
    seconds, each next one twice as long, up to `longest_s`; `address_tries` wrong ones within `longest_s`
    end all tries from the address for the rest of that time.
    """

    def __init__(
        self, sealer: Sealer, *, account_tries: int, address_tries: int, first_s: float, longest_s: float
    ) -> None:
        self._sealer = sealer
        self._of_account = Limit(account_tries, first_s, longest_s, KEPT_S)
        self._of_address = Limit(address_tries, longest_s, longest_s, longest_s, is_window=True)
        self._takes: DocumentQueue[Limit] = DocumentQueue()
        self._ends: DocumentQueue[int] = DocumentQueue()

    @asynccontextmanager
    async def guess(self, what: What, account: str, address: str | None) -> AsyncIterator[Guess]:
        """Take a try, for what the block verifies; raises Locked, and then nothing may be verified.

        `account` is the account's `email_key`, whether there is one or not; `address` the client's, as the
        rate limits count it. A block that ends has found the guess right, and the try is given back; one that
        raises has found it wrong, unless it raises one of NOT_VERIFIED. Not for use within a transaction, of
        which the end would undo the count.
        """
        place = address or NOWHERE
        by_address = self._key("address", place)
        by_account, is_known = await self._place(what, account, place)
        taken = await self._take_patiently(by_address, self._of_address)
        if not taken.is_admitted:
            raise _locked(taken.wait_s)
        of_account = await self._take_patiently(by_account, self._of_account)
        if not of_account.is_admitted:
            await self._end_try(by_address, tries_back=1)
            raise _locked(of_account.wait_s)
        try:
            yield Guess(of_account.wait_s if of_account.is_last else None)
        except Exception as failure:
            tries_back = 1 if isinstance(failure, NOT_VERIFIED) else 0
            with suppress(DatabaseError, Busy):  # what went wrong first is what the caller hears
                await self._end_try(by_address, tries_back)
                await self._end_try(by_account, tries_back)
            raise
        await self._end_try(by_address, tries_back=1)  # no more: one right guess does not pay for wrong ones
        if is_known:
            await Lockout.find_one({"_id": by_account}).delete()
        else:
            await self._end_try(by_account, tries_back=1)  # the guesses of others stay counted

    async def remember(self, account: str, address: str | None) -> None:
        """Note that an account's owner was at an address, where the tries then are the owner's own.

        To be called when somebody has signed in, or has proved by a mail to be the owner.
        """
        if address in {None, NOWHERE}:
            return
        now = utc_now()
        change = {
            "$set": {"expires_at": now + PLACE_TTL, "_updated_at": now},
            "$setOnInsert": {"_version": 1, "_created_at": now},
        }
        place = {"_id": self._key("place", account, str(address))}
        await KnownPlace.find_one(place).update(change, upsert=True)

    async def _place(self, what: What, account: str, address: str) -> tuple[str, bool]:
        """Return the key of the tries at an account from an address, and whether it is known there."""
        place = {"_id": self._key("place", account, address), "expires_at": {"$gt": utc_now()}}
        if await KnownPlace.find_one(place) is not None:
            return self._key("known", what, account, address), True
        return self._key("strangers", what, account), False

    async def _take_patiently(self, key: str, limit: Limit) -> _Taken:
        """Take a try; when all are taken by some that are not verified yet, wait for these a little."""
        for pause_s in PAUSES_S:
            taken = await self._take(key, limit)
            if taken.is_admitted or not taken.is_undecided:
                return taken
            await asyncio.sleep(pause_s)
        return await self._take(key, limit)

    async def _take(self, key: str, limit: Limit) -> _Taken:
        """Take a try from a count; raises Busy when very many wait for one."""
        taken: _Taken = await self._takes.submit(key, limit, partial(self._serve_takes, key))
        return taken

    async def _serve_takes(self, key: str, takes: list[Waiting[Limit]]) -> list[Waiting[Limit]]:
        """Take a try for each who waits, until one gets none: neither would the others at that time."""
        taken: _Taken | None = None
        for each in takes:
            if each.future.done():  # nobody waits for it any more
                continue
            if taken is None or taken.is_admitted:
                taken = await self._take_one(key, each.plan)
            each.settle(taken)
        return []

    async def _take_one(self, key: str, limit: Limit) -> _Taken:
        """Take a try from a count in one atomic operation."""
        count = await classes.compute_or_insert(Lockout, key, _taking(limit))
        wait_s = math.ceil((count.free_at - count.asked_at).total_seconds())
        return _Taken(
            is_admitted=count.is_admitted,
            is_last=count.tries >= limit.tries,
            is_undecided=count.pending > 0,
            wait_s=max(wait_s, 1),
        )

    async def _end_try(self, key: str, tries_back: int) -> None:
        """Note that a try was verified, and give it back or not."""
        await self._ends.submit(key, tries_back, partial(self._serve_ends, key))

    async def _serve_ends(self, key: str, ends: list[Waiting[int]]) -> list[Waiting[int]]:
        """Note all tries that were verified meanwhile, also of those who do not wait for it any more."""
        tries_back = sum(each.plan for each in ends)
        less = {
            "tries": {"$max": [0, {"$subtract": ["$tries", tries_back]}]},
            "pending": {"$max": [0, {"$subtract": ["$pending", len(ends)]}]},
        }
        await classes.compute(Lockout, {"_id": key}, [{"$set": less}])
        for each in ends:
            each.settle(None)
        return []

    def _key(self, *parts: str) -> str:
        """Hash with a key: e-mail addresses are few enough to be guessed from plain hashes."""
        return self._sealer.code("lockout", *(part.encode() for part in parts)).hex()


def _taking(limit: Limit) -> list[dict[str, Any]]:
    """Return the update that takes a try if one is left, or if the lock is over, which begins a new round."""
    is_live = is_to_come("$expires_at")
    is_new_round = is_past("$free_at")
    doublings = {"$min": ["$locks", MAXIMUM_DOUBLINGS]}
    doubled_ms = {"$multiply": [limit.first_s * 1000, {"$pow": [2, doublings]}]}
    lock_ms = {"$min": [limit.longest_s * 1000, doubled_ms]}
    kept_until = {"$add": ["$$NOW", limit.kept_s * 1000]}
    begun = {
        "tries": {"$cond": [is_live, "$tries", 0]},
        "pending": {"$cond": [is_live, "$pending", 0]},
        "locks": {"$cond": [is_live, "$locks", 0]},
        "free_at": {"$cond": [is_live, "$free_at", "$$NOW"]},
        "expires_at": {"$cond": [is_live, "$expires_at", kept_until]},
        "asked_at": "$$NOW",
        "_version": 1,
        "_created_at": {"$ifNull": ["$_created_at", "$$NOW"]},
        "_updated_at": "$$NOW",
    }
    is_full = {"$gte": ["$tries", limit.tries]}
    decided = {"is_admitted": {"$or": [{"$not": [is_full]}, is_new_round]}}
    counted = {
        "locks": {"$add": ["$locks", {"$cond": [{"$and": [is_full, "$is_admitted"]}, 1, 0]}]},
        **{
            name: {"$cond": ["$is_admitted", {"$cond": [is_full, 1, {"$add": [f"${name}", 1]}]}, f"${name}"]}
            for name in ("tries", "pending")
        },
    }
    free_at = "$expires_at" if limit.is_window else {"$add": ["$$NOW", lock_ms]}
    expires_at = "$expires_at" if limit.is_window else kept_until
    dated = {
        "free_at": {"$cond": ["$is_admitted", free_at, "$free_at"]},
        "expires_at": {"$cond": ["$is_admitted", expires_at, "$expires_at"]},
    }
    return [{"$set": stage} for stage in (begun, decided, counted, dated)]


def _locked(wait_s: int) -> Locked:
    return Locked(
        f"There were too many wrong tries; try again in {wait_s} second{'' if wait_s == 1 else 's'}",
        headers={"Retry-After": str(wait_s)},
    )
