"""Changing a password, forgetting it, and choosing a new one by a link."""

import asyncio
from typing import Any

import pytest

from tests.mailbox import link_of
from tests.mailing_service import ANOTHER, PASSWORD, MailingService
from tests.scenarios.identity import invalid, problem

CHANGE = {"current_password": PASSWORD, "new_password": ANOTHER}
LINK_INVALID = {
    "title": "The link is not valid any more",
    "status": 400,
    "code": "link.invalid",
    "detail": "The link was used already, or is too old",
    "hint": "Ask for a new one.",
}


def too_easy(pointer: str, hint: str) -> dict[str, Any]:
    fault = {"pointer": pointer, "code": "strength", "detail": "The password is too easy to guess"}
    return invalid(fault | {"hint": hint})


# --- which may be chosen


@pytest.mark.parametrize(
    ("password", "hint"),
    [
        ("password1", "This is a very common password. Add another word or two. Uncommon words are better."),
        (
            "qwertyuiop",
            "This is a top-100 common password. Add another word or two. Uncommon words are better.",
        ),
        ("zerlina.quack", "Add another word or two. Uncommon words are better."),
        (
            "Quackenbush1",
            "Add another word or two. Uncommon words are better. Capitalization doesn't help very much.",
        ),
    ],
)
async def test_weak_password_is_refused_with_hint(mailing: MailingService, password: str, hint: str) -> None:
    body = {"email": "zerlina.quack@example.com", "name": "Zerlina Quackenbush", "password": password}
    answer = await mailing.post("/register", body)
    assert (answer.status_code, problem(answer)) == (400, too_easy("/password", hint))
    assert password not in answer.text
    assert mailing.database["_users"].find_one({"email_key": body["email"]}) is None


# --- changing


async def test_password_change_ends_other_sessions_and_mails_owner(
    mailing: MailingService,
) -> None:
    email, here = await mailing.sign_up()
    elsewhere = await mailing.sign_in(email)
    answer = await mailing.post("/password", CHANGE, here)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await mailing.profile(here)).status_code == 200
    assert (await mailing.profile(elsewhere)).status_code == 401
    assert (await mailing.status(email, PASSWORD), await mailing.status(email, ANOTHER)) == (401, 200)
    notice = await mailing.mailbox.newest(email, 2)
    assert notice["Subject"] == "Your password for Sheaf was changed"
    assert "password.changed" in mailing.audited(email)


@pytest.mark.parametrize(
    ("change", "status", "body"),
    [
        (
            {"current_password": "wrong horse"},
            403,
            {
                "title": "This is not the present password",
                "status": 403,
                "code": "password.wrong",
                "detail": "The present password is another one",
            },
        ),
        (
            {"new_password": "password1"},
            400,
            too_easy(
                "/new_password",
                "This is a very common password. Add another word or two. Uncommon words are better.",
            ),
        ),
        (
            {"new_password": PASSWORD},
            400,
            invalid(
                {
                    "pointer": "/new_password",
                    "code": "unchanged",
                    "detail": "This is the password that you have",
                }
            ),
        ),
        (
            {"new_password": "short"},
            400,
            invalid(
                {
                    "pointer": "/new_password",
                    "code": "minLength",
                    "detail": "String should have at least 8 characters",
                }
            ),
        ),
    ],
)
async def test_refused_password_change_leaves_account_unchanged(
    mailing: MailingService, change: dict[str, str], status: int, body: dict[str, Any]
) -> None:
    email, here = await mailing.sign_up()
    before = mailing.user(email)
    answer = await mailing.post("/password", CHANGE | change, here)
    assert (answer.status_code, problem(answer)) == (status, body)
    assert mailing.user(email) == before


async def test_repeated_wrong_current_password_is_locked_out(
    mailing: MailingService,
) -> None:
    _, here = await mailing.sign_up()
    guesses = [CHANGE | {"current_password": f"wrong horse {number}"} for number in range(8)]
    statuses = [(await mailing.post("/password", guess, here)).status_code for guess in guesses]
    assert statuses == [403] * 5 + [429] * 3


async def test_concurrent_password_changes_succeed_once(mailing: MailingService) -> None:
    email, here = await mailing.sign_up()
    wanted = ["kitchen lamp seven", "garden chair eleven"]
    answers = await asyncio.gather(
        *(mailing.post("/password", CHANGE | {"new_password": each}, here) for each in wanted)
    )
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(204) == 1
    assert [await mailing.status(email, each) for each in wanted] == [
        200 if status == 204 else 401 for status in statuses
    ]


