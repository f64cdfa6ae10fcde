"""What every answer has, whoever gives it: id, security headers, caching, a problem body for failures."""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar

from service.app import create_app
from service.http.pipeline.response_headers import HELMET_DEFAULTS
from service.runtime.settings import Settings
from service.storage import database
from tests.conftest import bearer, connect, opened
from tests.services import replaced, services_of

ANSWERS: list[tuple[str, str, dict[str, str], int, str | None]] = [
    ("GET", "/api/health", {}, 200, None),
    ("GET", "/api/products", {}, 200, None),
    ("GET", "/nowhere", {}, 404, "route.not_found"),
    ("GET", "/api/nowhere", {}, 404, "collection.not_found"),
    ("GET", "/api/products/a/b/c", {}, 404, "route.not_found"),
    ("TRACE", "/api/health", {}, 405, "method.not_allowed"),
    ("DELETE", "/api/auth/login", {}, 405, "method.not_allowed"),
    ("POST", "/api/products", {}, 401, "auth.required"),
    ("GET", "/api/products", {"Authorization": "Bearer nonsense"}, 401, "auth.token_invalid"),
    ("GET", "/api/products", {"Authorization": "Basic YTpi"}, 401, "auth.token_invalid"),
    ("GET", "/api/products?limit=0", {}, 400, "parameter.invalid"),
    ("GET", "/api/products?limt=5", {}, 400, "parameter.invalid"),
    ("GET", "/api/products?where[x][$startsWith]=a", {}, 400, "parameter.invalid"),
    ("GET", "/api/products?filter[name]=%FF", {}, 400, "request.invalid"),
    ("POST", "/api/auth/login", {"Content-Length": "9999999999"}, 413, "body.too_large"),
]


