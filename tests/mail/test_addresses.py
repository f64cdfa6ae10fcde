"""Verifying an address by a link, and changing it."""

import asyncio
from typing import Any

import pytest
from jose import jwt

from tests.mail.test_passwords import LINK_INVALID
from tests.mailbox import link_of
from tests.mailing_service import ANOTHER, PASSWORD, MailingService
from tests.scenarios.identity import invalid, problem

ON_ITS_WAY = {"data": {"message": "A mail with a link is on its way to the address."}}


def claims(headers: dict[str, str]) -> dict[str, Any]:
    return dict(jwt.get_unverified_claims(headers["Authorization"].removeprefix("Bearer ")))


async def test_link_in_registration_mail_verifies_email(mailing: MailingService) -> None:
    email, here = await mailing.sign_up()
    mail = await mailing.mailbox.newest(email)
    assert mail["Subject"] == "Confirm your e-mail address for Sheaf"
    assert link_of(mail).startswith("http://127.0.0.1:8000/auth/verify-email#token=")
    assert (await mailing.profile(here)).json()["data"]["is_email_verified"] is False
    token = await mailing.mailbox.token(email)
    assert (await mailing.post("/email/verify", {"token": token}, here)).status_code == 204
    assert (await mailing.profile(here)).status_code == 401  # it says that the address is not verified
    fresh = await mailing.sign_in(email)
    assert (await mailing.profile(fresh)).json()["data"]["is_email_verified"] is True
    assert claims(fresh)["email_verified"] is True
    assert "email.verified" in mailing.audited(email)
    again = await mailing.post("/email/verify", {"token": token})
    assert (again.status_code, problem(again)) == (400, LINK_INVALID)


async def test_verification_mail_is_resent_until_email_is_verified(mailing: MailingService) -> None:
    email, here = await mailing.sign_up()
    answer = await mailing.post("/email/verify/resend", headers=here)
    assert (answer.status_code, answer.json()) == (202, ON_ITS_WAY)
    token = await mailing.mailbox.token(email, 2)
    assert (await mailing.post("/email/verify", {"token": token, "password": PASSWORD})).status_code == 204
    first = await mailing.post("/email/verify", {"token": link_of(mailing.mailbox.all(email)[0])[-43:]})
    assert (first.status_code, problem(first)) == (400, LINK_INVALID)
    refused = await mailing.post("/email/verify/resend", headers=await mailing.sign_in(email))
    assert (refused.status_code, problem(refused)) == (
        409,
        {
            "title": "The e-mail address is verified already",
            "status": 409,
            "code": "email.verified",
            "detail": "This address is verified already",
        },
    )


async def test_email_changes_when_new_address_is_verified(mailing: MailingService) -> None:
    email, here = await mailing.sign_up()
    verification = await mailing.mailbox.token(email)
    other = mailing.address()
    answer = await mailing.post("/email", {"email": other, "password": PASSWORD}, here)
    assert (answer.status_code, answer.json()) == (202, ON_ITS_WAY)
    asked = await mailing.mailbox.newest(email, 2)
    assert asked["Subject"] == "A new e-mail address for your account at Sheaf"
    assert other in asked.get_content()
    assert (await mailing.profile(here)).json()["data"]["email"] == email  # nothing has changed yet
    token = await mailing.mailbox.token(other)
    assert (await mailing.post("/email/verify", {"token": token}, here)).status_code == 204
    assert (await mailing.profile(here)).status_code == 401
    fresh = await mailing.sign_in(other)
    profile = (await mailing.profile(fresh)).json()["data"]
    assert (profile["email"], profile["is_email_verified"]) == (other, True)
    assert await mailing.status(email, PASSWORD) == 401
    changed = await mailing.mailbox.newest(email, 3)
    assert changed["Subject"] == "The e-mail address of your account at Sheaf was changed"
    assert mailing.audited(other)[-1:] != []
    assert {"email.change_requested", "email.changed"} <= set(mailing.audited(other))
    stale = await mailing.post("/email/verify", {"token": verification})
    assert (stale.status_code, problem(stale)) == (400, LINK_INVALID)


