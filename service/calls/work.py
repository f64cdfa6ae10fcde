"""What threads do for the event loop: calls of the driver, within the time that their requests have."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from time import monotonic
from typing import Any, Generic, TypeVar, cast

import pymongo

from service import deadline
from service.errors import DatabaseUnavailable

Result = TypeVar("Result")


class Work:
    """What a thread of a lane does, and what the event loop makes of it then."""

    __slots__ = ()

    size = 1
    """How many requests are served by it; known once it has run."""

    subject: Any = None
    """What is called, for those who want to know what took so long."""

    def run(self) -> None:
        """Do it, in a thread, and keep what comes of it; raises nothing."""
        raise NotImplementedError

    def settle(self) -> None:
        """Tell those who wait, in the event loop, after `run`."""
        raise NotImplementedError

    def fail(self, error: Exception) -> None:
        """Tell those who wait that it will not be done, in the event loop."""
        raise NotImplementedError


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
