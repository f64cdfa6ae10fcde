"""Attacks that would find out who has an account: what is answered and done is the same in all cases."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest_asyncio

from tests.conftest import served
from tests.mailbox import Mailbox, link_of
from tests.mailing_service import ANOTHER, PASSWORD, MailingService
from tests.scenarios.identity import problem

GENEROUS = "1000000/hour"
STRICT = {
    "email_verification": "required",
    "rate_limit": "on",
    "rate_limit_anonymous": GENEROUS,
    "rate_limit_auth": GENEROUS,
    "mail_limit": "3/hour",
    "mail_limit_address": GENEROUS,
}
FORGOT = "/password/forgot"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mailing(mongodb_uri: str) -> AsyncIterator[MailingService]:
    """Provide a mailing where addresses must be verified and few mails may be asked for."""
    async with served(mongodb_uri, **STRICT) as service:
        yield MailingService(service.app, service.client, service.database, Mailbox(service.data))


async def settle(mailing: MailingService, **changes: Any) -> str:
    """Have somebody register and verify the address."""
    email = mailing.address()
    answer = await mailing.post("/register", {"email": email, "password": PASSWORD})
    assert answer.status_code == 202
    token = await mailing.mailbox.token(email)
    assert (await mailing.post("/email/verify", {"token": token, "password": PASSWORD})).status_code == 204
    if changes:
        mailing.database["_users"].update_one({"email_key": email}, {"$set": changes})
    return email


async def work_of(mailing: MailingService, path: str, body: Any) -> tuple[httpx.Response, list[str]]:
    """Send a request; give the answer, and what was asked of MongoDB for it."""
    profile = mailing.database["system.profile"]
    mailing.database.command("profile", 2)
    try:
        answer = await mailing.post(path, body)
        await asyncio.sleep(0.1)  # a session's end is not waited for
    finally:
        mailing.database.command("profile", 0)
    done = [
        f"{each['op']} {each['ns'].partition('.')[2]}"
        for each in profile.find({"appName": "sheaf"}).sort("ts")
        if not is_background(each)
    ]
    profile.drop()
    return answer, done


def is_background(event: dict[str, Any]) -> bool:
    """Return what the service asks by itself: for mails to send, for what was revoked, or has changed."""
    name: str = event["ns"].partition(".")[2]
    return name in {"_revocations", "_collections"} or (name == "_mails" and str(event["op"]) != "insert")


async def test_a28_password_reset_request_does_same_work_for_any_address(
    mailing: MailingService,
) -> None:
    known = await settle(mailing)
    disabled = await settle(mailing, is_disabled=True)
    passwordless = await settle(mailing, password_hash=None)
    unknown = mailing.address()
    seen = [
        await work_of(mailing, FORGOT, {"email": each}) for each in (known, disabled, passwordless, unknown)
    ]
    answers = [answer for answer, _ in seen]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert len({tuple(sorted(answer.headers)) for answer in answers}) == 1
    assert seen[0][1] == seen[1][1] == seen[2][1] == seen[3][1]
    assert seen[0][1].count("insert _mails") == seen[0][1].count("insert _one_time_tokens") == 1
    assert (await mailing.mailbox.newest(known, 2))["Subject"] == "Choose a new password for Sheaf"
    await mailing.mailbox.newest(passwordless, 2)
    assert (len(mailing.mailbox.all(disabled)), len(mailing.mailbox.all(unknown))) == (1, 0)


async def test_a28_registration_does_not_reveal_existing_account(mailing: MailingService) -> None:
    known = await settle(mailing)
    disabled = await settle(mailing, is_disabled=True)
    unknown = mailing.address()
    bodies = [{"email": each, "password": ANOTHER} for each in (unknown, known, disabled)]
    seen = [await work_of(mailing, "/register", body) for body in bodies]
    assert {answer.status_code for answer, _ in seen} == {202}
    assert len({answer.content for answer, _ in seen}) == 1
    assert "location" not in seen[0][0].headers
    # A share of a rate limit may be leased with one of them, as with any request.
    counted = [[each for each in done if not each.endswith("_rate_limits")] for _, done in seen]
    counts = [(len(done), done.count("insert _mails"), done.count("insert _audit")) for done in counted]
    assert counts[0] == counts[1] == counts[2]
    mail = await mailing.mailbox.newest(known, 2)
    assert mail["Subject"] == "You have an account at Sheaf already"
    assert len(mailing.mailbox.all(disabled)) == 1
    assert (await mailing.status(known, PASSWORD), await mailing.status(known, ANOTHER)) == (200, 401)


async def test_a28_mail_limit_is_enforced_and_not_revealed(mailing: MailingService) -> None:
    known, unknown = (
        await settle(mailing),
        mailing.address(),
    )  # whose registration was the first of three mails
    for email, mails in ((known, 3), (unknown, 0)):
        answers = await asyncio.gather(*(mailing.post(FORGOT, {"email": email}) for _ in range(8)))
        assert {(answer.status_code, answer.content) for answer in answers} == {
            (202, b'{"data":{"message":"If there is an account with this address, a mail is on its way."}}')
        }
        if mails:
            await mailing.mailbox.newest(email, mails)
        await mailing.quiet()
        assert len(mailing.mailbox.all(email)) == mails


async def test_a28_unverified_email_is_revealed_only_with_correct_password(
    mailing: MailingService,
) -> None:
    email = mailing.address()
    await mailing.post("/register", {"email": email, "password": PASSWORD})
    wrong = await mailing.post("/login", {"email": email, "password": ANOTHER})
    assert (wrong.status_code, problem(wrong)["code"]) == (401, "auth.credentials_wrong")
    right = await mailing.post("/login", {"email": email, "password": PASSWORD})
    assert (right.status_code, problem(right)) == (
        403,
        {
            "title": "The e-mail address is not verified yet",
            "status": 403,
            "code": "email.unverified",
            "detail": "Follow the link in the mail that was sent to this address",
            "hint": "If it is lost, ask for a new password: that verifies the address too.",
        },
    )
    user_id = str(mailing.user(email)["_id"])
    assert mailing.database["_sessions"].count_documents({"user_id": user_id}) == 0
    token = await mailing.mailbox.token(email)
    assert (await mailing.post("/email/verify", {"token": token, "password": PASSWORD})).status_code == 204
    assert await mailing.status(email, PASSWORD) == 200


async def test_reset_link_gives_account_made_by_stranger_to_address_owner(
    mailing: MailingService,
) -> None:
    email = mailing.address()
    await mailing.post("/register", {"email": email, "password": ANOTHER})  # not by the owner
    await mailing.post("/register", {"email": email, "password": PASSWORD})  # by the owner
    mail = await mailing.mailbox.newest(email, 2)
    assert mail["Subject"] == "You have an account at Sheaf already"
    reset = {"token": link_of(mail).partition("#token=")[2], "password": "garden chair eleven"}
    assert (await mailing.post("/password/reset", reset)).status_code == 204
    assert await mailing.status(email, ANOTHER) == 401
    assert await mailing.status(email, "garden chair eleven") == 200


async def test_concurrent_registrations_all_return_202_and_create_one_account(
    mailing: MailingService,
) -> None:
    email = mailing.address()
    answers = await asyncio.gather(
        *(mailing.post("/register", {"email": email, "password": PASSWORD}) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert mailing.database["_users"].count_documents({"email_key": email}) == 1


async def test_email_changes_by_others_do_not_use_up_mails_for_password_reset(
    mailing: MailingService,
) -> None:
    owner, other = await settle(mailing), await settle(mailing)
    headers = await mailing.sign_in(other)
    for _ in range(4):  # one more than there may be
        await mailing.post("/email", {"email": owner, "password": PASSWORD}, headers)
    await mailing.post(FORGOT, {"email": owner})
    assert (await mailing.mailbox.newest(owner, 2))["Subject"] == "Choose a new password for Sheaf"


async def test_squatter_cannot_block_password_reset_by_address_owner(mailing: MailingService) -> None:
    email, here = await squat(mailing)
    for _ in range(4):
        await mailing.post("/email/verify/resend", headers=here)
    await mailing.post(FORGOT, {"email": email})
    await mailing.quiet()
    (mail,) = [each for each in mailing.mailbox.all(email) if each["Subject"].startswith("Choose")]
    change = {"current_password": PASSWORD, "new_password": ANOTHER}
    assert (
        await mailing.post("/password", change, here)
    ).status_code == 204  # and again each time a link comes
    reset = {"token": link_of(mail).partition("#token=")[2], "password": "garden chair eleven"}
    assert (await mailing.post("/password/reset", reset)).status_code == 204
    assert await mailing.status(email, "garden chair eleven") == 200


async def squat(mailing: MailingService) -> tuple[str, dict[str, str]]:
    """Sign somebody in to an account with an address that is not verified, as where it need not be."""
    email = await settle(mailing)
    here = await mailing.sign_in(email)
    mailing.database["_users"].update_one({"email_key": email}, {"$set": {"is_email_verified": False}})
    return email, here