async def test_account_without_password_gets_one_by_reset_link(mailing: MailingService) -> None:
    email, here = await mailing.sign_up()
    mailing.database["_users"].update_one({"email_key": email}, {"$set": {"password_hash": None}})
    answer = await mailing.post("/password", CHANGE, here)
    assert (answer.status_code, problem(answer)) == (
        409,
        {
            "title": "The account has no password",
            "status": 409,
            "code": "password.absent",
            "detail": "This account has no password",
            "hint": "Ask for one by `POST /api/auth/password/forgot`.",
        },
    )
    await mailing.post("/password/forgot", {"email": email})
    reset = {"token": await mailing.mailbox.token(email, 2), "password": ANOTHER}
    assert (await mailing.post("/password/reset", reset)).status_code == 204
    assert await mailing.status(email, ANOTHER) == 200


# --- choosing a new one


async def test_password_reset_link_works_once(mailing: MailingService) -> None:
    email, here = await mailing.sign_up()
    answer = await mailing.post(
        "/password/forgot", {"email": email.upper().replace("EXAMPLE.COM", "example.com")}
    )
    assert (answer.status_code, answer.json()) == (
        202,
        {"data": {"message": "If there is an account with this address, a mail is on its way."}},
    )
    mail = await mailing.mailbox.newest(email, 2)
    assert mail["Subject"] == "Choose a new password for Sheaf"
    assert link_of(mail).startswith("http://127.0.0.1:8000/auth/reset-password#token=")
    token = link_of(mail).partition("#token=")[2]
    reset = {"token": token, "password": ANOTHER}
    weak = await mailing.post("/password/reset", reset | {"password": "password1"})
    assert (weak.status_code, problem(weak)["code"]) == (400, "document.invalid")  # the link is still good
    assert (await mailing.post("/password/reset", reset)).status_code == 204
    assert (await mailing.profile(here)).status_code == 401
    assert (await mailing.status(email, PASSWORD), await mailing.status(email, ANOTHER)) == (401, 200)
    user = mailing.user(email)
    assert user["is_email_verified"] is True
    assert "password.reset" in mailing.audited(email)
    assert (await mailing.mailbox.newest(email, 3))["Subject"] == "Your password for Sheaf was changed"
    again = await mailing.post("/password/reset", reset | {"password": "garden chair eleven"})
    assert (again.status_code, problem(again)) == (400, LINK_INVALID)
    assert mailing.user(email) == user


async def test_password_reset_invalidates_other_links_of_account(mailing: MailingService) -> None:
    email, here = await mailing.sign_up()
    verification = await mailing.mailbox.token(email)
    other = mailing.address()
    await mailing.post("/email", {"email": other, "password": PASSWORD}, here)
    change = await mailing.mailbox.token(other)
    tokens = []
    for number in (3, 4):
        await mailing.post("/password/forgot", {"email": email})
        tokens.append(await mailing.mailbox.token(email, number))
    assert (
        await mailing.post("/password/reset", {"token": tokens[1], "password": ANOTHER})
    ).status_code == 204
    before = mailing.user(email)
    refused = [
        await mailing.post("/password/reset", {"token": tokens[0], "password": PASSWORD}),
        await mailing.post("/email/verify", {"token": verification}),
        await mailing.post("/email/verify", {"token": change}),
    ]
    assert [problem(answer) for answer in refused] == [LINK_INVALID] * 3
    assert mailing.user(email) == before


async def test_reset_link_of_disabled_account_is_invalid(mailing: MailingService) -> None:
    email, _ = await mailing.sign_up()
    await mailing.post("/password/forgot", {"email": email})
    token = await mailing.mailbox.token(email, 2)
    mailing.database["_users"].update_one({"email_key": email}, {"$set": {"is_disabled": True}})
    before = mailing.user(email)
    answer = await mailing.post("/password/reset", {"token": token, "password": ANOTHER})
    assert (answer.status_code, problem(answer)) == (400, LINK_INVALID)
    assert mailing.user(email) == before


async def test_expired_reset_link_is_invalid(mailing: MailingService) -> None:
    email, _ = await mailing.sign_up()
    await mailing.post("/password/forgot", {"email": email})
    token = await mailing.mailbox.token(email, 2)
    user_id = str(mailing.user(email)["_id"])
    tokens = mailing.database["_one_time_tokens"]
    stored = tokens.find_one({"user_id": user_id, "purpose": "password.reset"})
    assert stored is not None
    assert token not in str(stored)
    tokens.update_one({"_id": stored["_id"]}, {"$set": {"expires_at": stored["_created_at"]}})
    answer = await mailing.post("/password/reset", {"token": token, "password": ANOTHER})
    assert (answer.status_code, problem(answer)) == (400, LINK_INVALID)


@pytest.mark.parametrize("path", ["/password", "/email", "/email/verify/resend"])
async def test_account_endpoints_without_token_return_401(mailing: MailingService, path: str) -> None:
    answer = await mailing.post(path, {})
    assert (answer.status_code, problem(answer)["code"]) == (401, "auth.required")
