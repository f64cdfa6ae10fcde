"""Verifying an address by a link, and changing it."""

import asyncio
from typing import Any

import pytest
from jose import jwt

from tests.mail.test_passwords import LINK_INVALID
from tests.mailbox import link_of
from tests.scenarios.identity import invalid, problem
from tests.town import ANOTHER, PASSWORD, Town

ON_ITS_WAY = {"data": {"message": "A mail with a link is on its way to the address."}}


def claims(headers: dict[str, str]) -> dict[str, Any]:
    return dict(jwt.get_unverified_claims(headers["Authorization"].removeprefix("Bearer ")))


async def test_the_link_that_comes_with_registering_verifies_the_address(town: Town) -> None:
    email, here = await town.sign_up()
    mail = await town.mailbox.newest(email)
    assert mail["Subject"] == "Confirm your e-mail address for Sheaf"
    assert link_of(mail).startswith("http://127.0.0.1:8000/auth/verify-email#token=")
    assert (await town.profile(here)).json()["data"]["is_email_verified"] is False
    token = await town.mailbox.token(email)
    assert (await town.post("/email/verify", {"token": token}, here)).status_code == 204
    assert (await town.profile(here)).status_code == 401  # it says that the address is not verified
    fresh = await town.sign_in(email)
    assert (await town.profile(fresh)).json()["data"]["is_email_verified"] is True
    assert claims(fresh)["email_verified"] is True
    assert "email.verified" in town.audited(email)
    again = await town.post("/email/verify", {"token": token})
    assert (again.status_code, problem(again)) == (400, LINK_INVALID)


async def test_the_link_is_sent_again_until_the_address_is_verified(town: Town) -> None:
    email, here = await town.sign_up()
    answer = await town.post("/email/verify/resend", headers=here)
    assert (answer.status_code, answer.json()) == (202, ON_ITS_WAY)
    token = await town.mailbox.token(email, 2)
    assert (await town.post("/email/verify", {"token": token, "password": PASSWORD})).status_code == 204
    first = await town.post("/email/verify", {"token": link_of(town.mailbox.all(email)[0])[-43:]})
    assert (first.status_code, problem(first)) == (400, LINK_INVALID)
    refused = await town.post("/email/verify/resend", headers=await town.sign_in(email))
    assert (refused.status_code, problem(refused)) == (
        409,
        {
            "title": "The e-mail address is verified already",
            "status": 409,
            "code": "email.verified",
            "detail": "This address is verified already",
        },
    )


async def test_an_address_changes_when_the_new_one_is_verified(town: Town) -> None:
    email, here = await town.sign_up()
    verification = await town.mailbox.token(email)
    other = town.address()
    answer = await town.post("/email", {"email": other, "password": PASSWORD}, here)
    assert (answer.status_code, answer.json()) == (202, ON_ITS_WAY)
    asked = await town.mailbox.newest(email, 2)
    assert asked["Subject"] == "A new e-mail address for your account at Sheaf"
    assert other in asked.get_content()
    assert (await town.profile(here)).json()["data"]["email"] == email  # nothing has changed yet
    token = await town.mailbox.token(other)
    assert (await town.post("/email/verify", {"token": token}, here)).status_code == 204
    assert (await town.profile(here)).status_code == 401
    fresh = await town.sign_in(other)
    profile = (await town.profile(fresh)).json()["data"]
    assert (profile["email"], profile["is_email_verified"]) == (other, True)
    assert await town.status(email, PASSWORD) == 401
    changed = await town.mailbox.newest(email, 3)
    assert changed["Subject"] == "The e-mail address of your account at Sheaf was changed"
    assert town.audited(other)[-1:] != []
    assert {"email.change_requested", "email.changed"} <= set(town.audited(other))
    stale = await town.post("/email/verify", {"token": verification})
    assert (stale.status_code, problem(stale)) == (400, LINK_INVALID)


