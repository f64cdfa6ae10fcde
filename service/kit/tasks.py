"""Work beside requests: tasks in the background, when to try again, and long work that lets others go on."""

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Self

import structlog

_LARGEST_EXPONENT = 64


@dataclass(frozen=True, slots=True)
class Backoff:
    """The first pause, the longest one, and how many times as long each is as the one before."""

    first_s: float
    longest_s: float
    growth: float = 2.0

    def pause_s(self, failures: int) -> float:
        """Return the pause when as many attempts have failed before the last one.

        >>> [Backoff(0.2, 1.0).pause_s(failures) for failures in range(4)]
        [0.2, 0.4, 0.8, 1.0]
        """
        return min(self.first_s * self.growth ** min(failures, _LARGEST_EXPONENT), self.longest_s)

    async def sleep(self, failures: int) -> None:
        """Pause for a random part of that time, so that those who met part."""
        await asyncio.sleep(random.uniform(0, self.pause_s(failures)))  # noqa: S311  # no secret


class Attempts:
    """Attempts without end: iterating over them pauses before each but the first."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._failures = 0
        self._has_begun = False

    @property
    def pause_s(self) -> float:
        """The pause before the next attempt."""
        return self._backoff.pause_s(self._failures)

    def reset(self) -> None:
        """Begin again with the first pause, since the present attempt has got somewhere."""
        self._failures = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> None:
        if self._has_begun:
            await asyncio.sleep(self.pause_s)
            self._failures += 1
        self._has_begun = True


BREATH_S = 0.01
"""How long work may go on before others may."""

log = structlog.get_logger("sheaf.tasks")


@asynccontextmanager
async def background(
    work: Coroutine[Any, Any, None], name: str, *, cancel_again_s: float | None = None
) -> AsyncIterator[None]:
    """Run work in a task of its own, which is cancelled at the end of the context and awaited.

    `cancel_again_s` is when to cancel again a task that goes on, since a library in it has taken the
    cancellation for one of its own. An error that ends the task is logged at once.
    """
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_log_error)
    try:
        yield
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=cancel_again_s)


def _log_error(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task.failed", task=task.get_name(), exc_info=error)


async def comes_in_time(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait for an event, for a time at the most; returns whether it came."""
    try:
        async with asyncio.timeout(timeout_s):
            return await event.wait()
    except TimeoutError:
        return False


class Breather:
    """Lets other requests go on between the pieces of long work."""

    __slots__ = ("_began_s",)

    def __init__(self) -> None:
        self._began_s = perf_counter()

    async def breathe(self) -> None:
        """Let others go on if they have waited for BREATH_S."""
        if perf_counter() - self._began_s > BREATH_S:
            await asyncio.sleep(0)
            self._began_s = perf_counter()
