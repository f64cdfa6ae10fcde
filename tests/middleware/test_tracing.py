"""The trace of a request in its log, where nothing is recorded."""

import json
from time import process_time
from typing import Any

import pytest
import structlog
from litestar.types import Receive, Scope, Send

from service.http.pipeline.request_id import RequestId
from service.http.pipeline.step import Exchange
from service.http.pipeline.tracing import Tracing
from service.runtime import logs
from service.runtime.tracing import present
from service.runtime.tracing.sending import Traces
from tests.middleware.apps import answering, client_of, get, wrap
from tests.pace import within
from tests.test_logs import _restored

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER = f"00-{TRACE}-{SPAN}-01"

__all__ = ["_restored"]  # the logs are as they were after each test


def application() -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        structlog.get_logger("sheaf.test").info("within", present=present())
        await answering()(scope, receive, send)

    return wrap(app, Tracing(Traces(is_on=False)), RequestId())


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return what the service has logged, and not the client that asks it."""
    written = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line for line in written if line["logger"].startswith("sheaf.")]


async def test_request_with_traceparent_logs_trace_ids_in_every_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("info", "json")
    await get(application(), traceparent=HEADER, x_request_id="r1")
    written = lines(capsys)
    assert [line["event"] for line in written] == ["within", "request"]
    for line in written:
        assert (line["trace_id"], line["span_id"], line["request_id"]) == (TRACE, SPAN, "r1")


@pytest.mark.parametrize("header", [None, "", "00-bad", HEADER.upper(), f"ff{HEADER[2:]}"])
async def test_request_with_invalid_traceparent_logs_no_trace_ids(
    capsys: pytest.CaptureFixture[str], header: str | None
) -> None:
    logs.configure("info", "json")
    app = application()
    await get(app, traceparent=HEADER)
    await get(app, **({} if header is None else {"traceparent": header}))
    written = lines(capsys)
    assert [("trace_id" in line, "span_id" in line) for line in written] == [(True, True)] * 2 + [
        (False, False)
    ] * 2


async def test_request_with_two_traceparents_logs_no_trace_ids(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    async with client_of(application()) as client:
        await client.get("/api/films", headers=[("traceparent", HEADER), ("traceparent", HEADER)])
    assert ["trace_id" in line for line in lines(capsys)] == [False, False]


def test_request_without_traceparent_binds_nothing() -> None:
    """The bound is ten times what it takes."""

    scope: Any = {"type": "http", "method": "GET", "path": "/api/films", "headers": [(b"host", b"x")]}
    step, exchange = Tracing(Traces(is_on=False)), Exchange(scope, None, None)  # type: ignore[arg-type]
    with within(10_000 * 3e-6, process_time):
        for _ in range(10_000):
            step.enter(exchange)
            step.leave(exchange)