async def test_link_to_former_email_of_account_is_invalid(mailing: MailingService) -> None:
    email, _ = await mailing.sign_up()
    verification = await mailing.mailbox.token(email)
    await mailing.post("/password/forgot", {"email": email})
    reset = await mailing.mailbox.token(email, 2)
    other = mailing.address()
    mailing.database["_users"].update_one(
        {"email_key": email}, {"$set": {"email": other, "email_key": other}}
    )
    before = mailing.user(other)
    for answer in (
        await mailing.post("/email/verify", {"token": verification}),
        await mailing.post("/password/reset", {"token": reset, "password": ANOTHER}),
    ):
        assert (answer.status_code, problem(answer)) == (400, LINK_INVALID)
    assert mailing.user(other) == before


async def test_only_latest_email_change_request_is_valid(mailing: MailingService) -> None:
    email, here = await mailing.sign_up()
    first, second = mailing.address(), mailing.address()
    for other in (first, second):
        await mailing.post("/email", {"email": other, "password": PASSWORD}, here)
    void = await mailing.post("/email/verify", {"token": await mailing.mailbox.token(first)})
    assert (void.status_code, problem(void)) == (400, LINK_INVALID)
    assert mailing.user(email)["email"] == email
    token = await mailing.mailbox.token(second)
    assert (await mailing.post("/email/verify", {"token": token}, here)).status_code == 204
    assert mailing.user(second)["is_email_verified"] is True


async def test_email_change_does_not_reveal_whether_address_is_taken(mailing: MailingService) -> None:
    taken, _ = await mailing.sign_up()
    await mailing.mailbox.newest(taken)
    email, here = await mailing.sign_up()
    answer = await mailing.post("/email", {"email": taken, "password": PASSWORD}, here)
    assert (answer.status_code, answer.json()) == (202, ON_ITS_WAY)
    await mailing.mailbox.newest(email, 2)  # it was put in later than the decoy
    assert len(mailing.mailbox.all(taken)) == 1
    assert mailing.user(email)["email"] == email


async def test_concurrent_changes_to_same_email_succeed_once(mailing: MailingService) -> None:
    wanted = mailing.address()
    links, emails = [], []
    for number in (1, 2):
        email, here = await mailing.sign_up()
        await mailing.post("/email", {"email": wanted, "password": PASSWORD}, here)
        links.append(({"token": await mailing.mailbox.token(wanted, number)}, here))
        emails.append(email)
    answers = await asyncio.gather(*(mailing.post("/email/verify", *link) for link in links))
    assert sorted(answer.status_code for answer in answers) == [204, 409]
    for email, answer in zip(emails, answers, strict=True):
        if answer.status_code == 409:
            assert problem(answer)["code"] == "document.duplicate"
            assert mailing.user(email)["email"] == email
    assert mailing.database["_users"].count_documents({"email_key": wanted}) == 1


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"password": "wrong horse"}, 403, "password.wrong"),
        ({"email": "no address"}, 400, "document.invalid"),
        ({"email": "a@x.io\r\nBcc: b@x.io"}, 400, "document.invalid"),
        ({"email": {"$ne": 1}}, 400, "document.invalid"),
    ],
)
async def test_refused_email_change_sends_no_mail(
    mailing: MailingService, change: dict[str, Any], status: int, code: str
) -> None:
    _, here = await mailing.sign_up()
    await mailing.quiet()
    tokens = mailing.database["_one_time_tokens"].count_documents({})
    body = {"email": mailing.address(), "password": PASSWORD} | change
    answer = await mailing.post("/email", body, here)
    assert (answer.status_code, problem(answer)["code"]) == (status, code)
    assert mailing.database["_one_time_tokens"].count_documents({}) == tokens
    assert mailing.database["_mails"].count_documents({}) == 0


async def test_email_change_to_current_address_returns_400(mailing: MailingService) -> None:
    email, here = await mailing.sign_up()
    answer = await mailing.post("/email", {"email": email, "password": PASSWORD}, here)
    fault = {"pointer": "/email", "code": "unchanged", "detail": "This is the address that the account has"}
    assert (answer.status_code, problem(answer)) == (400, invalid(fault))
