"""Passwords: argon2id in a bounded pool of threads with a bounded waiting line."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from threading import BoundedSemaphore
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerifyMismatchError

from service.errors import Busy

MINIMUM_CHARACTERS = 8
MAXIMUM_CHARACTERS = 128
"""Bounds the bytes too: at most four per character in UTF-8. Passwords are hashed as sent, not normalised."""

MEMORY_KIB = 19 * 1024
PASSES = 2
LANES = 1
"""Argon2id's cost, the first choice of OWASP's Password Storage Cheat Sheet."""

MAXIMUM_WAITING = 64
"""How many may wait for a thread; at some 25 ms each, the last waits about a second with two threads."""

Result = TypeVar("Result")

_HASHER = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES, type=Type.ID)


@cache
def _decoy() -> str:
    """Give a hash of no account, made once in a process because it costs as much as any other."""
    return _HASHER.hash("a password that no account has")


class Passwords:
    """Hashes and verifies without blocking the event loop, at most `threads` at a time, 19 MiB each.

    When `waiting` more are in line, every method raises Busy at once: a flood of logins cannot take the
    memory, nor make those in line wait for long.
    """

    def __init__(self, threads: int, waiting: int = MAXIMUM_WAITING) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._places = BoundedSemaphore(threads + waiting)
        _decoy()  # before the first caller could tell by the time that it takes

    async def hash(self, password: str) -> str:
        """Give the encoded argon2id hash of a password, with a fresh salt; raises Busy."""
        return await self._run(lambda: _HASHER.hash(password))

    async def verify(self, hashed: str, password: str) -> bool:
        """Tell whether this is the password of the hash; raises Busy."""
        return await self._run(lambda: self._matches(hashed, password))

    async def verify_decoy(self, password: str) -> None:
        """Do the work of `verify` for an account that does not exist, so time does not tell; raises Busy."""
        await self.verify(_decoy(), password)

    def needs_rehash(self, hashed: str) -> bool:
        """Tell whether the hash was made at another cost than today's."""
        return _HASHER.check_needs_rehash(hashed)

    def close(self) -> None:
        """Let the running work end and drop what waits; `hash` and `verify` cannot be used afterwards."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _matches(self, hashed: str, password: str) -> bool:
        try:
            return _HASHER.verify(hashed, password)
        except VerifyMismatchError:
            return False

    async def _run(self, work: Callable[[], Result]) -> Result:
        if not self._places.acquire(blocking=False):
            raise Busy("Too many people are signing in at this moment; try again in a few seconds")
        try:
            future = self._pool.submit(work)
        except RuntimeError:
            self._places.release()
            raise
        # A caller that goes away gives its place back only when its thread is really free again.
        future.add_done_callback(self._free_place)
        return await asyncio.wrap_future(future)

    def _free_place(self, _: Future[Result]) -> None:
        self._places.release()
