from typing import Annotated, Any, cast

import httpx
import pytest
from beanie.exceptions import CollectionWasNotInitialized
from litestar import Litestar, Request, get, post
from litestar.exceptions import HTTPException
from litestar.params import QueryParameter
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    CursorNotFound,
    ExecutionTimeout,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WTimeoutError,
)

from service.http import problems
from service.http.pipeline.request_id import RequestId
from service.http.pipeline.runner import surround
from service.http.problems import Failures
from service.kit.errors import (
    BodyTooLarge,
    Busy,
    DatabaseUnavailable,
    Failure,
    Forbidden,
    Internal,
    MediaTypeUnsupported,
    RateLimited,
    RequestInvalid,
    RouteNotFound,
    SignInRequired,
    Stale,
)


@get("/films")
async def _list_films(
    limit: Annotated[int, QueryParameter()], page: Annotated[int, QueryParameter(ge=1)] = 1
) -> dict[str, int]:
    return {"limit": limit, "page": page}


@get("/fails")
async def _fail(kind: Annotated[str, QueryParameter()]) -> None:
    if kind == "failure":
        raise Stale("The document is at version 4.", hint="Read it again.", _version=4)
    raise RuntimeError("a secret of mongodb://db.internal")


@post("/echo")
async def _echo(request: Request[Any, Any, Any]) -> dict[str, int]:
    return {"bytes": len(await request.body())}


@pytest.fixture
def client() -> httpx.AsyncClient:
    app = Litestar(
        [_list_films, _fail, _echo],
        openapi_config=None,
        logging_config=None,
    )
    surround(app, [RequestId(), Failures()])
    transport = httpx.ASGITransport(cast("Any", app))
    return httpx.AsyncClient(
        transport=transport, base_url="http://sheaf.test", headers={"X-Request-ID": "r1"}
    )


def problem(status: int, code: str, title: str, instance: str, **more: Any) -> dict[str, Any]:
    return {
        "type": f"https://sheaf.dev/problems/{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": title,
        "instance": instance,
        "request_id": "r1",
        **more,
    }


INVALID = "A query parameter is invalid"
REFUSALS = [
    ("GET", "/nothing", problem(404, "route.not_found", "There is nothing at this address", "/nothing")),
    (
        "DELETE",
        "/films",
        problem(
            405,
            "method.not_allowed",
            "The method is not allowed here",
            "/films",
            hint="This address takes GET, OPTIONS.",
        ),
    ),
    (
        "GET",
        "/films?limit=many&page=0",
        problem(
            400,
            "parameter.invalid",
            INVALID,
            "/films",
            detail="2 query parameters are invalid",
            errors=[
                {"parameter": "limit", "code": "invalid", "detail": "Expected `int`, got `str`"},
                {"parameter": "page", "code": "invalid", "detail": "Expected `int` >= 1"},
            ],
        ),
    ),
    (
        "GET",
        "/films?page=secret",
        problem(
            400,
            "parameter.invalid",
            INVALID,
            "/films",
            detail="The query parameter `limit` is missing.",
            errors=[
                {
                    "parameter": "limit",
                    "code": "required",
                    "detail": "The query parameter `limit` is missing.",
                }
            ],
        ),
    ),
    (
        "GET",
        "/fails?kind=failure",
        problem(
            412,
            "document.stale",
            "The document has changed",
            "/fails",
            detail="The document is at version 4.",
            hint="Read it again.",
            _version=4,
        ),
    ),
    ("GET", "/fails?kind=bug", problem(500, "internal", "Something went wrong on our side", "/fails")),
]


@pytest.mark.parametrize(("method", "path", "body"), REFUSALS)
async def test_error_of_route_returns_complete_problem(
    client: httpx.AsyncClient, method: str, path: str, body: dict[str, Any]
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()) == (body["status"], body)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["x-request-id"] == "r1"


async def test_wrong_method_returns_allow_header(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/films")
    assert answer.headers.get_list("allow") == ["GET, OPTIONS"]


async def test_refused_head_request_has_no_body(client: httpx.AsyncClient) -> None:
    answer = await client.head("/films")
    assert (answer.status_code, answer.content) == (405, b"")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (WaitQueueTimeoutError("no connection could be made"), DatabaseUnavailable),
        (AutoReconnect("gone"), DatabaseUnavailable),
        (ServerSelectionTimeoutError("none"), DatabaseUnavailable),
        (NetworkTimeout("slow"), DatabaseUnavailable),
        (ConnectionFailure("gone"), DatabaseUnavailable),
        (NotPrimaryError("stepped down"), DatabaseUnavailable),
        (ExecutionTimeout("slow"), DatabaseUnavailable),
        (WTimeoutError("slow"), DatabaseUnavailable),
        (CollectionWasNotInitialized(), DatabaseUnavailable),
        (ConfigurationError("Sessions are not supported by this MongoDB deployment"), DatabaseUnavailable),
        (CursorNotFound("of the server before", 43), DatabaseUnavailable),
        (OperationFailure("no committed snapshot yet", 134), DatabaseUnavailable),
        (BulkWriteError({"writeConcernErrors": [{"code": 189}]}), DatabaseUnavailable),
        (BulkWriteError({"writeConcernErrors": [{"code": 79}]}), Internal),
        (OperationFailure("bad index", 67), Internal),
        (BulkWriteError({}), Internal),
        (PyMongoError("other"), Internal),
        (HTTPException(status_code=400, detail="GET http://host/secret"), RequestInvalid),
        (HTTPException(status_code=401), SignInRequired),
        (HTTPException(status_code=403), Forbidden),
        (HTTPException(status_code=404), RouteNotFound),
        (HTTPException(status_code=413), BodyTooLarge),
        (HTTPException(status_code=415), MediaTypeUnsupported),
        (HTTPException(status_code=418), RequestInvalid),
        (HTTPException(status_code=429), RateLimited),
        (HTTPException(status_code=500, detail="template at /srv/x"), Internal),
        (HTTPException(status_code=503), Busy),
        (KeyError("secret"), Internal),
        (ExceptionGroup("several", [RuntimeError()]), Internal),
    ],
)
def test_exception_is_translated_to_failure_without_details(error: Exception, kind: type[Failure]) -> None:
    failure = problems.translate(error)
    assert type(failure) is kind
    assert failure.detail == kind.title


def test_failure_is_translated_to_itself() -> None:
    failure = Stale("now", _version=2)
    assert problems.translate(failure) is failure


def test_invalid_body_field_is_reported_with_pointer() -> None:
    extra: Any = [{"key": "price.amount", "message": "Expected `int`, got `str`", "source": "body"}]
    failure = problems.translate(HTTPException(status_code=400, extra=extra))
    assert type(failure) is RequestInvalid
    assert [violation.as_json() for violation in failure.errors] == [
        {"pointer": "/price/amount", "code": "invalid", "detail": "Expected `int`, got `str`"}
    ]


def test_lone_surrogate_is_escaped_in_problem() -> None:
    status, headers, body = problems.render(RouteNotFound("no \ud800"), instance="/\ud800", request_id="r1")
    assert status == 404
    assert rb'"instance": "/\ud800"' in body
    assert (b"content-length", str(len(body)).encode()) in headers
