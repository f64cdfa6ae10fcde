import re
from typing import Any

import pytest
from litestar.types import Receive, Scope, Send
from structlog.testing import capture_logs

from service.access.principals import Principal
from service.http.pipeline.client_address import ClientAddress
from service.http.pipeline.request_id import RequestId
from tests.middleware.apps import answering, ask, get, raising, wrap
from tests.pace import slowness

MADE = re.compile(r"[0-9a-f]{20}")


@pytest.mark.parametrize("given", ["a", "A-b_c.9", "x" * 64])
async def test_valid_request_id_of_client_is_kept(given: str) -> None:
    answer = await get(wrap(answering(), RequestId()), x_request_id=given)
    assert answer.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a;b", "<script>", "a\tb", '"'])
async def test_invalid_request_id_is_replaced(given: str) -> None:
    answer = await get(wrap(answering(), RequestId()), x_request_id=given)
    assert MADE.fullmatch(answer.headers["x-request-id"])


async def test_generated_request_ids_differ() -> None:
    app = wrap(answering(), RequestId())
    assert len({(await get(app)).headers["x-request-id"] for _ in range(50)}) == 50


async def test_application_sees_request_id() -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["state"]["request_id"])
        await answering()(scope, receive, send)

    answer = await get(wrap(app, RequestId()))
    assert seen == [answer.headers["x-request-id"]]


async def test_request_is_logged_in_one_line_without_query_or_headers() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["principal"] = Principal("user", "u1", frozenset())
        await answering(b"12345", status=201)(scope, receive, send)

    with capture_logs() as lines:
        await ask(
            wrap(app, RequestId(), ClientAddress()),
            "POST",
            "/api/films?token=secret",
            authorization="Bearer secret",
            x_request_id="r1",
        )
    duration_ms = lines[0].pop("duration_ms")
    assert 0 <= duration_ms < 1000 * slowness()
    assert lines == [
        {
            "event": "request",
            "log_level": "info",
            "method": "POST",
            "path": "/api/films",
            "status": 201,
            "bytes": 5,
            "client": "192.0.2.1",
            "request_id": "r1",
            "user": "u1",
        }
    ]


async def test_path_with_line_breaks_is_escaped_in_log() -> None:
    with capture_logs() as lines:
        await get(wrap(answering(), RequestId()), "/a%0ab")
    assert lines[0]["path"] == r"/a\nb"


async def test_request_without_answer_is_logged_as_499() -> None:
    with capture_logs() as lines, pytest.raises(RuntimeError):
        await get(wrap(raising(RuntimeError("gone")), RequestId()))
    assert [line["status"] for line in lines] == [499]


async def test_websocket_is_logged_with_what_its_handshake_was_answered() -> None:
    async def app(_scope: Any, _receive: Receive, send: Any) -> None:
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})

    async def send(_: Any) -> None:
        pass

    scope: Any = {"type": "websocket", "path": "/api/streams", "headers": [(b"x-request-id", b"seven")]}
    with capture_logs() as lines:
        await wrap(app, RequestId())(scope, None, send)  # type: ignore[arg-type]  # nothing is received
    (line,) = lines
    assert (line["method"], line["status"], line["request_id"]) == ("GET", 101, "seven")


@pytest.mark.parametrize("kind", ["lifespan"])
async def test_lifespan_scope_gets_no_request_id(kind: str) -> None:
    seen: list[Any] = []

    async def app(scope: Any, _receive: Receive, _send: Send) -> None:
        seen.append(dict(scope))

    scope: Any = {"type": kind}
    await wrap(app, RequestId())(scope, None, None)  # type: ignore[arg-type]  # neither is called
    assert seen == [{"type": kind}]


@pytest.mark.parametrize(
    ("path", "status", "level"),
    [
        ("/api/health/ready", 200, "debug"),
        ("/api/health/ready", 503, "info"),
        ("/api/products", 200, "info"),
    ],
)
async def test_only_successful_probes_are_logged_as_debug(path: str, status: int, level: str) -> None:
    with capture_logs() as lines:
        await ask(wrap(answering(status=status), RequestId()), "GET", path)
    assert [line["log_level"] for line in lines] == [level]
