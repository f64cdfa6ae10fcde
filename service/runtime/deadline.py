"""How long a client waits for its answer: one clock for each request, which long operations stop."""

import asyncio
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from service.kit.errors import DatabaseUnavailable

TICK_S = 0.1
"""How late an alarm may ring. One timer serves all, because one each would cost more than the rest."""


SHORTEST_S = 0.001
"""What is given who has no time left: the driver takes none at all for a time without end."""


class Watch:
    """Has each alarm ring whose time has come, in one event loop."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._alarms: set[Alarm] = set()
        self._is_ticking = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def task(self) -> "asyncio.Task[Any]":
        """Return the present task; the loop is remembered, because asking for it is a system call."""
        task = None if self._loop is None else asyncio.current_task(self._loop)
        if task is None:
            self._loop = asyncio.get_running_loop()
            task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("an alarm is for a task")
        return task

    def add(self, alarm: "Alarm") -> None:
        """Look after an alarm, until `remove`."""
        self._alarms.add(alarm)
        if not self._is_ticking:
            self._is_ticking = True
            asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def remove(self, alarm: "Alarm") -> None:
        """Forget an alarm, which may be forgotten already."""
        self._alarms.discard(alarm)

    def _tick(self) -> None:
        now_s = time.monotonic()
        for alarm in [each for each in self._alarms if each.ends_at_s <= now_s]:
            alarm.ring()
        self._is_ticking = bool(self._alarms)
        if self._is_ticking:
            asyncio.get_running_loop().call_later(TICK_S, self._tick)


class Alarm:
    """Cancels what a task does from `begin` on when `ends_at_s` has come; `close` returns whether it did.

    As `asyncio.timeout` does, at a fraction of its cost, and up to TICK_S late.
    """

    __slots__ = ("_cancelling", "_has_rung", "_is_over", "_task", "_watch", "ends_at_s")

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._has_rung = False
        self._is_over = False
        self._task: asyncio.Task[Any] | None = None
        self.ends_at_s = math.inf

    def end(self) -> None:
        """Stop for good."""
        self._is_over = True
        self.ends_at_s = math.inf
        self._watch.remove(self)

    def ring(self) -> None:
        """Cancel what runs."""
        self.end()
        if self._task is not None:
            self._has_rung = True
            self._task.cancel()

    def begin(self) -> None:
        """Bound the present task from now on."""
        self._task = task = self._watch.task()
        self._cancelling = task.cancelling()
        self._watch.add(self)

    def close(self) -> bool:
        """End, and take back the cancellation; returns whether there was one, and no other beside it."""
        if not self._is_over:
            self.end()
        task = self._task
        self._task = None  # its context may have this: each would hold the other until collected
        if task is None or not self._has_rung:
            return False
        return task.uncancel() <= self._cancelling


class Clock(Alarm):
    """Bounds what one request does from `begin` on: when its time is over, `cause_of` returns why.

    The driver's own timeout bounds one call once it runs; this bounds also the wait for a thread to run it,
    and all calls of one request together. What a write that was cut off has done is not known then.
    """

    __slots__ = ()

    def stop(self) -> None:
        """Let what runs take its time, until `start`."""
        self.ends_at_s = math.inf

    def start(self) -> None:
        """Let the whole time begin anew."""
        if not self._is_over:
            self.ends_at_s = time.monotonic() + self._watch.timeout_s

    def begin(self) -> None:
        """Bound the present task, and those that it starts, from now on."""
        self.start()
        super().begin()
        _running.set(self)

    def cause_of(self, error: BaseException) -> BaseException:
        """Return DatabaseUnavailable for the cancellation that was this clock's doing, else the error."""
        is_ours = self.close()
        return DatabaseUnavailable() if is_ours and isinstance(error, asyncio.CancelledError) else error


_running: ContextVar[Clock | None] = ContextVar("running", default=None)


def ends_at_s() -> float:
    """Return when the present request's time ends, by `time.monotonic`; infinity where nothing bounds it."""
    clock = _running.get()
    return math.inf if clock is None else clock.ends_at_s


def remaining_s() -> float:
    """Return how many seconds the present request has left; infinity where nothing bounds it."""
    return ends_at_s() - time.monotonic()


def at_most_s(limit_s: float) -> float:
    """Return a limit in seconds, or what the present request has left if that is less, never quite zero.

    >>> at_most_s(2.0)
    2.0
    """
    return min(limit_s, max(SHORTEST_S, remaining_s()))


@contextmanager
def lifted() -> Iterator[None]:
    """Stop the clock of the present request, if there is one, during an operation that has its own bound."""
    clock = _running.get()
    if clock is None:
        yield
        return
    clock.stop()
    try:
        yield
    finally:
        clock.start()
