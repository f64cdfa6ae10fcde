"""Threads for the driver's synchronous calls: few, in lanes, and the event loop told once of many results."""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

import structlog

from service.storage.calls.lane import Lane
from service.storage.calls.work import Work, within

__all__ = ["Calls", "Lane", "Slow", "Work", "within"]

CLOSE_TIMEOUT_S = 1.0

TOGETHER_PATIENCE_S = 0.03
"""How long what goes together waits while no thread takes it, before there is another one."""

Thing = TypeVar("Thing")

log = structlog.get_logger("sheaf.calls")


@dataclass(frozen=True, slots=True)
class Slow:
    """A call that took long: in which lane, what was called, for how many requests, and for how long."""

    lane: str
    subject: Any
    size: int
    took_s: float


class Calls:
    """The lanes of one connection: what is slow in one of them holds up no other.

    `quick` is for reads by id, `creates` for inserts, `writes` for changes of single documents, `lists` for
    lists, `scans` for what may look at very many documents, such as counting. `timeout_s` is the driver's own
    bound of one operation.

    `on_done`, if set, is called in the event loop after each call with its lane, itself and its seconds;
    `on_slow` in a thread after one of at least `slow_s` seconds. Neither may raise.
    """

    def __init__(self, timeout_s: float, connections: int) -> None:
        self.timeout_s = timeout_s
        # together they leave a fifth of the connections to what calls by Motor's coroutines
        most_threads, fewer_threads = max(1, connections // 5), max(1, connections // 10)
        self.quick = Lane(self, "quick", min(4, most_threads))
        # of these and of lists, those that wait go together, which costs less than at the same time
        self.creates = Lane(self, "creates", min(8, fewer_threads), patience_s=TOGETHER_PATIENCE_S)
        # each of these goes by itself, and waits for a majority of servers
        self.writes = Lane(self, "writes", min(16, most_threads), patience_s=0)
        self.lists = Lane(self, "lists", min(12, most_threads), patience_s=TOGETHER_PATIENCE_S)
        self.scans = Lane(self, "scans", min(4, fewer_threads))
        self.lanes = (self.quick, self.creates, self.writes, self.lists, self.scans)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.is_closed = False
        self.slow_s = math.inf
        self.on_slow: Callable[[Slow], None] | None = None
        self.on_done: Callable[[Lane, Work, float], None] | None = None
        self._one_of: dict[Callable[[Calls], Any], Any] = {}
        self._done: deque[tuple[Lane, Work, float]] = deque()
        self._is_told = False

    def once(self, make: "Callable[[Calls], Thing]") -> Thing:
        """Give the one thing that all who use this connection share, made at first."""
        if make not in self._one_of:
            self._one_of[make] = make(self)
        thing: Thing = self._one_of[make]
        return thing

    def tell(self, lane: Lane, work: Work, took_s: float) -> None:
        """Have the event loop settle a work; called by a thread.

        The loop is told once of all that is done until it comes to it.
        """
        self._done.append((lane, work, took_s))
        if not self._is_told and self.loop is not None:
            self._is_told = True
            try:
                self.loop.call_soon_threadsafe(self._settle)
            except RuntimeError:  # the loop is closed: nobody waits any more
                self._is_told = False
        if took_s >= self.slow_s and self.on_slow is not None:
            self.on_slow(Slow(lane.name, work.subject, work.size, took_s))

    def _settle(self) -> None:
        self._is_told = False  # first, so that what is done from now on is told of
        while self._done:
            lane, work, took_s = self._done.popleft()
            lane.calls += 1
            lane.served += work.size
            lane.seconds += took_s
            try:
                work.settle()
            except Exception:
                log.exception("calls.not_settled", lane=lane.name)
            if self.on_done is not None:
                self.on_done(lane, work, took_s)

    def close(self) -> None:
        """Refuse what waits, and end the threads; those that MongoDB keeps longer than a moment are left."""
        self.is_closed = True
        ends_at_s = monotonic() + CLOSE_TIMEOUT_S
        for thread in [thread for lane in self.lanes for thread in lane.close()]:
            thread.join(max(0.0, ends_at_s - monotonic()))
        if self.loop is None or self.loop.is_closed():
            return
        self._settle()
        for lane in self.lanes:
            lane.abandon()
