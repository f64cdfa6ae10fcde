"""Steps of one pass behave as nested middlewares would."""

from collections.abc import Awaitable
from typing import Any

import pytest
from litestar.types import HTTPResponseStartEvent, Receive, Scope, Send
from structlog.testing import capture_logs

from service.http.pipeline.step import Exchange, Step
from service.http.problems import Failures
from service.kit.errors import RateLimited
from tests.middleware.apps import answering, ask, client_of, echoing, get, raising, wrap


class RecordingStep(Step):
    """Notes what it is asked; may refuse, wait or answer."""

    def __init__(self, name: str, seen: list[str], *, does: str = "nothing") -> None:
        self.name = name
        self.seen = seen
        self.does = does

    def enter(self, exchange: Exchange) -> Awaitable[None] | None:
        self.seen.append(f"{self.name} enters")
        if self.does == "refuse":
            raise RateLimited
        if self.does == "fail":
            raise ValueError(self.name)
        return self._answer(exchange) if self.does in {"answer", "wait"} else None

    async def _answer(self, exchange: Exchange) -> None:
        if self.does == "answer":
            await answering(b"mine")(exchange.scope, exchange.receive, exchange.send)

    def receiving(self, _: Exchange, receive: Receive) -> Receive:
        async def receive_noted() -> Any:
            self.seen.append(f"{self.name} receives")
            return await receive()

        return receive_noted

    def complete(self, exchange: Exchange, head: HTTPResponseStartEvent) -> None:
        self.seen.append(f"{self.name} completes {head['status']}")
        head["headers"] = [*head["headers"], (f"x-{self.name}".encode(), exchange.method.encode())]

    def leave(self, exchange: Exchange) -> None:
        self.seen.append(f"{self.name} leaves {exchange.status}")


class EmptyStep(Step):
    """Overrides nothing."""


def steps(*does: str) -> tuple[list[str], list[Step]]:
    seen: list[str] = []
    return seen, [RecordingStep("abcdef"[position], seen, does=each) for position, each in enumerate(does)]


async def test_steps_leave_in_reverse_order() -> None:
    seen, [outer, inner] = steps("nothing", "wait")
    answer = await get(wrap(answering(), outer, EmptyStep(), inner, EmptyStep()))
    assert (answer.headers["x-a"], answer.headers["x-b"]) == ("GET", "GET")
    assert seen == [
        "a enters",
        "b enters",
        "b completes 200",
        "a completes 200",
        "b leaves 200",
        "a leaves 200",
    ]


async def test_body_passes_every_step_and_is_wrapped_only_once_read() -> None:
    seen, both = steps("nothing", "nothing")
    async with client_of(wrap(echoing(), *both)) as client:
        assert (await client.post("/", content=b"text")).content == b"text"
    assert seen[:4] == ["a enters", "b enters", "b receives", "a receives"]


async def test_request_refused_by_step_passes_only_steps_before_it() -> None:
    seen, [outer, refusing, inner] = steps("nothing", "refuse", "nothing")
    app = wrap(raising(AssertionError("reached")), outer, Failures(), refusing, inner)
    answer = await get(app)
    assert (answer.status_code, answer.headers["x-a"], "x-b" in answer.headers) == (429, "GET", False)
    assert seen == ["a enters", "b enters", "a completes 429", "a leaves 429"]


async def test_step_that_answers_ends_the_request() -> None:
    seen, [outer, answerer, inner] = steps("nothing", "answer", "nothing")
    answer = await get(wrap(raising(AssertionError("reached")), outer, answerer, inner))
    assert answer.content == b"mine"
    assert seen == ["a enters", "b enters", "a completes 200", "a leaves 200"]


@pytest.mark.parametrize("app", [raising(ValueError("b")), answering()], ids=["application", "step"])
async def test_error_without_answering_step_is_raised_after_all_steps_left(app: Any) -> None:
    seen, [outer, inner] = steps("nothing", "fail")
    with pytest.raises(ValueError, match="b"):
        await get(wrap(app, outer, inner))
    assert seen == ["a enters", "b enters", "a leaves None"]


async def test_error_after_head_breaks_off_the_answer() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("late")

    seen, [outer] = steps("nothing")
    with pytest.raises(ValueError, match="late"):
        await get(wrap(app, outer, Failures()))
    assert seen[-1] == "a leaves 200"


async def test_answer_without_headers_and_in_parts_is_completed() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    class Measuring(Step):
        def leave(self, exchange: Exchange) -> None:
            sent.append(exchange.sent_bytes)

    sent: list[int] = []
    assert (await get(wrap(app, Measuring()))).content == b"one two"
    assert sent == [7]


async def test_exchange_gives_first_header_line_and_normal_path() -> None:
    class Reading(Step):
        def enter(self, exchange: Exchange) -> None:
            seen.append((exchange.header(b"x-one"), exchange.header(b"x-none"), exchange.normal_path))

    seen: list[Any] = []
    async with client_of(wrap(answering(), Reading())) as client:
        await client.get("/api//films/", headers=[("x-one", "1"), ("X-One", "2")])
    assert seen == [(b"1", None, "/api/films")]


async def test_step_sees_only_connections_of_its_kinds() -> None:
    seen, [outer] = steps("nothing")
    reached: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        reached.append(scope["type"])

    nothing: Any = None
    for kind in ("websocket", "lifespan"):
        scope: Any = {"type": kind, "headers": [], "path": "/"}
        await wrap(app, outer)(scope, nothing, nothing)
    assert (reached, seen) == (["websocket", "lifespan"], [])


async def test_step_that_fails_to_leave_does_not_stop_other_steps_leaving() -> None:
    class FailingStep(Step):
        def leave(self, _: Exchange) -> None:
            raise ValueError("a bug")

    seen, [outer] = steps("nothing")
    with capture_logs() as lines:
        assert (await get(wrap(answering(), outer, FailingStep()))).status_code == 200
    assert seen[-1] == "a leaves 200"
    assert [(line["log_level"], line["event"]) for line in lines] == [("error", "step not left")]


async def test_head_response_is_not_compressed() -> None:
    seen, [outer] = steps("nothing")
    assert (await ask(wrap(answering(b""), outer), "HEAD")).headers["x-a"] == "HEAD"
    assert seen[0] == "a enters"
