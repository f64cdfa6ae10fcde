"""What a collector gets of requests, by a real one; and that a broken one harms nobody."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from service.app.services import listeners
from service.kit.errors import StartupFailure
from service.runtime import logs
from service.runtime.settings import load
from service.runtime.tracing.sending import FLUSH_S, Traces
from service.storage.monitoring import CommandSpans, PoolCounts
from tests.conftest import SECRET, Service, served
from tests.mailbox import Mailbox
from tests.pace import within
from tests.services import services_of
from tests.test_logs import _restored
from tests.tracing.collector import Collector, ReceivedSpan, collecting

CALLER = "b7ad6b7169203331"
SERVER, CLIENT, CONSUMER = 2, 3, 5
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
PASSWORD = "correct horse battery staple"


__all__ = ["_restored"]  # the logs are as they were after each test


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
def environment(collector: Collector) -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        yield patch


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(environment: pytest.MonkeyPatch, mongodb_uri: str) -> AsyncIterator[Service]:
    async with served(mongodb_uri, email_verification="optional") as running:
        yield running


def traced(number: int, *, flags: str = "01") -> tuple[str, dict[str, str]]:
    """Return the id of a caller's trace, and the headers that tell of it."""
    trace_id = f"{number:032x}"
    return trace_id, {"traceparent": f"00-{trace_id}-{CALLER}-{flags}"}


async def of(collector: Collector, trace_id: str, *names: str) -> list[ReceivedSpan]:
    return await asyncio.to_thread(collector.of, trace_id, *names)


def one(spans: list[ReceivedSpan], name: str) -> ReceivedSpan:
    (found,) = [span for span in spans if span.name == name]
    return found


async def test_traced_request_is_span_below_callers_span(service: Service, collector: Collector) -> None:
    trace_id, headers = traced(1)
    answer = await service.client.get("/api/products?filter[name]=secret", headers=headers)
    assert answer.status_code == 200
    spans = await of(collector, trace_id, "GET /api/{collection}", "find products")
    server = one(spans, "GET /api/{collection}")
    assert (server.parent_id, server.kind, server.is_error) == (CALLER, SERVER, False)
    assert server.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/api/{collection}",
        "sheaf.request_id": answer.headers["x-request-id"],
        "url.path": "/api/products",
        "url.scheme": "http",
    }
    assert server.resource["service.name"] == "sheaf"
    command = one(spans, "find products")
    assert (command.parent_id, command.kind) == (server.span_id, CLIENT)
    assert command.attributes["db.system.name"] == "mongodb"
    assert command.attributes["db.namespace"] == service.database.name
    assert command.attributes["db.collection.name"] == "products"
    assert command.attributes["db.operation.name"] == "find"
    assert "secret" not in str(spans)


async def test_shared_read_has_span_in_every_trace(service: Service, collector: Collector) -> None:
    headers = service.signed_in()
    created = await service.client.post("/api/products", json={"name": "Desk", "price": 1}, headers=headers)
    path = created.headers["location"]
    requests = [traced(100 + number) for number in range(8)]
    answers = await asyncio.gather(*(service.client.get(path, headers=each) for _, each in requests))
    assert [answer.status_code for answer in answers] == [200] * 8
    for trace_id, _ in requests:
        spans = await of(collector, trace_id, "GET /api/{collection}/{document_id}", "find products")
        server = one(spans, "GET /api/{collection}/{document_id}")
        assert [span.parent_id for span in spans if span.kind == CLIENT] == [server.span_id]


async def test_shared_list_query_has_span_in_every_trace(service: Service, collector: Collector) -> None:
    requests = [traced(150 + number) for number in range(4)]
    lists = [service.client.get("/api/products?sort=name", headers=each) for _, each in requests]
    assert [answer.status_code for answer in await asyncio.gather(*lists)] == [200] * 4
    for trace_id, _ in requests:
        spans = await of(collector, trace_id, "GET /api/{collection}")
        server = one(spans, "GET /api/{collection}")
        (query,) = [span for span in spans if span.kind == CLIENT]
        assert query.parent_id == server.span_id
        assert query.name == "find products" or query.attributes["sheaf.joined"]


@pytest.mark.parametrize("flags", ["00", "02"])
async def test_request_of_unsampled_caller_is_not_recorded(
    service: Service, collector: Collector, flags: str
) -> None:
    trace_id, headers = traced(200, flags=flags)
    assert (await service.client.get("/api/products", headers=headers)).status_code == 200
    later, headers = traced(201 + int(flags))
    await service.client.get("/api/products", headers=headers)
    await of(collector, later, "GET /api/{collection}")  # what came before it would have come before it
    assert [span for span in collector.spans if span.trace_id == trace_id] == []


async def test_request_without_traceparent_begins_trace_unless_probe(
    service: Service, collector: Collector
) -> None:
    collector.spans.clear()
    await service.client.get("/api/health")
    await service.client.get("/api/nothing-here/of-the-kind/at-all")
    trace_id, headers = traced(300)
    await service.client.get("/api/health", headers=headers)
    await of(collector, trace_id)
    begun = [span for span in collector.spans if span.trace_id != trace_id]
    assert [(span.name, span.parent_id, span.attributes["http.response.status_code"]) for span in begun] == [
        ("GET", "", 404)
    ]


