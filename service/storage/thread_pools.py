"""Threads for the driver's synchronous calls: a pool for each kind of call.

Most of what a call of Motor costs is its hop through a thread and back. Here few threads take one call
after the other, and the event loop is woken once for all results that are there.
"""

import asyncio
import math
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic, perf_counter
from typing import Any, Generic, TypeVar, cast

import pymongo
import structlog

from service.kit.errors import Busy, DatabaseUnavailable
from service.runtime import database_time, deadline

MAXIMUM_WAITING = 2000
"""ThreadPools of one pool that may wait; beyond it they are refused at once."""

PATIENCE_S = 0.01
"""How long calls wait while no thread of their pool takes one, before another thread is started."""

BATCHING_PATIENCE_S = 0.03
"""The same for pools whose waiting calls are batched: one batch costs less than two at the same time."""

IDLE_S = 10.0
"""How long a thread waits for work before it ends, unless it is the last of its pool."""

UNNEEDED = 200
"""A thread that finds so many times in a row that nothing waits ends too: fewer threads batch more."""

CLOSE_TIMEOUT_S = 1.0

Result = TypeVar("Result")
Thing = TypeVar("Thing")

log = structlog.get_logger("sheaf.calls")


class Work(ABC):
    """What a thread of a pool does, and what the event loop makes of it then."""

    __slots__ = ()

    size = 1
    """How many requests are served by it; known once it has run."""

    subject: Any = None
    """What is called, for those who want to know what took so long."""

    @abstractmethod
    def run(self) -> None:
        """Do it, in a thread, and keep what comes of it; raises nothing."""

    @abstractmethod
    def settle(self) -> None:
        """Hand the outcome to those who wait, in the event loop, after `run`."""

    @abstractmethod
    def fail(self, error: Exception) -> None:
        """Fail those who wait, in the event loop, when it will not be run."""


class Call(Work, Generic[Result]):
    """One call for one caller."""

    __slots__ = ("_context", "_ends_at_s", "_error", "_future", "_result", "_timeout_s", "subject")

    def __init__(
        self, call: Callable[[], Result], future: "asyncio.Future[Result]", timeout_s: float
    ) -> None:
        self.subject = call
        self._future = future
        self._timeout_s = timeout_s
        self._ends_at_s = deadline.ends_at_s()
        self._context: Context = copy_context()
        self._result: Result | None = None
        self._error: Exception | None = None

    def run(self) -> None:
        """Run it, unless nobody waits any more."""
        if self._future.done():
            return
        try:
            self._result = self._context.run(self._run)
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller must hear of it
            self._error = error

    def _run(self) -> Result:
        with within(self._ends_at_s, self._timeout_s):
            return cast("Result", self.subject())

    def settle(self) -> None:
        """Hand the caller the outcome."""
        if self._future.done():
            return
        if self._error is None:
            self._future.set_result(cast("Result", self._result))
        else:
            self._future.set_exception(self._error)

    def fail(self, error: Exception) -> None:
        """Fail the caller."""
        if not self._future.done():
            self._future.set_exception(error)


@contextmanager
def within(ends_at_s: float, timeout_s: float) -> Iterator[None]:
    """Bound the driver by a time of the monotonic clock where that comes before the end of its own timeout.

    Raises DatabaseUnavailable when it has come already.
    """
    left_s = ends_at_s - monotonic()
    if left_s <= 0:
        raise DatabaseUnavailable
    if left_s >= timeout_s:
        yield
        return
    with pymongo.timeout(left_s):
        yield


