import asyncio
from typing import Any

import pytest
from litestar.types import Receive, Scope, Send

from service.http.pipeline.draining import DrainingMiddleware
from service.http.pipeline.runner import Pipeline
from service.kit.errors import Draining
from service.runtime.drain import Drain
from tests.middleware.apps import answering, get, raising, wrap


@pytest.fixture
def drain() -> Drain:
    return Drain()


async def test_open_service_answers_and_keeps_connections(drain: Drain) -> None:
    answer = await get(wrap(answering(), DrainingMiddleware(drain)))
    assert (answer.status_code, answer.headers.get("connection")) == (200, None)


async def test_draining_service_answers_and_closes_connections(drain: Drain) -> None:
    drain.leave()
    answer = await get(wrap(answering(), DrainingMiddleware(drain)))
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")


async def test_closed_service_answers_503_with_retry_after(drain: Drain) -> None:
    drain.close()
    with pytest.raises(Draining) as refusal:
        await get(wrap(raising(AssertionError("reached")), DrainingMiddleware(drain)))
    assert refusal.value.headers == {"Retry-After": "2", "Connection": "close"}


@pytest.mark.parametrize("path", ["/api/health", "/api/health/live", "/api/health/ready"])
async def test_closed_service_still_answers_probes(drain: Drain, path: str) -> None:
    drain.close()
    assert (await get(wrap(answering(), DrainingMiddleware(drain)), path)).status_code == 200


async def test_path_like_health_is_no_probe_while_draining(drain: Drain) -> None:
    drain.close()
    with pytest.raises(Draining):
        await get(wrap(answering(), DrainingMiddleware(drain)), "/api/healthy")


async def test_request_is_in_flight_until_it_ends(drain: Drain) -> None:
    gate = asyncio.Event()

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        await gate.wait()
        await (answering() if scope["path"] == "/good" else raising(ValueError()))(scope, receive, send)

    app = wrap(waiting, DrainingMiddleware(drain))
    tasks = [asyncio.create_task(get(app, path)) for path in ("/good", "/bad", "/cancelled", "/api/health")]
    await asyncio.sleep(0.05)
    assert drain.in_flight == 3
    tasks[2].cancel()
    gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert drain.in_flight == 0


async def test_other_scopes_pass_while_draining(drain: Drain) -> None:
    seen: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["type"])

    nothing: Any = None
    lifespan: Any = {"type": "lifespan"}
    drain.close()
    await Pipeline(app, [DrainingMiddleware(drain)])(lifespan, nothing, nothing)
    assert seen == ["lifespan"]


def test_each_worker_has_its_own_drain_stage_and_count() -> None:
    cells = [0, 0, 0, 7]
    first, second, seen_by_main = Drain(), Drain(), Drain()
    first.share(cells, 0)
    second.share(cells, 1)
    seen_by_main.share(cells, 1)
    seen_by_main.open()
    first.began()
    second.began()
    second.began()
    seen_by_main.move()
    assert cells == [0, 1, 1, 2]
    assert (first.is_draining, second.is_draining, second.is_leaving) == (False, True, False)
    assert (first.in_flight, seen_by_main.in_flight) == (1, 2)
