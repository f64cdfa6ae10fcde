"""Work beside requests: tasks in the background, and long work that lets others go on."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

import structlog

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