class ThreadPool:
    """Threads of one kind of calls, which keep up only each other.

    There is one from the first call on; more are started, up to a bound, while calls wait and
    none is taken, so that those that take seconds leave threads to the others. The counts are for those who
    watch: `calls` have run, which have served so many requests in so many seconds of a thread's time.
    """

    def __init__(
        self, pools: "ThreadPools", name: str, most_threads: int, patience_s: float = PATIENCE_S
    ) -> None:
        self.name = name
        self.most_threads = most_threads
        self._patience_s = patience_s
        self.calls = 0
        self.served = 0
        self.seconds = 0.0
        self._pools = pools
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._threads: set[threading.Thread] = set()
        self._leaving = threading.Lock()
        self._busy: dict[threading.Thread, Work] = {}
        self._last_taken_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that uses the pool; remembered, for to ask for it is a system call (getpid)."""
        loop = self._pools.loop
        if loop is None:
            loop = self._pools.loop = asyncio.get_running_loop()
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
        """Run a synchronous call in a thread; returns what it gives, raises what it raises.

        It runs in the caller's context, and within what is left of the time of the caller's request. If the
        caller gives up before it has begun, it is not run. Raises Busy and DatabaseUnavailable.
        """
        future: asyncio.Future[Result] = self.loop.create_future()
        self.put(Call(call, future, self._pools.timeout_s))
        with database_time.counted():
            return await future

    def put(self, work: Work) -> None:
        """Have work done, in the order of arrival; raises Busy, and DatabaseUnavailable after the end."""
        if self._pools.is_closed:
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
        if self._queue.empty() or self._pools.is_closed:
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
            self._pools.report(self, work, perf_counter() - began_s)
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
        """Refuse what waits and tell the threads to end; returns them."""
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
        """Fail those who wait for calls that still run: their outcome will not be known."""
        for work in list(self._busy.values()):
            work.fail(DatabaseUnavailable())


@dataclass(frozen=True, slots=True)
class SlowCall:
    """A call that took long: in which pool, what was called, for how many requests, and for how long."""

    pool: str
    subject: Any
    size: int
    took_s: float


class ThreadPools:
    """The thread pools of one connection: what is slow in one of them holds up no other.

    `quick` is for reads by id, `creates` for inserts, `writes` for changes of single documents, `lists` for
    lists, `scans` for what may look at very many documents, such as counting. `timeout_s` is the driver's own
    bound of one operation.

    `on_done`, if set, is called in the event loop after each call with its pool, itself and its seconds;
    `on_slow` in a thread after one of at least `slow_s` seconds. Neither may raise.
    """

    def __init__(self, timeout_s: float, connections: int) -> None:
        self.timeout_s = timeout_s
        # together they leave a fifth of the connections to what calls by Motor's coroutines
        most_threads, fewer_threads = max(1, connections // 5), max(1, connections // 10)
        self.quick = ThreadPool(self, "quick", min(4, most_threads))
        # of these and of lists, those that wait go together, which costs less than at the same time
        self.creates = ThreadPool(self, "creates", min(8, fewer_threads), patience_s=BATCHING_PATIENCE_S)
        # each of these goes by itself, and waits for a majority of servers
        self.writes = ThreadPool(self, "writes", min(16, most_threads), patience_s=0)
        self.lists = ThreadPool(self, "lists", min(12, most_threads), patience_s=BATCHING_PATIENCE_S)
        self.scans = ThreadPool(self, "scans", min(4, fewer_threads))
        self.all = (self.quick, self.creates, self.writes, self.lists, self.scans)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.is_closed = False
        self.slow_s = math.inf
        self.on_slow: Callable[[SlowCall], None] | None = None
        self.on_done: Callable[[ThreadPool, Work, float], None] | None = None
        self._one_of: dict[Callable[[ThreadPools], Any], Any] = {}
        self._done: deque[tuple[ThreadPool, Work, float]] = deque()
        self._is_woken = False

    def once(self, make: "Callable[[ThreadPools], Thing]") -> Thing:
        """Return the one thing that all who use this connection share, made at first."""
        if make not in self._one_of:
            self._one_of[make] = make(self)
        thing: Thing = self._one_of[make]
        return thing

    def report(self, pool: ThreadPool, work: Work, took_s: float) -> None:
        """Have the event loop settle a work; called by a thread.

        The loop is told once of all that is done until it comes to it.
        """
        self._done.append((pool, work, took_s))
        if not self._is_woken and self.loop is not None:
            self._is_woken = True
            try:
                self.loop.call_soon_threadsafe(self._settle)
            except RuntimeError:  # the loop is closed: nobody waits any more
                self._is_woken = False
        if took_s >= self.slow_s and self.on_slow is not None:
            self.on_slow(SlowCall(pool.name, work.subject, work.size, took_s))

    def _settle(self) -> None:
        self._is_woken = False  # first, so that what is done from now on is told of
        while self._done:
            pool, work, took_s = self._done.popleft()
            pool.calls += 1
            pool.served += work.size
            pool.seconds += took_s
            try:
                work.settle()
            except Exception:
                log.exception("calls.not_settled", pool=pool.name)
            if self.on_done is not None:
                self.on_done(pool, work, took_s)

    def close(self) -> None:
        """Refuse what waits, and end the threads; those that MongoDB keeps longer than a moment are left."""
        self.is_closed = True
        ends_at_s = monotonic() + CLOSE_TIMEOUT_S
        for thread in [thread for pool in self.all for thread in pool.close()]:
            thread.join(max(0.0, ends_at_s - monotonic()))
        if self.loop is None or self.loop.is_closed():
            return
        self._settle()
        for pool in self.all:
            pool.abandon()
