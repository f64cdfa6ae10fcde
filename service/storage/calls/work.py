"""What threads do for the event loop: calls of the driver, within the time that their requests have."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from time import monotonic
from typing import Any, Generic, TypeVar, cast

import pymongo

from service.kit.errors import Busy, DatabaseUnavailable
from service.runtime import deadline

Result = TypeVar("Result")
Waiting = tuple["asyncio.Future[Any]", float]
"""A future in which somebody waits, and when their time is over."""


class Work(ABC):
    """What a thread of a lane does, and what the event loop makes of it then."""

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
        """Tell those who wait, in the event loop, after `run`."""

    @abstractmethod
    def fail(self, error: Exception) -> None:
        """Tell those who wait that it will not be done, in the event loop."""


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
        """Tell the caller."""
        if self._future.done():
            return
        if self._error is None:
            self._future.set_result(cast("Result", self._result))
        else:
            self._future.set_exception(self._error)

    def fail(self, error: Exception) -> None:
        """Tell the caller that it will not be done."""
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


class SharedCall(Work):
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
        """Have another one wait for it, in the event loop; tells whether it had not begun yet.

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
        """Tell all who wait."""
        for future, _ in self._waiting:
            if future.done():
                continue
            if self._error is None:
                future.set_result(self._result)
            else:
                future.set_exception(self._error)

    def fail(self, error: Exception) -> None:
        """Tell all who wait that it will not be done."""
        for future, _ in self._waiting:
            if not future.done():
                future.set_exception(error)
