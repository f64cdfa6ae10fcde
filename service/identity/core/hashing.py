"""Passwords: hashed with argon2id in a bounded pool of threads, and checked for strength when chosen."""

import asyncio
import re
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerifyMismatchError
from zxcvbn_rs_py import zxcvbn

from service.kit.errors import Busy
from service.kit.violations import field_invalid
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
            detail = f"String should have at least {self.characters} characters"
            raise field_invalid(detail, "minLength", pointer)
        if strength(password, about) < self.score:
            hint = advice(password, about)
            raise field_invalid("The password is too easy to guess", "strength", pointer, hint)


@cache
def _decoy(hasher: PasswordHasher) -> str:
    """Return a hash of no account, made once for a hasher because it costs as much as any other."""
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
        strength("")  # reads the dictionaries

    async def hash_chosen(self, password: str, *about: str | None, pointer: str = "/password") -> str:
        """Return the hash of a password that somebody chose; raises DocumentInvalid as Demands does, Busy."""
        self.demands.check(password, *about, pointer=pointer)
        return await self.hash(password)

    async def hash(self, password: str) -> str:
        """Return the encoded argon2id hash of a password, with a fresh salt; raises Busy."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, hashed: str, password: str) -> bool:
        """Return whether this is the password of the hash; raises Busy."""
        return await self._run(lambda: self._matches(hashed, password))

    async def verify_decoy(self, password: str) -> None:
        """Do the work of `verify` for an account that does not exist, so time does not tell; raises Busy."""
        await self.verify(_decoy(self._hasher), password)

    def needs_rehash(self, hashed: str) -> bool:
        """Return whether the hash was made at another cost than today's."""
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


ESTIMATED_CHARACTERS = 32
"""How much of a password is looked at. What is hard to guess so far is not easier with more behind it, and
the estimator's worst input takes 50 ms at this length but half a second at 128. It holds the interpreter's
lock meanwhile, so that a thread would not help; any usual password takes less than 1 ms."""

READ_CHARACTERS = 200

MAXIMUM_WORDS = 12
MINIMUM_WORD_CHARACTERS = 3

_PARTS = re.compile(r"[^\W_]+")


def strength(password: str, about: Iterable[str | None] = ()) -> int:
    """Rate a password from 0, guessed at once, to 4; `about` is what others know of its owner.

    >>> strength("password1"), strength("ada.lovelace", ["Ada.Lovelace@x.io"]), strength("kitchen lamp seven")
    (0, 0, 4)
    """
    return int(zxcvbn(password[:ESTIMATED_CHARACTERS], _words(about)).score)


def advice(password: str, about: Iterable[str | None] = ()) -> str:
    """Say why a password is easy to guess and what to do, without repeating any of it.

    >>> advice("password1")
    'This is a very common password. Add another word or two. Uncommon words are better.'
    """
    feedback = zxcvbn(password[:ESTIMATED_CHARACTERS], _words(about)).feedback
    if feedback is None:
        return "Use more words, or a longer random text."
    warning = [] if feedback.warning is None else [feedback.warning]
    return " ".join(str(sentence) for sentence in (*warning, *feedback.suggestions))


def _words(about: Iterable[str | None]) -> list[str]:
    """Return what an owner's address and name are made of, whole and in parts, at most MAXIMUM_WORDS."""
    texts = [text[:READ_CHARACTERS].partition("@")[0] for text in about if text]
    texts += [text[:READ_CHARACTERS] for text in about if text]
    parts = [part for text in texts for part in _PARTS.findall(text)]
    words = dict.fromkeys(each.lower() for each in (*texts, *parts) if len(each) >= MINIMUM_WORD_CHARACTERS)
    return list(words)[:MAXIMUM_WORDS]
