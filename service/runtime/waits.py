"""How long a request has waited for the database, where answers tell it (`Server-Timing`)."""

from contextlib import AbstractContextManager
from contextvars import ContextVar
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from pymongo.monitoring import CommandListener

MICROSECOND_S = 1e-6


class Waits(AbstractContextManager["Waits"]):
    """The seconds within `with`, of all tasks of a request; those that several tasks wait for count once.

    >>> waits = Waits()
    >>> with waits, waits:
    ...     pass
    >>> waits.seconds > 0
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


_present: ContextVar[Waits | None] = ContextVar("waits", default=None)


class _Nothing:
    """A `nullcontext` at half the price, for every read of a document meets it."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


_NOTHING: AbstractContextManager[None] = _Nothing()


def begin() -> Waits:
    """Begin to add up what this task, and those that it begins, wait for."""
    waits = Waits()
    _present.set(waits)
    return waits


def database() -> AbstractContextManager[object]:
    """Give what counts the time within `with` as waiting for the database, if that is told at all."""
    return _present.get() or _NOTHING


class CommandTimes(CommandListener):
    """Counts what the driver's own coroutines wait for, each command by its own time.

    The driver calls it in the thread that sends, which has the context of whoever asked for it.
    """

    def started(self, event: Any) -> None:
        """Wait for the end, which knows how long it took."""

    def succeeded(self, event: Any) -> None:
        """Count it."""
        _count(event.duration_micros * MICROSECOND_S)

    def failed(self, event: Any) -> None:
        """Count it."""
        _count(event.duration_micros * MICROSECOND_S)


def _count(seconds: float) -> None:
    waits = _present.get()
    if waits is not None and not waits.is_running:
        waits.seconds += seconds
