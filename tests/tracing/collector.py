"""A collector of traces: takes what OpenTelemetry sends by OTLP over HTTP, decoded."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

WAIT_S = 30.0


@dataclass(frozen=True)
class ReceivedSpan:
    """One span as it was sent."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    is_error: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass
class Collector:
    """What has come so far; while `pause` is set nothing is answered."""

    spans: list[ReceivedSpan] = field(default_factory=list)
    status: int = 200
    pause: Event = field(default_factory=Event)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def of(self, trace_id: str, *names: str) -> list[ReceivedSpan]:
        """Wait for the spans of a trace, among which there are to be some of these names."""
        ends_at = time.monotonic() + WAIT_S
        while True:
            found = [span for span in self.spans if span.trace_id == trace_id]
            if found and {span.name for span in found} >= set(names):
                return found
            assert time.monotonic() < ends_at, found
            time.sleep(0.01)

    def take(self, body: bytes) -> None:
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = values(group.resource.attributes)
            for scope in group.scope_spans:
                self.spans += [received(span, resource) for span in scope.spans]


def values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def received(span: Any, resource: dict[str, Any]) -> ReceivedSpan:
    return ReceivedSpan(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.kind,
        span.status.code == 2,
        values(span.attributes),
        resource,
    )


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a free port of this machine."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            while collector.pause.is_set():
                time.sleep(0.01)
            if collector.status == 200:
                collector.take(body)
            self.send_response(collector.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.port = server.server_port
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.pause.clear()
        server.shutdown()
        server.server_close()
        thread.join()
