"""OpenTelemetry: the one module that imports it, and is itself imported only where traces are set up."""

import logging
import threading
import time
from collections.abc import Sequence

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import Span as OpenTelemetrySpan
from opentelemetry.trace import Tracer as OpenTelemetryTracer

from service.runtime.tracing.spans import Attributes, Kind, Span, TraceParent

KINDS: dict[Kind, SpanKind] = {
    "client": SpanKind.CLIENT,
    "consumer": SpanKind.CONSUMER,
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
}
EXPORTER_LOGGER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
_NOWHERE = Context()

log = structlog.get_logger("sheaf.tracing")


class Telemetry:
    """Records spans and sends them in the background, by the standard environment variables.

    Not the process's global provider: nobody else's spans are ours, and several applications may share one.
    """

    def __init__(self) -> None:
        self._exporter = Watched(OTLPSpanExporter())
        self._processor = BatchSpanProcessor(self._exporter)
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("sheaf")

    def begin(
        self,
        name: str,
        kind: Kind,
        attributes: Attributes,
        parent: TraceParent | None,
        state: str | None = None,
    ) -> Span | None:
        """Begin a span below the caller's, or a trace; None where the sampler says not to record it."""
        context = _NOWHERE if parent is None else _context(parent, state)
        begun = self._tracer.start_span(name, context, KINDS[kind], attributes)
        return Recorded(self._tracer, begun) if begun.is_recording() else None

    def close(self, timeout_s: float) -> None:
        """Send what waits for at most that long, in seconds; then what is left is lost."""
        thread = threading.Thread(target=self._provider.shutdown, name="traces: end", daemon=True)
        thread.start()
        thread.join(timeout_s)
        if thread.is_alive():
            self._exporter.shutdown()  # which ends its retries


class Recorded:
    """A span of OpenTelemetry as the service sees it."""

    __slots__ = ("_span", "_tracer")

    def __init__(self, tracer: OpenTelemetryTracer, span: OpenTelemetrySpan) -> None:
        self._tracer = tracer
        self._span = span

    @property
    def context(self) -> TraceParent:
        """The ids of the trace and of this span."""
        context = self._span.get_span_context()
        return TraceParent(f"{context.trace_id:032x}", f"{context.span_id:016x}", int(context.trace_flags))

    def child(self, name: str, kind: Kind, attributes: Attributes) -> "Recorded":
        """Begin a span below this one."""
        context = set_span_in_context(self._span, _NOWHERE)
        return Recorded(self._tracer, self._tracer.start_span(name, context, KINDS[kind], attributes))

    def note(self, name: str, value: str | int | bool) -> None:
        """Set an attribute."""
        self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        """Rename it."""
        self._span.update_name(name)

    def fail(self, kind: str) -> None:
        """Note that it has failed, and how."""
        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self, before_s: float = 0.0) -> None:
        """End it now, or as of some seconds before."""
        self._span.end(time.time_ns() - round(before_s * 1e9) if before_s else None)


class Watched(SpanExporter):
    """An exporter of which one line is logged when it begins to fail, and one when it works again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._is_over = False
        self._reasons = _Reasons()
        self.lost = 0
        logger = logging.getLogger(EXPORTER_LOGGER)
        logger.propagate = False  # it would log each try
        logger.addHandler(self._reasons)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send some spans; they are lost when the collector takes too long, or not at all."""
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self.lost:
                log.info("traces.sent_again", lost_spans=self.lost)
            self.lost = 0
        else:
            if not self.lost and not self._is_over:
                log.warning("traces.not_sent", reason=self._reasons.last)
            self.lost += len(spans)
        return result

    def shutdown(self) -> None:
        """Send nothing any more."""
        if not self._is_over:
            self._is_over = True
            self._exporter.shutdown()
            logging.getLogger(EXPORTER_LOGGER).removeHandler(self._reasons)


class _Reasons(logging.Handler):
    """Keeps what the exporter says of its last try, to be logged in our own line, once."""

    last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()


def _context(parent: TraceParent, state: str | None) -> Context:
    remote = SpanContext(
        int(parent.trace_id, 16),
        int(parent.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(parent.flags),
        trace_state=None if state is None else TraceState.from_header([state]),
    )
    return set_span_in_context(NonRecordingSpan(remote), _NOWHERE)


def _resource() -> Resource:
    """Return what identifies this worker; the environment's own attributes go first."""
    found = Resource.create()
    is_named = not str(found.attributes.get("service.name", "")).startswith("unknown_service")
    return found if is_named else found.merge(Resource({"service.name": "sheaf"}))
