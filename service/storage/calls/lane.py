"""A lane: threads for one kind of calls."""

import asyncio
import threading
from collections.abc import Callable, Hashable
from functools import partial
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Protocol, TypeVar

from service.kit.errors import Busy, DatabaseUnavailable
from service.runtime import database_time, deadline
from service.runtime.tracing import Attributes, span
from service.storage.calls.work import Call, SharedCall, Work

JOINED: Attributes = {"db.system.name": "mongodb", "sheaf.joined": True}
"""What traces tell of a call that others have asked for already."""

MAXIMUM_WAITING = 2000
"""Calls of one lane that may wait; beyond it they are refused at once."""

PATIENCE_S = 0.01
"""How long calls wait while no thread of their lane takes one, before another thread is started."""

IDLE_S = 10.0
"""How long a thread waits for work before it ends, unless it is the last of its lane."""

UNNEEDED = 200
"""A thread that finds so many times in a row that nothing waits ends too: fewer threads join more."""

Result = TypeVar("Result")


class Owner(Protocol):
    """What a lane belongs to."""

    timeout_s: float
    is_closed: bool
    loop: asyncio.AbstractEventLoop | None

    def tell(self, lane: "Lane", work: Work, took_s: float) -> None:
        """Have the event loop settle a work that was done."""


class Lane:
    """Threads of one kind of calls, which keep up only each other.

    There is one from the first call on; more are started, up to a bound, while calls wait and
    none is taken, so that those that take seconds leave threads to the others. The counts are for those who
    watch: `calls` have run, which have served so many requests in so many seconds of a thread's time.
    """

    def __init__(self, calls: "Owner", name: str, most_threads: int, patience_s: float = PATIENCE_S) -> None:
        self.name = name
        self.most_threads = most_threads
        self._patience_s = patience_s
        self.calls = 0
        self.served = 0
        self.seconds = 0.0
        self._calls = calls
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._threads: set[threading.Thread] = set()
        self._leaving = threading.Lock()
        self._busy: dict[threading.Thread, Work] = {}
        self._last_taken_s = 0.0
        self._shared: dict[Hashable, SharedCall] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that uses the lane; remembered, for to ask for it is a system call (getpid)."""
        loop = self._calls.loop
        if loop is None:
            loop = self._calls.loop = asyncio.get_running_loop()
        return loop

    @property
    def waiting(self) -> int:
        """The number of calls that wait for a thread."""
        return self._queue.qsize()

    @property
    def running(self) -> int:
        """The number of calls that run."""
        return len(self._busy)

    @property
    def threads(self) -> int:
        """The number of threads."""
        return len(self._threads)

    async def run(self, call: Callable[[], Result]) -> Result:
        """Run a synchronous call in a thread; gives what it gives, raises what it raises.

        It runs in the caller's context, and within what is left of the time of the caller's request. If the
        caller gives up before it has begun, it is not run. Raises Busy and DatabaseUnavailable.
        """
        future: asyncio.Future[Result] = self.loop.create_future()
        self.put(Call(call, future, self._calls.timeout_s))
        with database_time.counted():
            return await future

    async def share(self, key: Hashable, call: Callable[[], Result]) -> Result:
        """Run a synchronous call as `run` does, once for all who ask for the same before it has begun.

        They get one result, which they must not change.
        """
        future: asyncio.Future[Result] = self.loop.create_future()
        waiting = future, deadline.ends_at_s()
        shared = self._shared.get(key)
        joins = shared is not None and shared.add(waiting)
        if not joins:
            shared = SharedCall(call, waiting, self._calls.timeout_s)
            self.put(shared)
            self._shared[key] = shared
            future.add_done_callback(partial(self._forget, key, shared))
        if not joins:  # the call itself is a part of this one's trace
            with database_time.counted():
                return await future
        with span("shared query", "client", JOINED), database_time.counted():
            return await future

    def _forget(self, key: Hashable, shared: SharedCall, _: object) -> None:
        if self._shared.get(key) is shared:
            del self._shared[key]

    def put(self, work: Work) -> None:
        """Have work done, in the order of arrival; raises Busy, and DatabaseUnavailable after the end."""
        if self._calls.is_closed:
            raise DatabaseUnavailable
        if self._queue.qsize() >= MAXIMUM_WAITING:
            raise Busy
        self._queue.put(work)
        if self._timer is None:  # even while a thread is idle: what it takes may keep it, and the rest wait
            self._watch()

    def put_again(self, work: Work) -> None:
        """Have more of a work done that has run, from its thread."""
        self._queue.put(work)

    def _watch(self) -> None:
        """Start the first thread now, and another one whenever no call is taken for a while."""
        if not self._threads:
            self._start_thread()
        if len(self._threads) < self.most_threads:
            loop = self.loop
            self._timer = loop.call_later(self._patience_s, self._grow_if_stuck)

    def _grow_if_stuck(self) -> None:
        self._timer = None
        if self._queue.empty() or self._calls.is_closed:
            return
        if perf_counter() - self._last_taken_s >= self._patience_s:
            self._start_thread()
        self._watch()

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"calls: {self.name}", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _work(self) -> None:
        """Do what waits, until told to end, or until there has been nothing for a while."""
        thread = threading.current_thread()
        unneeded = 0
        while (work := self._next()) is not None:
            began_s = self._last_taken_s = perf_counter()
            self._busy[thread] = work
            try:
                work.run()
            finally:
                del self._busy[thread]
            self._calls.tell(self, work, perf_counter() - began_s)
            unneeded = unneeded + 1 if self._queue.empty() else 0
            if unneeded >= UNNEEDED and self._may_leave(thread):
                return
        self._threads.discard(thread)

    def _next(self) -> Work | None:
        while True:
            try:
                return self._queue.get(timeout=IDLE_S)
            except Empty:
                if self._may_leave(threading.current_thread()):
                    return None

    def _may_leave(self, thread: threading.Thread) -> bool:
        """Take a thread out unless it is the last: two at once would leave nobody to take what comes then."""
        with self._leaving:
            if len(self._threads) > 1 and self._queue.empty():
                self._threads.discard(thread)
                return True
        return False

    def close(self) -> list[threading.Thread]:
        """Refuse what waits and tell the threads to end; gives them."""
        if self._timer is not None:
            self._timer.cancel()
        while True:
            try:
                work = self._queue.get_nowait()
            except Empty:
                break
            if work is not None:
                work.fail(DatabaseUnavailable())
        threads = list(self._threads)
        for _ in threads:
            self._queue.put(None)
        return threads

    def abandon(self) -> None:
        """Tell those who wait for what still runs that nobody will tell them what comes of it."""
        for work in list(self._busy.values()):
            work.fail(DatabaseUnavailable())
