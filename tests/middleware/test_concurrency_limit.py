import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import structlog
from litestar.types import ASGIApp, Receive, Scope, Send

from service.http.pipeline.body_limit import BodyLimit
from service.http.pipeline.concurrency_limit import PROBES, ConcurrencyLimit
from service.http.pipeline.cors import Cors
from service.http.pipeline.response_headers import SecurityHeaders
from service.runtime.concurrency import ConcurrencyLimiter
from tests.middleware.apps import answering, ask, client_of, echoing, get, raising, wrap

PATIENCE_S = 0.1


def limiter_of(count: int, waiting: int = 0) -> ConcurrencyLimiter:
    return ConcurrencyLimiter(count, queue_length=waiting, patience_s=PATIENCE_S)


def around(
    app: ASGIApp,
    singles: ConcurrencyLimiter,
    searches: ConcurrencyLimiter | None = None,
    origins: Any = (),
    report_s: float = PATIENCE_S,
) -> ASGIApp:
    admission = ConcurrencyLimit(singles, searches or limiter_of(1), Cors(origins=origins), report_s=report_s)
    return wrap(app, SecurityHeaders(), admission, BodyLimit(limit_bytes=1000))


def full(waiting: int = 0) -> ConcurrencyLimiter:
    taken = limiter_of(1, waiting)
    taken.acquire_now()
    return taken


class Slow:
    """An application that answers when it may."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        await self.may_answer.wait()
        await answering()(scope, receive, send)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_request_without_free_slot_is_503_before_anything_runs() -> None:
    app = around(raising(AssertionError("reached")), full())
    answer = await get(app, "/api/films/7", x_request_id="mine")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] in {"1", "2", "3"}
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["vary"] == "Authorization, Cookie"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"] == "mine"
    assert answer.json() == {
        "type": "https://sheaf.dev/problems/service.busy",
        "title": "The service is busy",
        "status": 503,
        "code": "service.busy",
        "detail": "The service has more to do than it can at this moment; try again in a few seconds",
        "instance": "/api/films/7",
        "request_id": "mine",
    }


async def test_refused_head_request_has_no_body_and_cors_headers() -> None:
    app = around(answering(), full(), origins=["https://app.example"])
    answer = await ask(app, "HEAD", "/api/films/7", origin="https://app.example")
    assert (answer.status_code, answer.content) == (503, b"")
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["vary"] == "Authorization, Cookie, Origin"


async def test_refusals_spread_retry_after_over_seconds() -> None:
    app = around(answering(), full())
    told = {(await get(app, "/api/films/7")).headers["retry-after"] for _ in range(60)}
    assert told == {"1", "2", "3"}


@pytest.mark.parametrize("fails", [False, True])
async def test_slot_is_released_however_request_ends(fails: bool) -> None:
    singles = limiter_of(1)
    app = around(raising(ZeroDivisionError()) if fails else answering(), singles)
    for _ in range(3):
        if fails:
            with pytest.raises(ZeroDivisionError):
                await get(app, "/api/films/7")
        else:
            assert (await get(app, "/api/films/7")).status_code == 200
    assert (singles.taken, singles.refused) == (0, 0)


async def test_queued_request_is_answered_once_slot_is_free() -> None:
    singles, slow = limiter_of(1, waiting=5), Slow()
    app = around(slow, singles)
    asked = [asyncio.create_task(get(app, "/api/films/7")) for _ in range(3)]
    await settle()
    assert (slow.asked, singles.queued) == (1, 2)
    slow.may_answer.set()
    assert [answer.status_code for answer in await asyncio.gather(*asked)] == [200] * 3
    assert singles.taken == 0


async def test_lists_have_slots_of_their_own() -> None:
    searches = full()
    app = around(answering(), limiter_of(1), searches)
    assert (await get(app, "/api/films/7")).status_code == 200
    for method, path in (("GET", "/api/films"), ("POST", "/api/films/query"), ("POST", "/api/batch")):
        refused = method == "GET" or path.count("/") > 2
        assert ((await ask(app, method, path)).status_code == 503) == refused
    assert (await ask(around(answering(), full()), "GET", "/api/films")).status_code == 200


async def test_probes_have_own_slots_up_to_their_limit() -> None:
    slow, singles, searches = Slow(), full(), full()
    app = around(slow, singles, searches)
    probes = [asyncio.create_task(get(app, "/api/health/live")) for _ in range(PROBES)]
    await settle()
    assert slow.asked == PROBES
    assert (await get(app, "/api/health/live")).status_code == 503
    assert (await get(app, "/api/healthy/7")).status_code == 503
    slow.may_answer.set()
    assert {answer.status_code for answer in await asyncio.gather(*probes)} == {200}
    assert (await get(app, "/api/health")).status_code == 200


async def test_request_holds_no_slot_while_body_arrives() -> None:
    singles, goes_on = limiter_of(1, waiting=5), asyncio.Event()
    app = around(echoing(), singles)

    async def slow_body() -> AsyncIterator[bytes]:
        yield b"one "
        await goes_on.wait()
        yield b"two"

    async with client_of(app) as client:
        uploads = [
            asyncio.create_task(client.put("/api/films/7", content=slow_body(), timeout=5)) for _ in range(3)
        ]
        await settle()
        assert singles.taken == 0
        assert (await get(app, "/api/films/8")).status_code == 200
        goes_on.set()
        answers = await asyncio.gather(*uploads)
    assert [answer.content for answer in answers] == [b"one two"] * 3
    assert (singles.taken, singles.queued) == (0, 0)


async def test_cut_off_body_leaves_no_slot_taken() -> None:
    singles = limiter_of(1)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {"type": "http", "method": "PUT", "path": "/api/films/7", "headers": []}
    with pytest.raises(Exception, match="closed before the body was complete"):
        await around(echoing(), singles)(scope, receive, send)
    assert (singles.taken, sent) == (0, [])


async def test_refusals_are_logged_together() -> None:
    app = around(answering(), full(), report_s=1.0)
    with structlog.testing.capture_logs() as logs:
        answers: list[httpx.Response] = [await get(app, "/api/films/7") for _ in range(20)]
        assert {answer.status_code for answer in answers} == {503}
        assert logs == []
        await asyncio.sleep(1.2)
    told = [(line["event"], line["refused"], line["in_work"]) for line in logs]  # other tests' too
    assert told.count(("requests refused", 20, 1)) == 1
