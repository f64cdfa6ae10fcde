"""Which trace a request is part of: `traceparent` is honoured, and the request recorded if it is to be."""

import time

import structlog

from service.http.pipeline.request_id import PROBED, printable
from service.http.pipeline.step import HELD_FROM_S, Exchange, Step
from service.runtime.tracing import spans
from service.runtime.tracing.sending import Traces
from service.runtime.tracing.spans import Span, TraceParent, read_traceparent

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
STATE = "tracing"
STATUS_FAULT = 500
_KINDS = (":str}", ":uuid}", ":int}", ":path}")


class Tracing(Step):
    """Log the ids of the caller's trace in every line of its request, and record the request as a span.

    Where nothing is recorded the caller's own span is the one that is logged, as OpenTelemetry does it. A
    request without `traceparent` that is not recorded has no ids. The span of a stream ends where it began to
    be held open: what it says is how long its client waited.
    """

    def __init__(self, traces: Traces) -> None:
        self._traces = traces

    def enter(self, exchange: Exchange) -> None:
        """Read the header, and begin a span if the request is to be recorded."""
        given = exchange.header(b"traceparent")
        tracer = self._traces.tracer
        if given is None and tracer is None:
            return
        parent = None if given is None else _parent(exchange, given)
        if parent is None and exchange.path.startswith(PROBED):
            return  # probes come every few seconds and say nothing
        span = (
            None
            if tracer is None
            else tracer.begin(*_description(exchange), parent, _state(exchange, parent))
        )
        context = parent if span is None else span.context
        if context is not None:
            bound = structlog.contextvars.bind_contextvars(trace_id=context.trace_id, span_id=context.span_id)
            exchange.state[STATE] = span, bound, None if span is None else spans.enter(span)

    def leave(self, exchange: Exchange) -> None:
        """End what was begun."""
        begun = exchange.state.pop(STATE, None)
        if begun is None:
            return
        span, bound, token = begun
        structlog.contextvars.reset_contextvars(**bound)
        if span is not None:
            spans.leave(token)
            _complete(span, exchange)
            held_from_s = exchange.state.get(HELD_FROM_S)
            span.end(0.0 if held_from_s is None else time.perf_counter() - held_from_s)


def _parent(exchange: Exchange, given: bytes) -> TraceParent | None:
    """Read the header; two of them are none."""
    is_alone = sum(name == b"traceparent" for name, _ in exchange.scope["headers"]) == 1
    return read_traceparent(given) if is_alone else None


def _state(exchange: Exchange, parent: TraceParent | None) -> str | None:
    state = None if parent is None else exchange.header(b"tracestate")
    return None if state is None else state.decode("latin-1")


def _description(exchange: Exchange) -> tuple[str, spans.Kind, spans.Attributes]:
    """Return what a sampler may look at: no query, because that may hold personal data."""
    method = exchange.method if exchange.method in METHODS else "_OTHER"
    return (
        "HTTP" if method == "_OTHER" else method,
        "server",
        {
            "http.request.method": method,
            "url.path": printable(exchange.path),
            "url.scheme": exchange.scope.get("scheme", "http"),
        },
    )


def _complete(span: Span, exchange: Exchange) -> None:
    template = exchange.scope.get("path_template")
    if template:
        route = _route(template)
        method = exchange.method if exchange.method in METHODS else "HTTP"
        span.note("http.route", route)
        span.rename(f"{method} {route}")
    request_id = exchange.state.get("request_id")
    if request_id is not None:
        span.note("sheaf.request_id", request_id)
    if exchange.status is None:
        span.note("error.type", "aborted")
        return
    span.note("http.response.status_code", exchange.status)
    if exchange.status >= STATUS_FAULT:
        span.fail(str(exchange.status))


def _route(template: str) -> str:
    """Return a route without the kinds of its parameters.

    >>> _route("/api/{collection:str}/{document_id:str}")
    '/api/{collection}/{document_id}'
    """
    for kind in _KINDS:
        template = template.replace(kind, "}")
    return template