async def test_a_link_to_an_address_that_the_account_has_no_more_is_void(town: Town) -> None:
    email, _ = await town.sign_up()
    verification = await town.mailbox.token(email)
    await town.post("/password/forgot", {"email": email})
    reset = await town.mailbox.token(email, 2)
    other = town.address()
    town.database["_users"].update_one({"email_key": email}, {"$set": {"email": other, "email_key": other}})
    before = town.user(other)
    for answer in (
        await town.post("/email/verify", {"token": verification}),
        await town.post("/password/reset", {"token": reset, "password": ANOTHER}),
    ):
        assert (answer.status_code, problem(answer)) == (400, LINK_INVALID)
    assert town.user(other) == before


async def test_only_the_latest_wish_for_an_address_counts(town: Town) -> None:
    email, here = await town.sign_up()
    first, second = town.address(), town.address()
    for other in (first, second):
        await town.post("/email", {"email": other, "password": PASSWORD}, here)
    void = await town.post("/email/verify", {"token": await town.mailbox.token(first)})
    assert (void.status_code, problem(void)) == (400, LINK_INVALID)
    assert town.user(email)["email"] == email
    token = await town.mailbox.token(second)
    assert (await town.post("/email/verify", {"token": token}, here)).status_code == 204
    assert town.user(second)["is_email_verified"] is True


async def test_whether_an_address_is_taken_is_told_to_nobody_who_asks_for_it(town: Town) -> None:
    taken, _ = await town.sign_up()
    await town.mailbox.newest(taken)
    email, here = await town.sign_up()
    answer = await town.post("/email", {"email": taken, "password": PASSWORD}, here)
    assert (answer.status_code, answer.json()) == (202, ON_ITS_WAY)
    await town.mailbox.newest(email, 2)  # it was put in later than the decoy
    assert len(town.mailbox.all(taken)) == 1
    assert town.user(email)["email"] == email


async def test_of_two_who_verify_one_address_at_once_one_gets_it(town: Town) -> None:
    wanted = town.address()
    links, emails = [], []
    for number in (1, 2):
        email, here = await town.sign_up()
        await town.post("/email", {"email": wanted, "password": PASSWORD}, here)
        links.append(({"token": await town.mailbox.token(wanted, number)}, here))
        emails.append(email)
    answers = await asyncio.gather(*(town.post("/email/verify", *link) for link in links))
    assert sorted(answer.status_code for answer in answers) == [204, 409]
    for email, answer in zip(emails, answers, strict=True):
        if answer.status_code == 409:
            assert problem(answer)["code"] == "document.duplicate"
            assert town.user(email)["email"] == email
    assert town.database["_users"].count_documents({"email_key": wanted}) == 1


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"password": "wrong horse"}, 403, "password.wrong"),
        ({"email": "no address"}, 400, "document.invalid"),
        ({"email": "a@x.io\r\nBcc: b@x.io"}, 400, "document.invalid"),
        ({"email": {"$ne": 1}}, 400, "document.invalid"),
    ],
)
async def test_a_refused_wish_sends_nothing(
    town: Town, change: dict[str, Any], status: int, code: str
) -> None:
    _, here = await town.sign_up()
    await town.quiet()
    tokens = town.database["_one_time_tokens"].count_documents({})
    body = {"email": town.address(), "password": PASSWORD} | change
    answer = await town.post("/email", body, here)
    assert (answer.status_code, problem(answer)["code"]) == (status, code)
    assert town.database["_one_time_tokens"].count_documents({}) == tokens
    assert town.database["_mails"].count_documents({}) == 0


async def test_the_address_that_one_has_is_not_changed(town: Town) -> None:
    email, here = await town.sign_up()
    answer = await town.post("/email", {"email": email, "password": PASSWORD}, here)
    fault = {"pointer": "/email", "code": "unchanged", "detail": "This is the address that the account has"}
    assert (answer.status_code, problem(answer)) == (400, invalid(fault))
