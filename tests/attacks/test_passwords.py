"""Attacks on passwords, links and mails; each leaves accounts and tokens as they were."""

import asyncio
from typing import Any

import pyotp
import pytest

from tests.mailbox import link_of
from tests.mailing_service import ANOTHER, PASSWORD, MailingService
from tests.scenarios.identity import invalid, not_text, problem

FORGOT, RESET, VERIFY = "/password/forgot", "/password/reset", "/email/verify"
NOT_OURS = {
    "title": "This is not the present password",
    "status": 403,
    "code": "password.wrong",
    "detail": "This is not the password of the account that the link is for",
    "hint": "If somebody else made it with your address, ask for a new password: that makes it yours.",
}


def stored(mailing: MailingService) -> dict[str, list[Any]]:
    """Read accounts, tokens and what was noted past the service."""
    names = ("_users", "_one_time_tokens", "_audit")
    return {name: list(mailing.database[name].find().sort("_id")) for name in names}


@pytest.mark.parametrize("token", [{"$regex": "."}, {"$ne": None}, ["x"], None, 1, "", "x" * 201])
@pytest.mark.parametrize("path", [RESET, VERIFY])
async def test_a2_operators_as_token_return_400_and_consume_no_token(
    mailing: MailingService, path: str, token: Any
) -> None:
    email, _ = await mailing.sign_up()
    await mailing.post(FORGOT, {"email": email})
    await mailing.mailbox.newest(email, 2)
    before = stored(mailing)
    body = {"token": token} | ({"password": ANOTHER} if path == RESET else {})
    answer = await mailing.post(path, body)
    assert (answer.status_code, problem(answer)["code"]) == (400, "document.invalid")
    if not isinstance(token, str):
        assert problem(answer) == invalid(not_text("token"))
    assert stored(mailing) == before


@pytest.mark.parametrize("body", [{}, [], {"token": "a" * 43, "password": ANOTHER, "email": "a@x.io"}])
async def test_a2_password_reset_with_missing_or_unknown_members_returns_400(
    mailing: MailingService, body: Any
) -> None:
    before = stored(mailing)
    answer = await mailing.post(RESET, body)
    assert (answer.status_code, problem(answer)["code"]) == (400, "document.invalid")
    assert stored(mailing) == before


async def test_a2_one_time_token_for_other_purpose_is_refused(mailing: MailingService) -> None:
    email, _ = await mailing.sign_up()
    verification = await mailing.mailbox.token(email)
    await mailing.post(FORGOT, {"email": email})
    reset = await mailing.mailbox.token(email, 2)
    before = stored(mailing)
    for answer in (
        await mailing.post(RESET, {"token": verification, "password": ANOTHER}),
        await mailing.post(VERIFY, {"token": reset}),
        await mailing.post(RESET, {"token": "a" * 43, "password": ANOTHER}),
    ):
        assert (answer.status_code, problem(answer)["code"]) == (400, "link.invalid")
    assert stored(mailing) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"},
        {"Forwarded": "host=evil.example"},
        {
            "X-Original-Host": "evil.example",
            "Origin": "https://evil.example",
            "Referer": "https://evil.example",
        },
    ],
)
async def test_a18_mailed_link_uses_configured_url_despite_host_headers(
    mailing: MailingService, headers: dict[str, str]
) -> None:
    email, _ = await mailing.sign_up()
    await mailing.mailbox.newest(email)
    answer = await mailing.post(FORGOT, {"email": email}, headers)
    assert answer.status_code == 202
    mail = await mailing.mailbox.newest(email, 2)
    assert link_of(mail).startswith("http://127.0.0.1:8000/auth/reset-password#token=")
    assert "evil" not in mail.as_string()


async def test_a25_concurrent_resets_with_same_token_succeed_once(mailing: MailingService) -> None:
    email, _ = await mailing.sign_up()
    await mailing.post(FORGOT, {"email": email})
    token = await mailing.mailbox.token(email, 2)
    wanted = [f"kitchen lamp seven {number}" for number in range(20)]
    answers = await asyncio.gather(
        *(mailing.post(RESET, {"token": token, "password": each}) for each in wanted)
    )
    assert sorted(answer.status_code for answer in answers) == [204] + [400] * 19
    assert {problem(answer)["code"] for answer in answers if answer.status_code == 400} == {"link.invalid"}
    (chosen,) = [each for each, answer in zip(wanted, answers, strict=True) if answer.status_code == 204]
    assert await mailing.status(email, chosen) == 200
    assert mailing.audited(email).count("password.reset") == 1


