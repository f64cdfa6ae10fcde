"""Signing in at a genuine provider, over the redirects that a browser would follow."""

import re
from urllib.parse import urljoin

import httpx

from tests.identity.oidc.conftest import (
    APP,
    CALLBACK,
    CHALLENGE,
    HOME,
    PASSWORD,
    VERIFIER,
    Browser,
    OidcService,
    returned_to,
    told_by,
)


async def visit(address: str) -> dict[str, str]:
    """Sign in at the provider as a person does, until it sends the browser back; returns what it tells."""
    async with httpx.AsyncClient() as http:
        for _ in range(10):
            answer = await http.get(address)
            while not answer.is_redirect:
                (name,) = re.findall(r'name="(login|password)"', answer.text)
                filled = {"login": "ann", "password": PASSWORD}[name]
                answer = await http.post(answer.url, data={name: filled})
            address = urljoin(str(answer.url), answer.headers["Location"])
            if address.startswith("https://sheaf.test/"):
                break
    assert address.partition("?")[0] == CALLBACK
    return told_by(address)


async def test_browser_is_signed_in_by_cookies(oidc_service: OidcService, browser: Browser) -> None:
    answer = await browser.start("acme")
    assert answer.status_code == 302
    assert answer.headers["Cache-Control"] == "no-store"
    answer = await browser.back("acme", **await visit(answer.headers["Location"]))
    assert (answer.status_code, returned_to(answer)) == (302, HOME)
    assert {"sheaf_access", "sheaf_refresh", "sheaf_csrf"} <= set(browser.http.cookies)
    profile = (await browser.http.get("/api/profile")).json()["data"]
    assert (profile["email"], profile["name"], profile["roles"]) == ("ann@example.com", "Ann Example", [])
    (user,) = oidc_service.users()
    assert user["password_hash"] is None
    assert user["is_email_verified"] is False  # the provider does not say so
    assert [each["subject"] for each in user["identities"]] == ["ann"]
    actions = [action for action, _ in oidc_service.actions()]
    assert actions == ["user.created", "sign_in.succeeded", "session.opened"]
    assert oidc_service.actions()[1] == ("sign_in.succeeded", {"provider": "acme"})


async def test_app_is_signed_in_by_a_code(oidc_service: OidcService, browser: Browser) -> None:
    started = await browser.start("acme", mode="bearer", return_to=APP, code_challenge=CHALLENGE)
    answer = await browser.back("acme", **await visit(started.headers["Location"]))
    address, _, code = answer.headers["Location"].partition("?code=")
    assert address == APP
    assert oidc_service.users() == []  # nothing has happened until the app proves itself
    granted = (await browser.exchange(code, VERIFIER)).json()["data"]
    assert set(granted) == {"access_token", "token_type", "refresh_token", "expires_in", "user"}
    async with oidc_service.browser() as other:
        headers = {"Authorization": f"Bearer {granted['access_token']}"}
        assert (await other.http.get("/api/profile", headers=headers)).json()["data"]["name"] == "Ann Example"


async def test_second_sign_in_finds_the_same_account(oidc_service: OidcService) -> None:
    for _ in range(2):
        async with oidc_service.browser() as browser:
            answer = await browser.start("acme")
            answer = await browser.back("acme", **await visit(answer.headers["Location"]))
            assert returned_to(answer) == HOME
    assert len(oidc_service.users()) == 1


async def test_provider_takes_a_code_once_with_its_verifier_only(browser: Browser) -> None:
    began, other = await browser.start("acme"), await browser.start("acme")
    told = await visit(began.headers["Location"])
    other_state = told_by(other.headers["Location"])["state"]
    answer = await browser.back("acme", **{**told, "state": other_state})
    assert answer.headers["Location"] == f"{HOME}?error=provider.invalid"