@pytest.mark.parametrize(("method", "path", "headers", "status", "code"), ANSWERS)
async def test_every_answer_has_all_headers(
    client: httpx.AsyncClient, method: str, path: str, headers: dict[str, str], status: int, code: str | None
) -> None:
    answer = await client.request(method, path, headers=headers)
    assert answer.status_code == status, answer.text
    sent = {name.encode(): value.encode() for name, value in answer.headers.items()}
    assert dict(HELMET_DEFAULTS).items() <= sent.items()
    assert answer.headers["x-request-id"]
    assert "cache-control" in answer.headers
    assert "server" not in answer.headers
    assert "x-powered-by" not in answer.headers
    if code is not None:
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert (problem["status"], problem["code"]) == (status, code)
        assert problem["request_id"] == answer.headers["x-request-id"]
        assert problem["instance"] == path.partition("?")[0]
        assert problem["type"].endswith(code)
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/health", "GET, HEAD, OPTIONS"),
        ("/api/products", "DELETE, GET, HEAD, OPTIONS, PATCH, POST"),
        ("/api/products/6b035b1d7b28a7b5c8d0f1aa", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/api/products/query", "OPTIONS, POST"),
        ("/api/collections", "GET, HEAD, OPTIONS, POST"),
        ("/api/batch", "OPTIONS, POST"),
    ],
)
async def test_options_names_all_methods_to_everybody(
    client: httpx.AsyncClient, path: str, allowed: str
) -> None:
    answer = await client.options(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers.get_list("allow") == [allowed]
    assert "content-type" not in answer.headers
    assert (await client.request("TRACE", path)).headers["allow"] == allowed


async def test_options_of_unknown_path_is_404(client: httpx.AsyncClient) -> None:
    answer = await client.options("/nowhere")
    assert (answer.status_code, answer.json()["code"]) == (404, "route.not_found")


async def test_request_id_of_client_is_echoed(client: httpx.AsyncClient) -> None:
    kept = await client.get("/api/health", headers={"X-Request-ID": "my-id.1"})
    replaced = await client.get("/api/health", headers={"X-Request-ID": "a\tb"})
    assert kept.headers["x-request-id"] == "my-id.1"
    assert replaced.headers["x-request-id"] != "a\tb"


async def test_answer_to_signed_in_caller_is_private_and_varies(
    client: httpx.AsyncClient, ann: dict[str, str]
) -> None:
    mine = await client.get("/api/products", headers=ann)
    open_to_all = await client.get("/api/products")
    assert mine.headers["cache-control"] == "private, no-cache"
    assert open_to_all.headers["cache-control"] == "no-cache"
    for answer in (mine, open_to_all):
        assert "authorization" in answer.headers["vary"].lower()


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("zstd, br, gzip", "zstd"), ("br", "br"), ("gzip", "gzip"), ("gzip;q=0", None), ("identity", None)],
)
async def test_long_answer_is_compressed(
    client: httpx.AsyncClient, ann: dict[str, str], accepted: str, encoding: str | None
) -> None:
    product = {"name": "Mug", "price": 1, "description": "words and " * 150}
    created = (await client.post("/api/products", json=product, headers=ann)).json()["data"]
    answer = await client.get(f"/api/products/{created['id']}", headers={"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding") == encoding
    assert answer.json()["data"] == created
    assert "accept-encoding" in answer.headers["vary"].lower()
    assert answer.headers["etag"] == '"1"'


@pytest.mark.parametrize("headers", [{"X-HTTP-Method-Override": "DELETE"}, {"X-Method-Override": "DELETE"}])
async def test_method_override_headers_are_ignored(
    client: httpx.AsyncClient, ann: dict[str, str], headers: dict[str, str]
) -> None:
    product = {"name": "Mug", "price": 1}
    created = (await client.post("/api/products", json=product, headers=ann)).json()["data"]
    path = f"/api/products/{created['id']}"
    assert (await client.get(path, headers=headers | ann)).status_code == 200
    assert (await client.post(path, json={"_method": "DELETE"}, headers=headers | ann)).status_code == 405
    assert (await client.get(f"{path}?_method=DELETE", headers=ann)).status_code == 400
    assert (await client.get(path)).json()["data"] == created


async def test_concurrent_probes_share_one_ping(
    client: httpx.AsyncClient, app: Litestar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PING_TTL_S", 60.0)

    async def pings() -> int:
        status = await services_of(app).database.motor.command("serverStatus")
        count: int = status["metrics"]["commands"]["ping"]["total"]
        return count

    services_of(app).database._pinged_at = -math.inf
    before = await pings()
    answers = await asyncio.gather(*(client.get("/api/health/ready") for _ in range(300)))
    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].json().keys() == {"status", "timestamp"}
    assert await pings() - before <= 2


# --- rate limits


@pytest.fixture
async def limited(settings: Settings) -> AsyncIterator[Litestar]:
    strict = settings.model_copy(
        update={
            "rate_limit": "on",
            "rate_limit_anonymous": "5/minute",
            "rate_limit_user": "8/minute",
            "rate_limit_auth": "3/minute",
        }
    )
    application = create_app(strict)
    async with opened(application):
        yield application


async def statuses(client: httpx.AsyncClient, number: int, path: str, **request: Any) -> list[int]:
    method = "POST" if "json" in request else "GET"
    return [(await client.request(method, path, **request)).status_code for _ in range(number)]


async def test_requests_beyond_limit_are_429_with_retry_after(limited: Litestar) -> None:
    async with connect(limited) as client:
        assert await statuses(client, 7, "/api/products") == [200] * 5 + [429] * 2
        refused = await client.get("/api/products")
        problem = refused.json()
        assert problem["code"] == "rate.limited"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert "ratelimit" in refused.headers
        assert "ratelimit-policy" in refused.headers
        assert await statuses(client, 3, "/nowhere") == [429] * 3
        assert await statuses(client, 3, "/api/health") == [200] * 3
    async with connect(limited, "203.0.113.9") as other:
        assert await statuses(other, 1, "/api/products") == [200]


async def test_signed_in_callers_have_separate_limit(limited: Litestar) -> None:
    headers = bearer(services_of(limited).tokens, "0" * 24)
    async with connect(limited) as client:
        assert await statuses(client, 10, "/api/products", headers=headers) == [200] * 8 + [429] * 2
        assert await statuses(client, 1, "/api/products") == [200]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
async def test_password_guesses_are_limited_whatever_address_is_forwarded(
    limited: Litestar, header: str
) -> None:
    async with connect(limited) as client:
        found = []
        for number in range(6):
            claimed = f"for=198.51.100.{number}" if header == "Forwarded" else f"198.51.100.{number}"
            body = {"email": "ann@example.org", "password": "wrong-password"}
            answer = await client.post("/api/auth/login", json=body, headers={header: claimed})
            found.append(answer.status_code)
        assert found == [401] * 3 + [429] * 3


# --- errors within


async def test_internal_error_leaks_nothing(client: httpx.AsyncClient, app: Litestar) -> None:
    with replaced(app, registry=None):  # whatever touches it now raises AttributeError
        answer = await client.get("/api/products")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (500, "internal")
    assert problem.keys() == {"type", "title", "status", "code", "detail", "instance", "request_id"}
    assert "NoneType" not in answer.text
