"""Who may begin and end a sign-in, once, and where it may lead."""

import asyncio
from typing import Any

import httpx
import pytest

from service.http.controllers import oidc
from service.identity.oidc import flows
from service.identity.oidc.flows import ReturnUrls
from service.identity.oidc.providers import Providers
from service.kit.errors import StartupFailure
from service.kit.origins import Origins
from tests.identity.oidc.conftest import APP, CHALLENGE, HOME, VERIFIER, Browser, OidcService, returned_to
from tests.identity.oidc.own_provider import OwnProvider

FLOW_INVALID = (400, "auth.flow_invalid")


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def nothing_happened(oidc_service: OidcService) -> bool:
    return oidc_service.users() == [] and list(oidc_service.database["_sessions"].find()) == []


@pytest.mark.parametrize("state", ["", "made-up", "a" * 500, "a\x00b", '{"$gt":""}'])
async def test_unknown_state_is_refused(
    oidc_service: OidcService, browser: Browser, own: OwnProvider, state: str
) -> None:
    await browser.sent(own)
    assert problem(await browser.back(state=state, code="a-code")) == FLOW_INVALID
    assert own.called("/token") == 0
    assert nothing_happened(oidc_service)


async def test_state_is_used_once(browser: Browser, own: OwnProvider) -> None:
    state = (await browser.sent(own))["state"]
    answers = await asyncio.gather(*(browser.back(state=state, code="a-code") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [302, 400, 400, 400, 400]
    assert own.called("/token") == 1


async def test_state_of_another_browser_is_refused_and_stays_usable(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    state = (await browser.sent(own))["state"]
    async with (
        oidc_service.browser() as victim
    ):  # who is lured to the address that an attacker's sign-in ends at
        assert problem(await victim.back(state=state, code="a-code")) == FLOW_INVALID
        await victim.sent(own)  # now with a secret of its own
        assert problem(await victim.back(state=state, code="a-code")) == FLOW_INVALID
    assert nothing_happened(oidc_service)
    own.nonce = (await browser.sent(own))["nonce"]
    assert (await browser.back(state=state, code="a-code")).headers["Location"].startswith(HOME)


async def test_state_of_another_provider_is_refused(browser: Browser, own: OwnProvider) -> None:
    state = (await browser.sent(own))["state"]
    assert problem(await browser.back("acme", state=state, code="a-code")) == FLOW_INVALID
    assert returned_to(await browser.back(state=state, code="a-code")) == HOME


async def test_state_expires(oidc_service: OidcService, browser: Browser, own: OwnProvider) -> None:
    state = (await browser.sent(own))["state"]
    oidc_service.database["_one_time_tokens"].update_many({}, [{"$set": {"expires_at": "$_created_at"}}])
    assert problem(await browser.back(state=state, code="a-code")) == FLOW_INVALID


async def test_stored_flow_has_no_plain_secret(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    sent = await browser.sent(own)
    stored = str(list(oidc_service.database["_one_time_tokens"].find()))
    secrets = [sent["state"], sent["nonce"], browser.http.cookies["sheaf_oidc"]]
    assert not [each for each in secrets if each in stored]


async def test_two_flows_in_one_browser_both_complete(browser: Browser, own: OwnProvider) -> None:
    first, second = await browser.sent(own), await browser.sent(own)
    for told in (first, second):
        own.nonce = told["nonce"]
        assert returned_to(await browser.back(state=told["state"], code="a-code")) == HOME


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"error": "access_denied", "error_description": "<script>"}, "provider.refused"),
        ({"error": "<script>alert(1)</script>"}, "provider.refused"),
        ({"error": "temporarily_unavailable"}, "provider.unavailable"),
        ({}, "provider.invalid"),
        ({"code": ""}, "provider.invalid"),
        ({"code": "c" * 5000}, "provider.invalid"),
    ],
)
async def test_error_of_the_provider_returns_a_stable_code(
    oidc_service: OidcService, browser: Browser, own: OwnProvider, told: dict[str, str], code: str
) -> None:
    state = (await browser.sent(own))["state"]
    answer = await browser.back(state=state, **told)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{HOME}?error={code}")
    assert answer.content == b""
    assert own.called("/token") == 0
    assert nothing_happened(oidc_service)


