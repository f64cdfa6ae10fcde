"""Pages on other origins, in development: those of this machine are our own.

What production does is in tests/scenarios/test_browser_sessions.py.
"""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from service.http.contract import components
from tests.conftest import Service, connect, served
from tests.people import LOGIN, LOGOUT, PROFILE, REFRESH, Person, person

LOCAL, LISTED, EVIL = "http://localhost:5173", "https://app.example", "https://evil.example"
LOCALS = [LOCAL, "http://localhost", "https://127.0.0.1:3000", "http://[::1]:8080"]
ALLOWED, CREDENTIALS = "access-control-allow-origin", "access-control-allow-credentials"
SAFELISTED = {"Cache-Control", "Content-Language", "Content-Length", "Content-Type", "Expires", "Pragma"}
"""Response headers that every page may read (Fetch, 2.2.2)."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(mongodb_uri: str) -> AsyncIterator[Service]:
    async with served(mongodb_uri, cors_origins=(LISTED,)) as service:
        yield service


@pytest.fixture
def ann(service: Service) -> Person:
    return person(service.database)


@pytest.fixture
async def browser(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a cookie jar of its own."""
    async with connect(service.app) as browser:
        yield browser


def allowance(answer: httpx.Response) -> tuple[str | None, str | None]:
    return answer.headers.get(ALLOWED), answer.headers.get(CREDENTIALS)


async def preflight(service: Service, origin: str, method: str = "PATCH", **others: str) -> httpx.Response:
    headers = {"Origin": origin, "Access-Control-Request-Method": method} | others
    return await service.client.options("/api/products", headers=headers)


@pytest.mark.parametrize("origin", LOCALS)
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/products", 200),
        ("GET", "/api/health", 200),
        ("GET", "/api/openapi.json", 200),
        ("GET", "/api/nothing", 404),
        ("PUT", "/api/products", 405),
        ("POST", "/api/products", 401),
        ("OPTIONS", "/api/products", 204),
    ],
)
async def test_local_origins_may_read_every_response_in_development(
    service: Service, origin: str, method: str, path: str, status: int
) -> None:
    answer = await service.client.request(method, path, headers={"Origin": origin})
    assert (answer.status_code, *allowance(answer)) == (status, origin, "true")
    assert "Origin" in answer.headers["vary"].split(", ")
    assert "access-control-allow-methods" not in answer.headers


@pytest.mark.parametrize("origin", LOCALS)
async def test_preflight_of_local_origin_allows_api_methods(service: Service, origin: str) -> None:
    answer = await preflight(service, origin)
    assert (answer.status_code, answer.content, *allowance(answer)) == (204, b"", origin, "true")
    assert {"PATCH", "DELETE"} <= set(answer.headers["access-control-allow-methods"].split(", "))
    wanted = {"Access-Control-Request-Private-Network": "true"}
    far = await preflight(service, origin, **wanted)
    assert far.headers["access-control-allow-private-network"] == "true"


@pytest.mark.parametrize(
    "origin",
    [EVIL, "null", "http://localhost.evil.example", "http://app.localhost:5173", "http://192.168.0.2"],
)
async def test_unlisted_origins_get_no_cors_headers(service: Service, origin: str) -> None:
    answer = await service.client.get("/api/products", headers={"Origin": origin})
    assert (answer.status_code, *allowance(answer)) == (200, None, None)
    wanted = {"Access-Control-Request-Private-Network": "true"}
    for refused in (answer, await preflight(service, origin, **wanted)):
        assert not [name for name in refused.headers if name.startswith("access-control-")]
        assert "Origin" in refused.headers["vary"].split(", ")


async def test_listed_origin_is_allowed_without_credentials(service: Service) -> None:
    answer = await service.client.get("/api/products", headers={"Origin": LISTED})
    assert allowance(answer) == (LISTED, None)


# --- cookies


@pytest.mark.parametrize("origin", LOCALS)
async def test_local_origin_keeps_session_in_cookies(
    browser: httpx.AsyncClient, ann: Person, origin: str
) -> None:
    browser.headers["Origin"] = origin
    signed_in = await browser.post(LOGIN, json=ann.credentials | {"mode": "cookie"})
    assert (signed_in.status_code, *allowance(signed_in)) == (200, origin, "true")
    proof = {"X-CSRF-Token": signed_in.json()["data"]["csrf_token"]}
    changed = await browser.patch(PROFILE, json={"name": "Ann"}, headers=proof)
    assert (changed.status_code, *allowance(changed)) == (200, origin, "true")
    assert (await browser.get(PROFILE)).json()["data"]["name"] == "Ann"
    assert (await browser.post(REFRESH, headers=proof)).status_code == 200
    assert (await browser.post(LOGOUT, headers=proof)).status_code == 204


@pytest.mark.parametrize(
    "change", [{"X-CSRF-Token": ""}, {"Origin": EVIL}, {"Origin": LISTED}, {"Origin": "null"}], ids=str
)
async def test_cookie_write_with_wrong_csrf_token_or_origin_returns_403(
    browser: httpx.AsyncClient, ann: Person, change: dict[str, str]
) -> None:
    browser.headers["Origin"] = LOCAL
    data = (await browser.post(LOGIN, json=ann.credentials | {"mode": "cookie"})).json()["data"]
    headers = {"X-CSRF-Token": data["csrf_token"]} | change
    refused = await browser.patch(PROFILE, json={"name": "Eve"}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "auth.cross_site")


# --- what pages can read and send


def of_contract(kind: str) -> set[str]:
    """The names of the headers that the contract tells of, of answers or of requests."""
    if kind == "exposed":
        return {name.removesuffix(".optional") for name in components.headers()}
    declared: Any = components.parameters().values()
    return {each["name"] for each in declared if each["in"] == "header"}


async def test_cors_headers_list_every_header_of_contract(service: Service) -> None:
    answer = await service.client.get("/api/products", headers={"Origin": LOCAL})
    exposed = set(answer.headers["access-control-expose-headers"].split(", "))
    assert of_contract("exposed") - SAFELISTED <= exposed
    assert {"Accept-Patch", "ETag", "Link", "Location", "Retry-After", "RateLimit"} <= exposed
    allowed = (await preflight(service, LOCAL)).headers["access-control-allow-headers"].split(", ")
    assert of_contract("allowed") | {"Authorization", "Content-Type", "X-CSRF-Token"} <= set(allowed)


async def test_headers_of_refusals_are_exposed_to_pages(service: Service) -> None:
    """A 415 of a patch names the types that do, a 405 the methods, a 401 how to sign in."""
    headers = {"Origin": LOCAL}
    made = await service.client.post(
        "/api/products", json={"name": "Mug", "price": 1}, headers=headers | service.signed_in()
    )
    exposed = set(made.headers["access-control-expose-headers"].lower().split(", "))
    path = made.headers["location"]
    wrong = await service.client.patch(
        path, content=b"x", headers=headers | service.signed_in("admin") | {"Content-Type": "text/plain"}
    )
    assert (wrong.status_code, "accept-patch" in wrong.headers) == (415, True)
    other = await service.client.put("/api/products", headers=headers)
    assert (other.status_code, "allow" in other.headers) == (405, True)
    stranger = await service.client.post("/api/products", json={}, headers=headers)
    assert (stranger.status_code, "www-authenticate" in stranger.headers) == (401, True)
    assert {"accept-patch", "allow", "www-authenticate", "etag", "location", "x-request-id"} <= exposed
