"""Browser mode: tokens in cookies, end to end with a browser's jar, over TLS as in production."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import pytest_asyncio

from service.kit.sealing import digest
from tests.conftest import Service, served
from tests.people import LOGIN, LOGOUT, PROFILE, REFRESH, SESSIONS, Person, person
from tests.scenarios.identity import problem

OWN, SISTER, EVIL = "https://sheaf.test", "https://app.sheaf.test", "https://evil.test"
ACCESS, REFRESHING, CSRF = "__Host-sheaf_access", "__Secure-sheaf_refresh", "__Host-sheaf_csrf"
CROSS_SITE = (403, "auth.cross_site")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(mongodb_uri: str) -> AsyncIterator[Service]:
    changes = {"environment": "production", "cors_origins": (SISTER,), "cors_credentials": True}
    async with served(mongodb_uri, **changes) as service, browser_of(service.app) as client:
        yield replace(service, client=client)


def browser_of(app: Any) -> httpx.AsyncClient:
    """Return a client with a cookie jar of its own, on a page of the service."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=OWN, headers={"Origin": OWN})


@pytest.fixture
def ann(service: Service) -> Person:
    return person(service.database)


@pytest.fixture
async def browser(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with browser_of(service.app) as browser:
        yield browser


@pytest.fixture
async def csrf(browser: httpx.AsyncClient, ann: Person) -> dict[str, str]:
    """Sign Ann in in the browser; provides the header by which her pages are known."""
    answer = await browser.post(LOGIN, json=ann.credentials | {"mode": "cookie"})
    assert answer.status_code == 200, answer.text
    return {"X-CSRF-Token": answer.json()["data"]["csrf_token"]}


def sessions(service: Service) -> list[dict[str, Any]]:
    return list(service.database["_sessions"].find().sort("_id"))


def told(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("code") if answer.content else None


# --- signing in


async def test_sign_in_by_cookie_puts_tokens_into_cookies_only(
    browser: httpx.AsyncClient, ann: Person
) -> None:
    answer = await browser.post(LOGIN, json=ann.credentials | {"mode": "cookie"})
    data = answer.json()["data"]
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.json() == {
        "data": {"csrf_token": data["csrf_token"], "expires_in": 900, "user": data["user"]}
    }
    assert data["user"]["id"] == ann.id
    sent = [re.sub(r"=[\w.-]+", "=…", each, count=1) for each in answer.headers.get_list("set-cookie")]
    assert sent == [
        f"{ACCESS}=…; HttpOnly; Max-Age=2592000; Path=/; SameSite=strict; Secure",
        f"{REFRESHING}=…; HttpOnly; Max-Age=2592000; Path=/api/auth; SameSite=strict; Secure",
        f"{CSRF}=…; Max-Age=2592000; Path=/; SameSite=strict; Secure",
    ]
    assert browser.cookies[CSRF] == data["csrf_token"]
    for name in (ACCESS, REFRESHING):
        assert browser.cookies[name] not in answer.text


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Origin": EVIL}, CROSS_SITE),
        ({"Origin": "null"}, CROSS_SITE),
        ({"Origin": "http://sheaf.test"}, CROSS_SITE),
        ({"Origin": "", "Sec-Fetch-Site": "cross-site"}, CROSS_SITE),
        ({"Origin": SISTER}, (200, None)),
    ],
    ids=str,
)
async def test_a46_sign_in_by_a_page_of_another_site_is_refused(
    service: Service, browser: httpx.AsyncClient, ann: Person, headers: dict[str, str], expected: Any
) -> None:
    before = len(sessions(service))
    answer = await browser.post(LOGIN, json=ann.credentials | {"mode": "cookie"}, headers=headers)
    assert told(answer) == expected
    assert len(sessions(service)) - before == (1 if expected[0] == 200 else 0)
    assert ("set-cookie" in answer.headers) is (expected[0] == 200)