async def test_a25_concurrent_verifications_with_same_token_succeed_once(
    mailing: MailingService,
) -> None:
    email, here = await mailing.sign_up()
    token = await mailing.mailbox.token(email)
    answers = await asyncio.gather(*(mailing.post(VERIFY, {"token": token}, here) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [204] + [400] * 19
    assert mailing.user(email)["epoch"] == 1


async def test_a27_concurrent_registrations_of_same_email_succeed_once(
    mailing: MailingService,
) -> None:
    bodies = [{"email": email, "password": PASSWORD} for email in ["Zoe@x.io", "zoe@X.io"] * 10]
    answers = await asyncio.gather(*(mailing.post("/register", body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert mailing.database["_users"].count_documents({"email_key": "zoe@x.io"}) == 1
    user_id = str(mailing.user("zoe@x.io")["_id"])
    assert mailing.database["_one_time_tokens"].count_documents({"user_id": user_id}) == 1
    assert mailing.audited("zoe@x.io") == ["user.created"]


@pytest.mark.parametrize("member", [{"id": "0" * 24}, {"_id": "admin"}, {"roles": ["admin"]}, {"epoch": -1}])
async def test_a37_registration_with_id_or_roles_returns_400(
    mailing: MailingService, member: dict[str, Any]
) -> None:
    before = stored(mailing)
    answer = await mailing.post("/register", {"email": "eve@x.io", "password": PASSWORD} | member)
    assert (answer.status_code, problem(answer)["code"]) == (400, "document.invalid")
    assert stored(mailing) == before


async def test_password_reset_of_unverified_account_removes_squatter_setup(
    mailing: MailingService,
) -> None:
    email, squatter = await mailing.sign_up()
    made = await mailing.client.post("/api/keys", json={"name": "x", "scopes": ["*:*"]}, headers=squatter)
    key = {"Authorization": f"Bearer {made.json()['data']['key']}"}
    await enable_second_factor(mailing, squatter)
    assert (await mailing.profile(key)).status_code == 403  # it is one, which may not read profiles
    user_id = str(mailing.user(email)["_id"])
    await mailing.post(FORGOT, {"email": email})
    reset = {"token": await mailing.mailbox.token(email, 2), "password": ANOTHER}
    assert (await mailing.post(RESET, reset)).status_code == 204
    for headers in (squatter, key):
        assert (await mailing.profile(headers)).status_code == 401
    for name, filter_ in (("_api_keys", {"user_id": user_id}), ("_second_factors", {"_id": user_id})):
        assert mailing.database[name].count_documents(filter_) == 0
    assert (
        await mailing.profile(await mailing.sign_in(email, ANOTHER))
    ).status_code == 200  # no code is asked for
    noted = mailing.database["_audit"].find_one({"action": "user.reclaimed", "target.id": user_id})
    assert noted is not None
    assert noted["details"] == {"unlinked": [], "keys": 1, "second_factor": True}


@pytest.mark.parametrize("is_wish", [False, True])
async def test_email_verification_requires_password_of_account(
    mailing: MailingService, *, is_wish: bool
) -> None:
    squatted, squatter = await mailing.sign_up()
    address = mailing.address() if is_wish else squatted
    if is_wish:
        await mailing.post("/email", {"email": address, "password": PASSWORD}, squatter)
    _, owner = await mailing.sign_up()  # who has another account, too
    token = await mailing.mailbox.token(address)
    before = mailing.user(squatted)
    for headers in ({}, owner):
        lacking = await mailing.post(VERIFY, {"token": token}, headers)
        fault = {"pointer": "/password", "code": "required", "detail": "`password` is required"}
        assert (lacking.status_code, problem(lacking)) == (400, invalid(fault))
        wrong = await mailing.post(VERIFY, {"token": token, "password": ANOTHER}, headers)
        assert (wrong.status_code, problem(wrong)) == (403, NOT_OURS)
    assert mailing.user(squatted) == before
    assert mailing.audited(squatted).count("confirmation.failed") == 2
    right = await mailing.post(
        VERIFY, {"token": token, "password": PASSWORD}, owner
    )  # the link is still good
    assert right.status_code == 204
    assert mailing.user(address)["is_email_verified"] is True


async def test_account_without_password_is_verified_only_with_its_session(
    mailing: MailingService,
) -> None:
    email, here = await mailing.sign_up()
    token = await mailing.mailbox.token(email)
    mailing.database["_users"].update_one({"email_key": email}, {"$set": {"password_hash": None}})
    before = mailing.user(email)
    for body in ({"token": token}, {"token": token, "password": PASSWORD}):
        refused = await mailing.post(VERIFY, body)
        assert (refused.status_code, problem(refused)["code"]) == (409, "password.absent")
    assert mailing.user(email) == before
    assert (await mailing.post(VERIFY, {"token": token}, here)).status_code == 204
    assert mailing.user(email)["is_email_verified"] is True


async def test_password_reset_of_verified_account_keeps_keys_and_second_factor(
    mailing: MailingService,
) -> None:
    email, owner = await mailing.sign_up()
    await mailing.mailbox.newest(email)
    mailing.database["_users"].update_one({"email_key": email}, {"$set": {"is_email_verified": True}})
    made = await mailing.client.post("/api/keys", json={"name": "x", "scopes": ["*:*"]}, headers=owner)
    await enable_second_factor(mailing, owner)
    await mailing.post(FORGOT, {"email": email})
    reset = {"token": await mailing.mailbox.token(email, 2), "password": ANOTHER}
    assert (await mailing.post(RESET, reset)).status_code == 204
    key = {"Authorization": f"Bearer {made.json()['data']['key']}"}
    assert (await mailing.profile(key)).status_code == 403
    answer = await mailing.post("/login", {"email": email, "password": ANOTHER})
    assert "second_factor" in answer.json()["data"]
    assert "user.reclaimed" not in mailing.audited(email)


async def enable_second_factor(mailing: MailingService, headers: dict[str, str]) -> None:
    """Have somebody switch a second factor on."""
    begun = await mailing.post("/second-factor", {"password": PASSWORD}, headers)
    code = pyotp.TOTP(begun.json()["data"]["secret"]).now()
    assert (await mailing.post("/second-factor/confirm", {"code": code}, headers)).status_code == 200
