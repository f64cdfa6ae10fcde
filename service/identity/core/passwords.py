"""Passwords: argon2id in a bounded pool of threads with a bounded waiting line, and which may be chosen."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerifyMismatchError

from service.identity.core import strength
from service.kit.errors import Busy, DocumentInvalid, Violation
from service.runtime import deadline
from service.runtime.tracing import span

MINIMUM_CHARACTERS = 8
MAXIMUM_CHARACTERS = 128
"""Bounds the bytes too: at most four per character in UTF-8. Passwords are hashed as sent, not normalised."""

MEMORY_KIB = 19 * 1024
PASSES = 2
LANES = 1
"""Argon2id's least cost, the first choice of OWASP's Password Storage Cheat Sheet."""

MAXIMUM_WAITING = 64
"""How many may wait for a thread; at some 25 ms each, the last waits about a second with two threads."""

MINIMUM_SCORE = 3
"""Of zxcvbn's 0 to 4: more than 10^8 guesses, "safely unguessable" in its words."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one hash costs: memory in KiB and passes over it, in one lane."""

    memory_kib: int = MEMORY_KIB
    passes: int = PASSES


@dataclass(frozen=True, slots=True)
class Demands:
    """What a password must be to be chosen: long enough, and hard enough to guess (0, not at all, to 4)."""

    characters: int = MINIMUM_CHARACTERS
    score: int = MINIMUM_SCORE

    def check(self, password: str, *about: str | None, pointer: str = "/password") -> None:
        """Raise DocumentInvalid unless a password will do; `about` is the owner's address and name.

        The password is in nothing that is raised.
        """
        if len(password) < self.characters:
            fault = Violation(
                f"String should have at least {self.characters} characters", "minLength", pointer
            )
        elif strength.score(password, about) < self.score:
            advice = strength.advice(password, about)
            fault = Violation("The password is too easy to guess", "strength", pointer, hint=advice)
        else:
            return
        raise DocumentInvalid("1 field is invalid", errors=[fault])


@cache
def _decoy(hasher: PasswordHasher) -> str:
    """Give a hash of no account, made once for a hasher because it costs as much as any other."""
    return hasher.hash("a password that no account has")


@cache
def _hasher(cost: Cost) -> PasswordHasher:
    return PasswordHasher(time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=LANES, type=Type.ID)


class Passwords:
    """Hashes and verifies without blocking the event loop, at most `threads` at a time, each at its cost.

    When `waiting` more are in line, every method raises Busy at once: a flood of logins cannot take the
    memory, nor make those in line wait for long. `occupied` is how many run or wait, `refused` how many were
    not taken since the start. `demands` says which passwords may be chosen.
    """

    def __init__(
        self,
        threads: int,
        waiting: int = MAXIMUM_WAITING,
        *,
        cost: Cost = Cost(),
        demands: Demands = Demands(),
    ) -> None:
        self.demands = demands
        self._hasher = _hasher(cost)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self.threads = threads
        self.occupied = self.refused = 0
        self._places = threads + waiting
        self._lock = Lock()
        _decoy(self._hasher)  # before the first caller could tell by the time that it takes
        strength.score("")  # reads the dictionaries

    async def hash_chosen(self, password: str, *about: str | None, pointer: str = "/password") -> str:
        """Give the hash of a password that somebody chose; raises DocumentInvalid as Demands does, Busy."""
        self.demands.check(password, *about, pointer=pointer)
        return await self.hash(password)

    async def hash(self, password: str) -> str:
        """Give the encoded argon2id hash of a password, with a fresh salt; raises Busy."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, hashed: str, password: str) -> bool:
        """Tell whether this is the password of the hash; raises Busy."""
        return await self._run(lambda: self._matches(hashed, password))

    async def verify_decoy(self, password: str) -> None:
        """Do the work of `verify` for an account that does not exist, so time does not tell; raises Busy."""
        await self.verify(_decoy(self._hasher), password)

    def needs_rehash(self, hashed: str) -> bool:
        """Tell whether the hash was made at another cost than today's."""
        return self._hasher.check_needs_rehash(hashed)

    def close(self) -> None:
        """Let the running work end and drop what waits; `hash` and `verify` cannot be used afterwards."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _matches(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except VerifyMismatchError:
            return False

    async def _run(self, work: Callable[[], Result]) -> Result:
        if not self._take_place():
            raise Busy("Too many people are signing in at this moment; try again in a few seconds")
        try:
            future = self._pool.submit(work)
        except RuntimeError:
            self._free_place()
            raise
        # A caller that goes away gives its place back only when its thread is really free again.
        future.add_done_callback(self._free_place)
        with span("argon2"), deadline.lifted():  # the line is bounded, and no database has anybody wait in it
            return await asyncio.wrap_future(future)

    def _take_place(self) -> bool:
        with self._lock:
            is_free = self.occupied < self._places
            if is_free:
                self.occupied += 1
            else:
                self.refused += 1
        return is_free

    def _free_place(self, _: Future[Result] | None = None) -> None:
        with self._lock:
            self.occupied -= 1
