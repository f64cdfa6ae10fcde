"""Database time: how long a request has waited for the database, for `Server-Timing` in its answer."""

from contextlib import AbstractContextManager
from contextvars import ContextVar
from time import perf_counter
from types import TracebackType
from typing import Self


class DatabaseTime(AbstractContextManager["DatabaseTime"]):
    """The seconds within `with`, of all tasks of a request; those that several tasks wait for count once.

    >>> time = DatabaseTime()
    >>> with time, time:
    ...     pass
    >>> time.seconds > 0
    True
    """

    __slots__ = ("_began_s", "_depth", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0
        self._began_s = 0.0

    @property
    def is_running(self) -> bool:
        """Whether some task of the request waits now."""
        return self._depth > 0

    def __enter__(self) -> Self:
        if not self._depth:
            self._began_s = perf_counter()
        self._depth += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if not self._depth:
            self.seconds += perf_counter() - self._began_s


_present: ContextVar[DatabaseTime | None] = ContextVar("database_time", default=None)


class _Nothing:
    """A `nullcontext` at half the price, because every read of a document enters it."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


_NOTHING: AbstractContextManager[None] = _Nothing()


def begin() -> DatabaseTime:
    """Begin to add up what this task, and those that it begins, wait for."""
    time = DatabaseTime()
    _present.set(time)
    return time


def counted() -> AbstractContextManager[object]:
    """Count the time within `with` as waiting for the database, if the request's answer says so."""
    return _present.get() or _NOTHING


def add(seconds: float) -> None:
    """Count seconds that have passed, unless a task of the request counts its waiting now."""
    time = _present.get()
    if time is not None and not time.is_running:
        time.seconds += seconds
