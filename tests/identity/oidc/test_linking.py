"""Linking one's own account with a provider, and undoing it."""

import asyncio

import pytest
from argon2 import PasswordHasher

from service.access.principals import Principal
from tests.identity.oidc.conftest import CHALLENGE, PASSWORD, VERIFIER, Browser, OidcService
from tests.identity.oidc.own_provider import OwnProvider
from tests.identity.oidc.test_accounts import AT, identity, linked
from tests.identity.oidc.test_flows import FLOW_INVALID, problem
from tests.services import services_of

HASH = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(PASSWORD)
OWN = "/api/auth/oidc/own"


def headers_of(oidc_service: OidcService, user_id: str) -> dict[str, str]:
    principal = Principal("user", user_id, frozenset(), session_id=f"session-of-{user_id}")
    return {"Authorization": f"Bearer {services_of(oidc_service.app).tokens.issue(principal)}"}


async def test_link_adds_the_identity_to_the_account(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    user_id = oidc_service.register("other@example.com", password_hash=HASH, is_email_verified=False)
    answer = await browser.link(
        await browser.code(own, "link"), headers_of(oidc_service, user_id), password=PASSWORD
    )
    assert answer.status_code == 204
    assert linked(oidc_service) == [[identity(own)]]
    assert oidc_service.actions() == [("identity.linked", {"provider": "own", **identity(own)})]
    granted = await browser.exchange(await browser.code(own, "bearer"))
    assert granted.json()["data"]["user"]["id"] == user_id


@pytest.mark.parametrize("password", [None, "another password"])
async def test_link_without_the_password_is_refused(
    oidc_service: OidcService, browser: Browser, own: OwnProvider, password: str | None
) -> None:
    user_id = oidc_service.register(password_hash=HASH)
    code = await browser.code(own, "link")
    given = {} if password is None else {"password": password}
    answer = await browser.link(code, headers_of(oidc_service, user_id), **given)
    assert answer.status_code in {400, 403}
    assert linked(oidc_service) == [[]]
    assert (await browser.link(code, headers_of(oidc_service, user_id), password=PASSWORD)).status_code == 204


async def test_link_without_sign_in_is_refused(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    oidc_service.register()
    answer = await browser.link(await browser.code(own, "link"), {})
    assert problem(answer) == (401, "auth.required")
    assert linked(oidc_service) == [[]]


async def test_code_of_another_flow_links_nothing(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    victim = headers_of(oidc_service, oidc_service.register())
    code = await browser.code(own, "link")
    body = {"code": code, "code_verifier": "what-the-victims-app-has-made-up-0123456789"}
    answer = await browser.http.post(f"{OWN}/link", json=body, headers=victim)
    assert problem(answer) == FLOW_INVALID
    answer = await browser.link(await browser.code(own, "bearer"), victim)
    assert problem(answer) == FLOW_INVALID  # a code to sign in with
    assert linked(oidc_service) == [[]]


async def test_code_of_another_provider_links_nothing(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    headers = headers_of(oidc_service, oidc_service.register())
    body = {"code": await browser.code(own, "link"), "code_verifier": VERIFIER}
    answer = await browser.http.post("/api/auth/oidc/acme/link", json=body, headers=headers)
    assert problem(answer) == FLOW_INVALID
    assert linked(oidc_service) == [[]]


async def test_identity_of_another_account_is_not_linked(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    first, second = oidc_service.register(), oidc_service.register("bob@example.com")
    codes = [await browser.code(own, "link") for _ in range(2)]
    answers = await asyncio.gather(
        browser.link(codes[0], headers_of(oidc_service, first)),
        browser.link(codes[1], headers_of(oidc_service, second)),
    )
    assert sorted(answer.status_code for answer in answers) == [204, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"identity.taken"}
    assert sorted(linked(oidc_service)) == [[], [identity(own)]]


async def test_second_identity_of_a_provider_is_refused(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    headers = headers_of(
        oidc_service, oidc_service.register(identities=[identity(own, "s-0") | {"linked_at": AT}])
    )
    answer = await browser.link(await browser.code(own, "link"), headers)
    assert problem(answer) == (409, "identity.taken")
    assert linked(oidc_service) == [[identity(own, "s-0")]]


async def test_unlink_removes_the_identity(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    known = identity(own) | {"linked_at": AT}
    user_id = oidc_service.register(password_hash=HASH, identities=[known])
    answer = await browser.http.delete(OWN, headers=headers_of(oidc_service, user_id))
    assert answer.status_code == 204
    assert linked(oidc_service) == [[]]
    assert oidc_service.users()[0]["_version"] == 2
    assert oidc_service.actions() == [("identity.unlinked", {"issuer": own.issuer})]
    answer = await browser.http.delete(OWN, headers=headers_of(oidc_service, user_id))
    assert problem(answer) == (404, "identity.not_found")


@pytest.mark.parametrize(
    "others", [[], [{"issuer": "https://not.configured", "subject": "s", "linked_at": AT}]]
)
async def test_unlink_of_the_last_way_to_sign_in_is_refused(
    oidc_service: OidcService, browser: Browser, own: OwnProvider, others: list[dict[str, object]]
) -> None:
    known = identity(own) | {"linked_at": AT}
    headers = headers_of(oidc_service, oidc_service.register(password_hash=None, identities=[known, *others]))
    before = oidc_service.users()
    assert problem(await browser.http.delete(OWN, headers=headers)) == (409, "identity.last")
    assert oidc_service.users() == before
    assert oidc_service.actions() == []


async def test_concurrent_unlinks_leave_one_way_to_sign_in(
    oidc_service: OidcService, browser: Browser, own: OwnProvider, genuine: str
) -> None:
    both = [{"issuer": each, "subject": "s", "linked_at": AT} for each in (own.issuer, genuine)]
    headers = headers_of(oidc_service, oidc_service.register(password_hash=None, identities=both))
    answers = await asyncio.gather(
        browser.http.delete(OWN, headers=headers),
        browser.http.delete("/api/auth/oidc/acme", headers=headers),
    )
    assert sorted(answer.status_code for answer in answers) == [204, 409]
    assert len(oidc_service.users()[0]["identities"]) == 1


async def test_start_of_a_link_with_a_challenge_redirects(browser: Browser, own: OwnProvider) -> None:
    answer = await browser.start(mode="link", code_challenge=CHALLENGE)
    assert answer.status_code == 302
