"""Spans: the parts of a request whose time is of interest. Without OpenTelemetry there are none."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Literal, Protocol

from service.runtime.tracing import traceparent
from service.runtime.tracing.traceparent import TraceParent

Kind = Literal["internal", "server", "client", "consumer"]
Attributes = Mapping[str, str | int | bool]


class Span(Protocol):
    """A part of a trace that is recorded."""

    @property
    def place(self) -> TraceParent:
        """The ids of the trace and of this part of it."""

    def child(self, name: str, kind: Kind, attributes: Attributes) -> "Span":
        """Begin a part of this part."""

    def note(self, name: str, value: str | int | bool) -> None:
        """Set an attribute."""

    def rename(self, name: str) -> None:
        """Rename it."""

    def fail(self, kind: str) -> None:
        """Note that it has failed, and how, in a word that holds no data."""

    def end(self) -> None:
        """End it now."""


class Tracer(Protocol):
    """What begins the recorded parts of traces that have none yet in this process."""

    def begin(
        self,
        name: str,
        kind: Kind,
        attributes: Attributes,
        parent: TraceParent | None,
        state: str | None = None,
    ) -> Span | None:
        """Begin a part below the caller's, or a trace; None where the sampler says not to record it."""


_present: ContextVar[Span | None] = ContextVar("span", default=None)
_tracer: ContextVar[Tracer | None] = ContextVar("tracer", default=None)


def present() -> Span | None:
    """Return the span of this task; None where nothing is recorded."""
    return _present.get()


def written() -> str | None:
    """Return the present span as a `traceparent`, for what is done later; None without one."""
    here = _present.get()
    return None if here is None else str(here.place)


def enter(span: Span) -> Token[Span | None]:
    """Make a span the present one of this task; `leave` takes what this gives."""
    return _present.set(span)


def leave(token: Token[Span | None]) -> None:
    """Make that the present span which was it before."""
    _present.reset(token)


@contextmanager
def used(tracer: Tracer) -> Iterator[None]:
    """Have the tasks that are begun meanwhile begin traces with a tracer."""
    token = _tracer.set(tracer)
    try:
        yield
    finally:
        _tracer.reset(token)


def span(
    name: str, kind: Kind = "internal", attributes: Attributes | None = None
) -> AbstractContextManager[Span | None]:
    """Record what runs within `with` as a part of the present one; gives it, None if nothing is recorded."""
    here = _present.get()
    return _NOTHING if here is None else entered(here.child(name, kind, attributes or {}))


def continued(
    name: str, kind: Kind, attributes: Attributes, parent: str | None
) -> AbstractContextManager[Span | None]:
    """Record what runs within `with` as a later part of the trace of a `traceparent`, if that is recorded."""
    tracer = _tracer.get()
    place = None if parent is None else traceparent.read(parent.encode())
    begun = None if tracer is None or place is None else tracer.begin(name, kind, attributes, place)
    return _NOTHING if begun is None else entered(begun)


def failed(kind: str) -> None:
    """Note that the present part has failed, and how, in a word that holds no data."""
    here = _present.get()
    if here is not None:
        here.fail(kind)


def entered(begun: Span) -> AbstractContextManager[Span]:
    """Make a span that has begun the present one within `with`, and end it there; what is raised fails it."""
    return _Entered(begun)


class _Entered:
    __slots__ = ("_span", "_token")

    def __init__(self, begun: Span) -> None:
        self._span = begun

    def __enter__(self) -> Span:
        self._token = _present.set(self._span)
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _present.reset(self._token)
        if kind is not None:
            self._span.fail(kind.__name__)
        self._span.end()


class _Nothing:
    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


_NOTHING = _Nothing()
