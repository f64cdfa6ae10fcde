import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext

import pytest
from litestar.types import ASGIApp, Receive, Scope, Send

from service.http.pipeline.deadline import Deadline
from service.kit.errors import DatabaseUnavailable
from service.runtime import deadline
from tests.middleware.apps import answering, client_of, echoing, get, wrap
from tests.pace import within

TIMEOUT_S = 0.2
LONGER_S = 0.6


def slow(*, is_lifted: bool = False, has_begun: bool = False, then_s: float = 0.0) -> ASGIApp:
    """Return an application that takes too long, before or after its answer has begun."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if has_begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        with deadline.lifted() if is_lifted else nullcontext():
            await asyncio.sleep(LONGER_S)
        await asyncio.sleep(then_s)
        if has_begun:
            await send({"type": "http.response.body", "body": b"late", "more_body": False})
        else:
            await answering(b"late")(scope, receive, send)

    return app


async def test_answer_that_does_not_begin_in_time_is_503() -> None:
    with within(LONGER_S), pytest.raises(DatabaseUnavailable):
        await get(wrap(slow(), Deadline(timeout_s=TIMEOUT_S)))


@pytest.mark.parametrize("app", [slow(is_lifted=True), slow(has_begun=True)], ids=["lifted", "begun"])
async def test_lifted_operation_and_begun_answer_have_no_deadline(app: ASGIApp) -> None:
    answer = await get(wrap(app, Deadline(timeout_s=TIMEOUT_S)))
    assert (answer.status_code, answer.content) == (200, b"late")


async def test_deadline_starts_anew_after_lifted_operation() -> None:
    with pytest.raises(DatabaseUnavailable):
        await get(wrap(slow(is_lifted=True, then_s=LONGER_S), Deadline(timeout_s=TIMEOUT_S)))


async def test_time_to_receive_body_does_not_count_towards_deadline() -> None:
    async def dribble() -> AsyncIterator[bytes]:
        for part in (b"one ", b"two"):
            await asyncio.sleep(LONGER_S / 2)
            yield part

    async with client_of(wrap(echoing(), Deadline(timeout_s=TIMEOUT_S))) as client:
        answer = await client.post("/api/films", content=dribble())
    assert (answer.status_code, answer.content) == (200, b"one two")


async def test_timeout_raised_by_application_is_not_translated() -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        await get(wrap(app, Deadline(timeout_s=TIMEOUT_S)))


async def test_task_that_outlives_its_request_has_no_deadline() -> None:
    tasks: list[asyncio.Task[None]] = []

    async def linger() -> None:
        await asyncio.sleep(LONGER_S)
        with deadline.lifted():
            await asyncio.sleep(0)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        tasks.append(asyncio.create_task(linger()))
        await answering()(scope, receive, send)

    assert (await get(wrap(app, Deadline(timeout_s=TIMEOUT_S)))).status_code == 200
    await tasks[0]


async def test_lifted_outside_of_request_does_nothing() -> None:
    with deadline.lifted():
        await asyncio.sleep(0)