async def test_repeated_parameter_in_the_callback_is_refused(browser: Browser, own: OwnProvider) -> None:
    state = (await browser.sent(own))["state"]
    answer = await browser.http.get(f"/api/auth/oidc/own/callback?state={state}&code=a&code=b")
    assert problem(answer) == (400, "request.invalid")


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example/",
        "/home",
        "\\\\evil.example",
        "https:\\\\evil.example",
        "https://sheaf.test\\@evil.example/",
        "https://sheaf.test@evil.example/",
        "https://sheaf.test:443@evil.example/",
        "https://sheaf.test%40evil.example/",
        "https://sheaf.test%2f@evil.example/",
        "https://sheaf.test.evil.example/",
        "https://sheaf.test:8443/",
        "http://sheaf.test/",
        "https:evil.example",
        "https:///evil.example",
        "https://sheaf.test/#fragment",
        "https://sheaf.test/ home",
        "https://sheaf.test/\r\nSet-Cookie: a=b",
        "https://sheaf.test\t.evil.example",
        "https://\u017fheaf.test/",
        "https://[sheaf.test/",
        "javascript:alert(1)",
        "data:text/html,x",
        "com.example.app:/elsewhere",
        "com.example.app:/signed-in?a=b",
        "",
        "https://sheaf.test/" + "a" * 2000,
    ],
)
async def test_unlisted_return_address_is_refused(
    oidc_service: OidcService, browser: Browser, own: OwnProvider, address: str
) -> None:
    answer = await browser.start(return_to=address)
    assert problem(answer) == (400, "parameter.invalid")
    assert [each["parameter"] for each in answer.json()["errors"]] == ["return_to"]
    assert list(oidc_service.database["_one_time_tokens"].find()) == []
    assert own.calls == []


@pytest.mark.parametrize(
    "address",
    [HOME, "https://sheaf.test", "HTTPS://Sheaf.test:443/a?b=c%2F", "https://pages.test/in?a=b", APP],
)
async def test_listed_return_address_is_returned_to(browser: Browser, own: OwnProvider, address: str) -> None:
    assert returned_to(await browser.sign_in(own, return_to=address)) == address
    state = (await browser.sent(own, return_to=address))["state"]
    mark = "&" if "?" in address else "?"
    answer = await browser.back(state=state, error="access_denied")
    assert answer.headers["Location"] == f"{address}{mark}error=provider.refused"


async def test_callback_returns_the_csrf_token_in_the_fragment(browser: Browser, own: OwnProvider) -> None:
    page = "https://pages.test/in"
    address, _, token = (
        (await browser.sign_in(own, return_to=page)).headers["Location"].partition("#csrf_token=")
    )
    assert (address, token) == (page, browser.http.cookies["sheaf_csrf"])
    headers = {"Origin": "https://sheaf.test", "X-CSRF-Token": token}
    assert (await browser.http.post("/api/auth/refresh", headers=headers)).status_code == 200


@pytest.mark.parametrize("url", ["", "/signed-in", "com.example.app:/a#b", "com.example.app:/a b", "App:/x"])
def test_malformed_return_url_stops_the_start(url: str) -> None:
    with pytest.raises(StartupFailure, match="SHEAF_OIDC_RETURN_URLS"):
        ReturnUrls(Origins([]), [url])


def test_wildcard_origin_allows_no_return_address() -> None:
    with pytest.raises(Exception, match="return_to"):
        ReturnUrls(Origins(["*", ""]), []).check("https://evil.example")


@pytest.mark.parametrize(
    ("parameters", "at_fault"),
    [
        ({"mode": "basic"}, "mode"),
        ({"mode": "bearer"}, "code_challenge"),
        ({"mode": "link", "code_challenge": "short"}, "code_challenge"),
        ({"mode": "bearer", "code_challenge": "ä" * 43}, "code_challenge"),
        ({"code_challenge": CHALLENGE}, "code_challenge"),
        ({"returnto": HOME}, "returnto"),
    ],
)
async def test_invalid_start_parameters_are_refused(
    oidc_service: OidcService, browser: Browser, own: OwnProvider, parameters: dict[str, str], at_fault: str
) -> None:
    answer = await browser.start(**parameters)
    assert problem(answer) == (400, "parameter.invalid")
    assert [each["parameter"] for each in answer.json()["errors"]] == [at_fault]
    assert list(oidc_service.database["_one_time_tokens"].find()) == []


