"""One call for all who ask the same question before it begins."""

import asyncio
from collections.abc import Callable, Hashable
from contextvars import Context, copy_context
from functools import partial
from typing import Any, TypeVar

from service.kit.errors import Busy
from service.runtime import database_time, deadline
from service.runtime.tracing import Attributes, span
from service.storage.thread_pools import ThreadPool, ThreadPools, Work, within

SHARED: Attributes = {"db.system.name": "mongodb", "sheaf.joined": True}
"""What traces say of a call that others have asked for already."""

Result = TypeVar("Result")
Waiting = tuple["asyncio.Future[Any]", float]
"""A future in which somebody waits, and when their time is over."""


class SingleFlight:
    """Calls in the thread pools of one connection, each made once for all who ask for it meanwhile.

    Who asks joins only a call that has not begun, so that none sees less than what was acknowledged before.
    """

    def __init__(self, pools: ThreadPools) -> None:
        self._timeout_s = pools.timeout_s
        self._flights: dict[tuple[str, Hashable], _SharedCall] = {}

    async def run(self, pool: ThreadPool, key: Hashable, call: Callable[[], Result]) -> Result:
        """Run a synchronous call as `pool.run` does, or wait for the one with the same key.

        All get one result, which they must not change.
        """
        future: asyncio.Future[Result] = pool.loop.create_future()
        waiting = future, deadline.ends_at_s()
        flight_key = pool.name, key
        flight = self._flights.get(flight_key)
        if flight is not None and flight.add(waiting):
            with span("shared query", "client", SHARED), database_time.counted():
                return await future
        flight = _SharedCall(call, waiting, self._timeout_s)
        pool.put(flight)
        self._flights[flight_key] = flight
        future.add_done_callback(partial(self._forget, flight_key, flight))
        with database_time.counted():  # the call itself is a part of this one's trace
            return await future

    def _forget(self, key: tuple[str, Hashable], flight: "_SharedCall", _: object) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


class _SharedCall(Work):
    """One call for all who have asked for the same before it began."""

    __slots__ = ("_context", "_error", "_has_begun", "_result", "_timeout_s", "_waiting", "subject")

    def __init__(self, call: Callable[[], Any], first: Waiting, timeout_s: float) -> None:
        self.subject = call
        self._waiting = [first]
        self._timeout_s = timeout_s
        self._context: Context = copy_context()
        self._has_begun = False
        self._result: Any = None
        self._error: Exception | None = None

    @property
    def size(self) -> int:  # type: ignore[override]  # a number, as that of all
        """How many have asked."""
        return len(self._waiting)

    def add(self, waiting: Waiting) -> bool:
        """Have another one wait for it, in the event loop; returns whether it had not begun yet.

        A thread may begin it meanwhile, which is early enough: the other has asked already.
        """
        if self._has_begun:
            return False
        self._waiting.append(waiting)
        return True

    def run(self) -> None:
        """Run it, unless nobody waits any more."""
        self._has_begun = True
        ends = [ends_at_s for future, ends_at_s in self._waiting if not future.done()]
        if not ends:
            self._error = Busy()  # for one who joins just now
            return
        try:
            self._result = self._context.run(self._run, max(ends))
        except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            self._error = error

    def _run(self, ends_at_s: float) -> Any:
        with within(ends_at_s, self._timeout_s):
            return self.subject()

    def settle(self) -> None:
        """Hand the outcome to all who wait, in the event loop."""
        for future, _ in self._waiting:
            if future.done():
                continue
            if self._error is None:
                future.set_result(self._result)
            else:
                future.set_exception(self._error)

    def fail(self, error: Exception) -> None:
        """Fail all who wait."""
        for future, _ in self._waiting:
            if not future.done():
                future.set_exception(error)
