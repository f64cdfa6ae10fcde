import pytest
from litestar.types import Receive, Scope, Send
from structlog.testing import capture_logs

from service.http.pipeline.request_id import RequestId
from service.http.problems import Failures
from service.kit.errors import DatabaseUnavailable, RateLimited
from tests.middleware.apps import ask, get, raising, wrap

BUSY = {
    "type": "https://sheaf.dev/problems/rate.limited",
    "title": "Too many requests",
    "status": 429,
    "code": "rate.limited",
    "detail": "Wait a moment.",
    "instance": "/api/films",
    "request_id": "r1",
}
BUSY_HEADERS = {
    "content-type": "application/problem+json",
    "content-length": "181",
    "cache-control": "no-store",
    "retry-after": "7",
    "x-request-id": "r1",
}


async def test_failure_raised_by_step_is_answered_as_problem() -> None:
    app = wrap(raising(RateLimited("Wait a moment.", headers={"Retry-After": "7"})), RequestId(), Failures())
    answer = await get(app, x_request_id="r1")
    assert (answer.status_code, answer.json(), dict(answer.headers)) == (429, BUSY, BUSY_HEADERS)


async def test_failed_head_request_gets_problem_headers_without_body() -> None:
    app = wrap(raising(RateLimited("Wait a moment.", headers={"Retry-After": "7"})), RequestId(), Failures())
    answer = await ask(app, "HEAD", x_request_id="r1")
    assert (answer.status_code, answer.content, dict(answer.headers)) == (429, b"", BUSY_HEADERS)


async def test_unknown_error_is_logged_with_traceback_and_answered_without_details() -> None:
    error = RuntimeError("password of mongodb://db.internal is hunter2")
    with capture_logs() as lines:
        answer = await get(wrap(raising(error), RequestId(), Failures()), "/api/films?q=1", x_request_id="r1")
    assert answer.status_code == 500
    assert answer.json() == {
        "type": "https://sheaf.dev/problems/internal",
        "title": "Something went wrong on our side",
        "status": 500,
        "code": "internal",
        "detail": "Something went wrong on our side",
        "instance": "/api/films",
        "request_id": "r1",
    }
    assert lines[0] == {
        "event": "request failed",
        "log_level": "error",
        "exc_info": error,
        "request_id": "r1",
        "method": "GET",
        "path": "/api/films",
    }


@pytest.mark.parametrize(
    ("error", "logged"),
    [(RateLimited(), []), (DatabaseUnavailable(), [("warning", "request refused")])],
)
async def test_client_error_is_not_logged_as_error(error: Exception, logged: list[tuple[str, str]]) -> None:
    with capture_logs() as lines:
        await get(wrap(raising(error), Failures()))
    assert [(line["log_level"], line["event"]) for line in lines] == logged


async def test_error_after_response_began_is_logged_and_raised() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("late")

    with capture_logs() as lines, pytest.raises(RuntimeError, match="late"):
        await get(wrap(app, Failures()))
    assert [line["event"] for line in lines] == ["request failed"]
