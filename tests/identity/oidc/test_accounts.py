"""Whose account a sign-in at a provider leads to, and whose it never does."""

import asyncio
from datetime import UTC, datetime

import pyotp
import pytest

from service.identity import passwords
from service.identity.core import one_time
from tests.identity.oidc.conftest import HOME, Browser, OidcService, returned_to
from tests.identity.oidc.own_provider import OwnProvider
from tests.identity.oidc.test_flows import problem, signed_in
from tests.services import replaced

AT = datetime(2026, 1, 1, tzinfo=UTC)
EXISTS = f"{HOME}?error=auth.account_exists"


async def location(browser: Browser, own: OwnProvider) -> str:
    return returned_to(await browser.sign_in(own))


def identity(own: OwnProvider, subject: str = "s-1") -> dict[str, str]:
    return {"issuer": own.issuer, "subject": subject}


def linked(oidc_service: OidcService) -> list[list[dict[str, str]]]:
    """Return each account's identities, without when they were linked."""
    return [
        [{name: each[name] for name in ("issuer", "subject")} for each in user.get("identities", [])]
        for user in oidc_service.users()
    ]


async def test_account_with_address_verified_by_both_sides_is_linked(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    user_id = oidc_service.register()
    assert await location(browser, own) == HOME
    assert linked(oidc_service) == [[identity(own)]]
    assert oidc_service.users()[0]["_version"] == 2
    assert [
        (action, details) for action, details in oidc_service.actions() if action.startswith("identity")
    ] == [("identity.linked", {"provider": "own", **identity(own)})]
    assert (await browser.http.get("/api/profile")).json()["data"]["id"] == user_id


@pytest.mark.parametrize("told", [False, None, "true", 1])
async def test_address_unverified_by_the_provider_links_no_account(
    oidc_service: OidcService, browser: Browser, own: OwnProvider, told: object
) -> None:
    oidc_service.register()
    own.claims["email_verified"] = told
    assert await location(browser, own) == EXISTS
    assert linked(oidc_service) == [[]]
    assert oidc_service.actions() == []


@pytest.mark.parametrize(
    ("present", "told", "is_linked"),
    [
        ("ceo@fass.de", "ceo@fa\u00df.de", False),  # another domain, which anybody can register
        ("sam@example.com", "\u017fam@example.com", False),
        ("Ceo@fass.de", "cEO@FASS.de", True),
    ],
)
async def test_address_with_the_same_key_only_links_no_account(
    oidc_service: OidcService, browser: Browser, own: OwnProvider, present: str, told: str, *, is_linked: bool
) -> None:
    oidc_service.register(present, email_key=present.casefold())
    own.claims["email"] = told
    assert await location(browser, own) == (HOME if is_linked else EXISTS)
    assert linked(oidc_service) == ([[identity(own)]] if is_linked else [[]])


async def test_account_with_unverified_address_is_not_linked(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    oidc_service.register(is_email_verified=False, password_hash="the attacker's")
    assert await location(browser, own) == EXISTS
    assert linked(oidc_service) == [[]]
    assert oidc_service.database["_sessions"].count_documents({}) == 0


async def test_exchange_for_an_existing_account_hints_at_linking(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    oidc_service.register(is_email_verified=False)
    answer = await browser.exchange(await browser.code(own, "bearer"))
    assert problem(answer) == (409, "auth.account_exists")
    assert answer.json()["hint"] == "Sign in to it as you did before, and link the provider there."


async def test_account_linked_with_another_subject_is_not_linked_again(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    oidc_service.register(identities=[identity(own, "s-0") | {"linked_at": AT}])
    assert await location(browser, own) == EXISTS
    assert linked(oidc_service) == [[identity(own, "s-0")]]


async def test_identity_is_found_by_issuer_and_subject_whatever_the_address(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    await browser.sign_in(own)
    own.claims.update(email="new@example.com", name="New")
    assert await location(browser, own) == HOME
    (user,) = oidc_service.users()
    assert (user["email"], user["name"]) == ("ann@example.com", "Ann")
    own.claims.update(email="ann@example.com", sub="s-2")
    assert await location(browser, own) == EXISTS  # the same address, and somebody else


async def test_concurrent_first_sign_ins_make_one_account(
    oidc_service: OidcService, own: OwnProvider
) -> None:
    async with oidc_service.browser() as browser:
        codes = [await browser.code(own, "bearer") for _ in range(20)]
        answers = await asyncio.gather(*(browser.exchange(code) for code in codes))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["data"]["user"]["id"] for answer in answers}) == 1
    assert linked(oidc_service) == [[identity(own)]]
    assert [action for action, _ in oidc_service.actions()].count("user.created") == 1


async def test_disabled_account_is_refused(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    known = identity(own) | {"linked_at": AT}
    user_id = oidc_service.register(is_disabled=True, identities=[known])
    assert await location(browser, own) == f"{HOME}?error=access.denied"
    answer = await browser.exchange(await browser.code(own, "bearer"))
    assert problem(answer) == (403, "access.denied")
    assert oidc_service.actions() == [("sign_in.failed", {"provider": "own", "reason": "disabled"})] * 2
    assert oidc_service.database["_sessions"].count_documents({}) == 0
    oidc_service.database["_users"].update_one({}, {"$set": {"identities": []}})
    assert await location(browser, own) == EXISTS
    assert str(oidc_service.users()[0]["_id"]) == user_id


async def test_closed_registration_makes_no_account(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    with replaced(oidc_service.app, registration_open=False):
        assert await location(browser, own) == f"{HOME}?error=registration.closed"
        assert oidc_service.users() == []
        oidc_service.register()
        assert await location(browser, own) == HOME


async def test_required_verification_refuses_unverified_addresses(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    own.claims["email_verified"] = False
    with replaced(oidc_service.app, needs_verified_email=True):
        assert await location(browser, own) == f"{HOME}?error=provider.refused"
        assert oidc_service.users() == []
        oidc_service.register(is_email_verified=False, identities=[identity(own) | {"linked_at": AT}])
        assert await location(browser, own) == f"{HOME}?error=email.unverified"
    assert oidc_service.database["_sessions"].count_documents({}) == 0


async def test_sign_in_by_provider_asks_for_the_second_factor(
    oidc_service: OidcService, browser: Browser, own: OwnProvider
) -> None:
    headers = await signed_in(browser, own)
    path = "/api/auth/second-factor"
    begun = (await browser.http.post(path, json={}, headers=headers)).json()["data"]
    totp = pyotp.TOTP(begun["secret"])
    confirmed = await browser.http.post(f"{path}/confirm", json={"code": totp.now()}, headers=headers)
    codes = confirmed.json()["data"]["recovery_codes"]
    async with oidc_service.browser() as app:
        challenge = (await app.exchange(await app.code(own, "bearer"))).json()["data"]
        assert set(challenge) == {"second_factor"}
    page, _, token = (await location(browser, own)).partition("#second_factor=")
    assert page == HOME
    assert set(browser.http.cookies) == {"sheaf_oidc"}
    answer = await browser.http.post(
        "/api/auth/login/second-factor",
        json={"token": token, "code": codes[0]},
        headers={"Origin": "https://sheaf.test"},
    )
    assert answer.status_code == 200
    assert (await browser.http.get("/api/profile")).json()["data"]["email"] == "ann@example.com"


@pytest.mark.parametrize(("is_verified", "is_kept"), [(False, False), (True, True)])
async def test_password_reset_removes_identities_of_an_unverified_account(
    oidc_service: OidcService, browser: Browser, own: OwnProvider, *, is_verified: bool, is_kept: bool
) -> None:
    own.claims["email_verified"] = is_verified
    await browser.sign_in(own)
    (user,) = oidc_service.users()
    token = await one_time.give(passwords.RESET, 60, str(user["_id"]), email_key=user["email_key"])
    answer = await browser.http.post(
        "/api/auth/password/reset", json={"token": token, "password": "of the owner 4711, at last"}
    )
    assert answer.status_code == 204
    assert linked(oidc_service) == ([[identity(own)]] if is_kept else [[]])
    assert await location(browser, own) == (HOME if is_kept else EXISTS)