async def test_registration_trace_has_spans_of_hash_and_mail(service: Service, collector: Collector) -> None:
    trace_id, headers = traced(400)
    body = {"email": "ada@sheaf.example", "password": PASSWORD}
    answer = await service.client.post("/api/auth/register", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    await Mailbox(service.data).newest("ada@sheaf.example")
    spans = await of(collector, trace_id, "POST /api/auth/register", "delete _mails", "send mail")
    server = one(spans, "POST /api/auth/register")
    assert one(spans, "argon2").parent_id == server.span_id
    mail = one(spans, "send mail")
    assert (mail.parent_id, mail.kind) == (server.span_id, CONSUMER)
    assert one(spans, "delete _mails").parent_id == mail.span_id
    assert not any(secret in str(spans) for secret in (PASSWORD, "ada@", answer.json()["data"]["id"]))


async def test_failed_request_has_error_span(service: Service, collector: Collector) -> None:
    trace_id, headers = traced(500)

    def fail(*_: Any) -> None:
        raise RuntimeError("no")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services_of(service.app).registry, "all", fail)
        answer = await service.client.get("/api/openapi.json", headers=headers)
    assert answer.status_code == 500
    server = one(await of(collector, trace_id), "GET /api/openapi.json")
    assert server.is_error
    assert server.attributes["error.type"] == "500"


async def test_unreachable_collector_is_logged_once_and_fails_no_request(
    mongodb_uri: str, environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with collecting() as gone, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", gone.url)
        patch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
        gone.status = 400
        async with served(mongodb_uri) as service:
            logs.configure("info", "json")
            for _ in range(3):
                assert (await service.client.get("/api/products")).status_code == 200
                await asyncio.sleep(0.1)
            gone.status = 200
            while not gone.spans:
                assert (await service.client.get("/api/products")).status_code == 200
                await asyncio.sleep(0.05)
    written = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    told = [line for line in written if line["logger"].startswith(("sheaf.tracing", "opentelemetry"))]
    assert [line["event"] for line in told] == ["traces.not_sent", "traces.sent_again"]
    assert "400" in told[0]["reason"]
    assert told[1]["lost_spans"] >= 6


async def test_hanging_collector_delays_no_request_and_no_shutdown(
    mongodb_uri: str, environment: pytest.MonkeyPatch
) -> None:
    with collecting() as hanging, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", hanging.url)
        patch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "20")
        patch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10")
        hanging.pause.set()
        async with AsyncExitStack() as stack:
            service = await stack.enter_async_context(served(mongodb_uri))
            answers = [await service.client.get("/api/products") for _ in range(30)]
            assert {answer.status_code for answer in answers} == {200}
            tracer = services_of(service.app).traces.tracer
            assert tracer is not None
            processor: Any = tracer._processor
            assert len(processor._batch_processor._queue) <= 20
            with within(FLUSH_S + 1.5):
                await stack.aclose()


async def test_waiting_spans_are_sent_at_shutdown(
    mongodb_uri: str, environment: pytest.MonkeyPatch, collector: Collector
) -> None:
    trace_id, headers = traced(600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
        async with served(mongodb_uri) as service:
            await service.client.get("/api/products", headers=headers)
            assert [span for span in collector.spans if span.trace_id == trace_id] == []
    assert len([span for span in collector.spans if span.trace_id == trace_id]) == 2


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4318", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4318", "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_TRACES_SAMPLER": "always_on"},
    ],
)
def test_traces_without_collector_are_off(environment: dict[str, str]) -> None:
    traces = Traces.of_environment(environment)
    assert not traces.is_on
    settings = load(_env_file=None, environment="development", mongodb_uri="mongodb://127.0.0.1:9")
    assert not any(isinstance(each, CommandSpans) for each in listeners(settings, traces, PoolCounts()))


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_traces_with_collector_are_on(name: str) -> None:
    assert Traces.of_environment({name: "http://x:4318"}).is_on


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is zipkin"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf only, not grpc"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "http/protobuf only, not http/json"),
    ],
)
def test_unsupported_exporter_or_protocol_fails_at_start(changes: dict[str, str], sentence: str) -> None:
    with pytest.raises(StartupFailure, match=sentence):
        Traces.of_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4318", **changes})


ALONE = """
import sys
from service.app import create_app
from service.runtime.settings import load
from service.app.services import listeners
from service.runtime.settings import load
from service.storage.monitoring import CommandSpans, PoolCounts
from service.runtime.tracing.sending import FLUSH_S, Traces
create_app(load(_env_file=None, environment="development", mongodb_uri="mongodb://127.0.0.1:9"))
# Litestar imports the names of attributes where they are installed, and nothing that does anything.
assert not [name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))]
sys.modules["opentelemetry"] = None
Traces.of_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
"""


def test_missing_opentelemetry_fails_only_with_collector() -> None:
    run = subprocess.run(  # noqa: S603
        [sys.executable, "-c", ALONE],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env=CLEAN | {"SHEAF_JWT_SECRET": SECRET},
    )
    last = run.stderr.strip().splitlines()[-1]
    assert last.endswith(
        "StartupFailure: OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed: install"
        " `sheaf-api[telemetry]`, or set OTEL_SDK_DISABLED=true."
    )