@pytest.mark.parametrize("origin", ["http://localhost:5173", "https://localhost", "http://[::1]:3000"])
async def test_local_pages_are_refused_in_production(
    service: Service, browser: httpx.AsyncClient, ann: Person, origin: str
) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Private-Network": "true"}
    answer = await browser.post(LOGIN, json=ann.credentials | {"mode": "cookie"}, headers=headers)
    assert told(answer) == CROSS_SITE
    asked = headers | {"Access-Control-Request-Method": "GET"}
    for refused in (answer, await browser.options("/api/products", headers=asked)):
        assert not [name for name in refused.headers if name.startswith("access-control-")]


async def test_listed_origin_may_read_with_cookies_when_allowed(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/api/products", headers={"Origin": SISTER})
    assert answer.headers["access-control-allow-origin"] == SISTER
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "Origin" in answer.headers["vary"].split(", ")


# --- using the cookies


async def test_browser_reads_by_cookie_and_writes_with_the_csrf_token(
    browser: httpx.AsyncClient, ann: Person, csrf: dict[str, str]
) -> None:
    assert (await browser.get(PROFILE)).json()["data"]["id"] == ann.id
    answer = await browser.patch(PROFILE, json={"name": "Ann"}, headers=csrf)
    assert (answer.status_code, answer.json()["data"]["name"]) == (200, "Ann")
    created = await browser.post("/api/products", json={"name": "Mug", "price": 1}, headers=csrf)
    assert (created.status_code, created.json()["data"]["_owner"]) == (201, ann.id)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", PROFILE, {"name": "Eve"}),
        ("POST", "/api/products", {"name": "Mug", "price": 1}),
        ("POST", "/api/batch", {"operations": []}),
        ("DELETE", SESSIONS, None),
        ("POST", LOGOUT, None),
        ("POST", REFRESH, None),
    ],
)
async def test_a46_write_by_cookie_without_proof_changes_nothing(
    service: Service,
    browser: httpx.AsyncClient,
    csrf: dict[str, str],
    method: str,
    path: str,
    body: Any,
) -> None:
    def everything() -> list[Any]:
        return [list(service.database[each].find()) for each in ("_users", "_sessions", "products", "_audit")]

    before = everything()
    for change in ({"Origin": EVIL}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": "A" * 43}, {"Origin": "null"}):
        answer = await browser.request(method, path, json=body, headers=csrf | change)
        assert told(answer) == CROSS_SITE, change
        assert everything() == before
        assert "set-cookie" not in answer.headers
    assert (await browser.get(PROFILE)).status_code == 200


async def test_csrf_token_of_another_session_is_refused(
    service: Service, browser: httpx.AsyncClient, csrf: dict[str, str], ann: Person
) -> None:
    async with browser_of(service.app) as other:
        await other.post(LOGIN, json=ann.credentials | {"mode": "cookie"})
        for path in (REFRESH, LOGOUT):
            assert told(await other.post(path, headers=csrf)) == CROSS_SITE


async def test_answer_by_cookie_is_private(browser: httpx.AsyncClient, csrf: dict[str, str]) -> None:
    for path in (PROFILE, "/api/products"):
        answer = await browser.get(path)
        assert answer.status_code == 200
        assert answer.headers["cache-control"].startswith(("private", "no-store"))
        assert {"Authorization", "Cookie"} <= set(answer.headers["vary"].split(", "))


# --- refreshing


async def test_refresh_renews_the_cookies_and_keeps_the_csrf_token(
    browser: httpx.AsyncClient, csrf: dict[str, str]
) -> None:
    before = dict(browser.cookies)
    answer = await browser.post(REFRESH, headers=csrf)
    data = answer.json()["data"]
    assert (answer.status_code, data) == (
        200,
        {"csrf_token": csrf["X-CSRF-Token"], "expires_in": 900, "user": data["user"]},
    )
    after = dict(browser.cookies)
    assert before[CSRF] == after[CSRF]
    assert before[REFRESHING] != after[REFRESHING]
    assert (await browser.get(PROFILE)).status_code == 200


@pytest.mark.parametrize("value", ["a.b.c", "x"])
async def test_bad_access_cookie_still_allows_sign_in(
    browser: httpx.AsyncClient, csrf: dict[str, str], ann: Person, value: str
) -> None:
    browser.cookies.set(ACCESS, value, domain="sheaf.test", path="/")
    assert told(await browser.get("/api/products")) == (401, "auth.token_invalid")
    assert (await browser.get("/api/health")).status_code == 200
    assert (await browser.post(LOGIN, json=ann.credentials)).status_code == 200
    assert (await browser.post(REFRESH, headers=csrf)).status_code == 200
    assert (await browser.get("/api/products")).status_code == 200


async def test_refresh_of_an_ended_session_clears_the_cookies(
    service: Service, browser: httpx.AsyncClient, csrf: dict[str, str], ann: Person
) -> None:
    token = (await service.client.post(LOGIN, json=ann.credentials)).json()["data"]["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert (await service.client.delete(f"{SESSIONS}?keep=present", headers=headers)).status_code == 204
    assert told(await browser.get(PROFILE)) == (401, "auth.token_invalid")
    answer = await browser.post(REFRESH, headers=csrf)
    assert (answer.status_code, problem(answer)["code"]) == (401, "auth.session_ended")
    assert dict(browser.cookies) == {}
    assert (await browser.get("/api/products")).status_code == 200


@pytest.mark.parametrize("is_cookie", [False, True])
async def test_refresh_token_of_the_other_mode_is_refused(
    service: Service, browser: httpx.AsyncClient, csrf: dict[str, str], ann: Person, is_cookie: bool
) -> None:
    before = sessions(service)
    if is_cookie:
        answer = await service.client.post(REFRESH, json={"refresh_token": browser.cookies[REFRESHING]})
    else:
        data = (await service.client.post(LOGIN, json=ann.credentials)).json()["data"]
        before = sessions(service)
        name = f"{REFRESHING}={data['refresh_token']}"
        answer = await service.client.post(REFRESH, headers=csrf | {"Cookie": name})
    assert told(answer) == (401, "auth.session_ended")
    assert sessions(service) == before


async def test_csrf_token_outlives_the_secret(
    service: Service, browser: httpx.AsyncClient, csrf: dict[str, str]
) -> None:
    old = "A" * 43
    session_id = browser.cookies[REFRESHING].partition(".")[0]
    service.database["_sessions"].update_one({"_id": session_id}, {"$set": {"csrf_hash": digest(old)}})
    answer = await browser.post(REFRESH, headers={"X-CSRF-Token": old})
    assert (answer.status_code, answer.json()["data"]["csrf_token"]) == (200, csrf["X-CSRF-Token"])
    assert told(await browser.post(REFRESH, headers={"X-CSRF-Token": old})) == CROSS_SITE


# --- signing out


async def test_logout_ends_the_session_and_clears_the_cookies(
    service: Service, browser: httpx.AsyncClient, csrf: dict[str, str]
) -> None:
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    answer = await browser.post(LOGOUT, headers=csrf)
    assert (answer.status_code, dict(browser.cookies)) == (204, {})
    assert len(answer.headers.get_list("set-cookie")) == 3
    assert (await browser.post(LOGOUT, headers=csrf)).status_code == 204
    stolen = await service.client.get(PROFILE, headers={"Cookie": cookies})
    assert told(stolen) == (401, "auth.token_invalid")
    again = await service.client.post(REFRESH, headers=csrf | {"Cookie": cookies})
    assert told(again) == (401, "auth.session_ended")


@pytest.mark.parametrize("path", [SESSIONS, f"{SESSIONS}/…"])
async def test_end_of_the_present_session_clears_the_cookies(
    browser: httpx.AsyncClient, csrf: dict[str, str], path: str
) -> None:
    (present,) = (await browser.get(SESSIONS)).json()["data"]
    assert (present["mode"], present["is_present"]) == ("cookie", True)
    answer = await browser.delete(path.replace("…", present["id"]), headers=csrf)
    assert (answer.status_code, dict(browser.cookies)) == (204, {})
