"""Spans: the timed parts of a request, and `traceparent`. Without OpenTelemetry nothing is recorded."""

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol

SAMPLED = 0x01
_NONE = b"0" * 32
_FORM = re.compile(rb"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True, slots=True)
class TraceParent:
    """A span in its trace (W3C Trace Context, level 2): hexadecimal ids of both, and the flags."""

    trace_id: str
    span_id: str
    flags: int = 0

    @property
    def is_sampled(self) -> bool:
        """Whether the caller may have recorded its span."""
        return bool(self.flags & SAMPLED)

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def read_traceparent(header: bytes) -> TraceParent | None:
    """Read the header; None for one that is to be ignored. Of later versions the beginning is read.

    >>> str(read_traceparent(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    >>> read_traceparent(b"00-00000000000000000000000000000000-b7ad6b7169203331-01") is None
    True
    """
    found = _FORM.fullmatch(header)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if (more is not None and version == b"00") or trace_id == _NONE or span_id == _NONE[:16]:
        return None
    return TraceParent(trace_id.decode(), span_id.decode(), int(flags, 16))


Kind = Literal["internal", "server", "client", "consumer"]
Attributes = Mapping[str, str | int | bool]


class Span(Protocol):
    """A span that is recorded."""

    @property
    def context(self) -> TraceParent:
        """The ids of the trace and of this span."""

    def child(self, name: str, kind: Kind, attributes: Attributes) -> "Span":
        """Begin a span below this one."""

    def note(self, name: str, value: str | int | bool) -> None:
        """Set an attribute."""

    def rename(self, name: str) -> None:
        """Rename it."""

    def fail(self, kind: str) -> None:
        """Note that it has failed, and how, in a word that holds no data."""

    def end(self, before_s: float = 0.0) -> None:
        """End it now, or as of some seconds before."""


class Tracer(Protocol):
    """What begins the first recorded span of a trace in this process."""

    def begin(
        self,
        name: str,
        kind: Kind,
        attributes: Attributes,
        parent: TraceParent | None,
        state: str | None = None,
    ) -> Span | None:
        """Begin a span below the caller's, or a trace; None where the sampler says not to record it."""


_present: ContextVar[Span | None] = ContextVar("span", default=None)
_tracer: ContextVar[Tracer | None] = ContextVar("tracer", default=None)


def present() -> Span | None:
    """Return the span of this task; None where nothing is recorded."""
    return _present.get()


def written() -> str | None:
    """Return the present span as a `traceparent`, for what is done later; None without one."""
    here = _present.get()
    return None if here is None else str(here.context)


def enter(span: Span) -> Token[Span | None]:
    """Make a span the present one of this task; returns what `leave` takes."""
    return _present.set(span)


def leave(token: Token[Span | None]) -> None:
    """Make the span present that was so before."""
    _present.reset(token)


@contextmanager
def used(tracer: Tracer) -> Iterator[None]:
    """Let tasks that begin within the context begin traces with a tracer."""
    token = _tracer.set(tracer)
    try:
        yield
    finally:
        _tracer.reset(token)


def span(
    name: str, kind: Kind = "internal", attributes: Attributes | None = None
) -> AbstractContextManager[Span | None]:
    """Record what runs within `with` as a span below the present one; yields it, or None if unrecorded."""
    here = _present.get()
    return _NOTHING if here is None else entered(here.child(name, kind, attributes or {}))


def continued(
    name: str, kind: Kind, attributes: Attributes, parent: str | None
) -> AbstractContextManager[Span | None]:
    """Record what runs within `with` as a later span of the trace of a `traceparent`, if that is recorded."""
    tracer = _tracer.get()
    context = None if parent is None else read_traceparent(parent.encode())
    begun = None if tracer is None or context is None else tracer.begin(name, kind, attributes, context)
    return _NOTHING if begun is None else entered(begun)


def failed(kind: str) -> None:
    """Note that the present span has failed, and how, in a word that holds no data."""
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