async def test_start_without_return_address_is_refused(browser: Browser, own: OwnProvider) -> None:
    answer = await browser.http.get("/api/auth/oidc/own/start")
    assert problem(answer) == (400, "parameter.invalid")


@pytest.mark.parametrize("method", ["start", "callback", "link", "unlink"])
async def test_unknown_provider_is_404(
    oidc_service: OidcService, browser: Browser, own: OwnProvider, method: str
) -> None:
    path = "/api/auth/oidc/nobody"
    headers = await signed_in(browser, own)
    asked = {
        "start": ("GET", f"{path}/start?return_to={HOME}", None),
        "callback": ("GET", f"{path}/callback?state=a&code=b", None),
        "link": ("POST", f"{path}/link", {"code": "a", "code_verifier": VERIFIER}),
        "unlink": ("DELETE", path, None),
    }
    verb, address, body = asked[method]
    answer = await browser.http.request(verb, address, json=body, headers=headers)
    assert problem(answer) == (404, "provider.not_found")


async def signed_in(browser: Browser, own: OwnProvider) -> dict[str, str]:
    """Return the headers of somebody whom our own provider has signed in, for an app."""
    granted = (await browser.exchange(await browser.code(own, "bearer"))).json()["data"]
    browser.http.cookies.clear()
    return {"Authorization": f"Bearer {granted['access_token']}"}


async def test_code_is_exchanged_once(oidc_service: OidcService, browser: Browser, own: OwnProvider) -> None:
    code = await browser.code(own, "bearer")
    answers = await asyncio.gather(*(browser.exchange(code) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]
    assert oidc_service.database["_sessions"].count_documents({}) == 1


async def test_code_with_another_verifier_is_refused(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    code = await browser.code(own, "bearer")
    assert problem(await browser.exchange(code, "z" * 43)) == FLOW_INVALID
    assert problem(await browser.exchange(code)) == FLOW_INVALID  # a code that was guessed at is void
    assert nothing_happened(oidc_service)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"code": {"$gt": ""}, "code_verifier": VERIFIER},
        {"code": "a", "code_verifier": {"$regex": "."}},
        {"code": "a", "code_verifier": "short"},
        {"code": "a", "code_verifier": VERIFIER, "mode": "cookie"},
        {"code": "a" * 201, "code_verifier": VERIFIER},
    ],
)
async def test_malformed_exchange_is_refused(
    oidc_service: OidcService, browser: Browser, own: OwnProvider, body: dict[str, Any]
) -> None:
    code = await browser.code(own, "bearer")
    answer = await browser.http.post("/api/auth/oidc/exchange", json=body)
    assert problem(answer) == (400, "document.invalid")
    assert nothing_happened(oidc_service)
    assert (await browser.exchange(code)).status_code == 200


async def test_code_for_linking_signs_nobody_in(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    assert problem(await browser.exchange(await browser.code(own, "link"))) == FLOW_INVALID
    assert nothing_happened(oidc_service)


async def test_flow_cookie_is_http_only_and_bound_to_the_host(browser: Browser, own: OwnProvider) -> None:
    kept = (await browser.start()).headers["Set-Cookie"]
    assert kept.startswith("sheaf_oidc=")
    assert kept.endswith("; HttpOnly; Max-Age=600; Path=/; SameSite=lax")
    secure = oidc._cookie(Providers([], is_secure=True), "secret")
    assert (secure.key, secure.secure, secure.httponly) == ("__Host-sheaf_oidc", True, True)
    assert (secure.samesite, secure.path, secure.domain) == ("lax", "/", None)


def test_flow_cookie_is_kept_and_malformed_ones_replaced() -> None:
    own = flows.browser_secret(None)
    assert flows.browser_secret(own) == own
    assert flows.browser_secret("chosen") != "chosen"
