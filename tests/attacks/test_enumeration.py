"""Attacks that would find out who has an account: what is answered and done is the same in all cases."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest_asyncio

from tests.conftest import served
from tests.mailbox import Mailbox, link_of
from tests.scenarios.identity import problem
from tests.town import ANOTHER, PASSWORD, Town

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
async def town(mongodb_uri: str) -> AsyncIterator[Town]:
    """Give a town where addresses must be verified and few mails may be asked for."""
    async with served(mongodb_uri, **STRICT) as service:
        yield Town(service.app, service.client, service.database, Mailbox(service.data))


async def settle(town: Town, **changes: Any) -> str:
    """Have somebody register and verify the address."""
    email = town.address()
    answer = await town.post("/register", {"email": email, "password": PASSWORD})
    assert answer.status_code == 202
    token = await town.mailbox.token(email)
    assert (await town.post("/email/verify", {"token": token, "password": PASSWORD})).status_code == 204
    if changes:
        town.database["_users"].update_one({"email_key": email}, {"$set": changes})
    return email


async def work_of(town: Town, path: str, body: Any) -> tuple[httpx.Response, list[str]]:
    """Send a request; give the answer, and what was asked of MongoDB for it."""
    profile = town.database["system.profile"]
    town.database.command("profile", 2)
    try:
        answer = await town.post(path, body)
        await asyncio.sleep(0.1)  # a session's end is not waited for
    finally:
        town.database.command("profile", 0)
    done = [
        f"{each['op']} {each['ns'].partition('.')[2]}"
        for each in profile.find({"appName": "sheaf"}).sort("ts")
        if not is_background(each)
    ]
    profile.drop()
    return answer, done


def is_background(event: dict[str, Any]) -> bool:
    """Tell what the service asks by itself: for mails to send, for what was revoked, or has changed."""
    name: str = event["ns"].partition(".")[2]
    return name in {"_revocations", "_collections"} or (name == "_mails" and str(event["op"]) != "insert")


async def test_a28_asking_for_a_new_password_is_the_same_work_whoever_has_an_account(town: Town) -> None:
    known = await settle(town)
    disabled = await settle(town, is_disabled=True)
    passwordless = await settle(town, password_hash=None)
    unknown = town.address()
    seen = [await work_of(town, FORGOT, {"email": each}) for each in (known, disabled, passwordless, unknown)]
    answers = [answer for answer, _ in seen]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert len({tuple(sorted(answer.headers)) for answer in answers}) == 1
    assert seen[0][1] == seen[1][1] == seen[2][1] == seen[3][1]
    assert seen[0][1].count("insert _mails") == seen[0][1].count("insert _one_time_tokens") == 1
    assert (await town.mailbox.newest(known, 2))["Subject"] == "Choose a new password for Sheaf"
    await town.mailbox.newest(passwordless, 2)
    assert (len(town.mailbox.all(disabled)), len(town.mailbox.all(unknown))) == (1, 0)


async def test_a28_registering_does_not_tell_whether_there_is_an_account(town: Town) -> None:
    known = await settle(town)
    disabled = await settle(town, is_disabled=True)
    unknown = town.address()
    bodies = [{"email": each, "password": ANOTHER} for each in (unknown, known, disabled)]
    seen = [await work_of(town, "/register", body) for body in bodies]
    assert {answer.status_code for answer, _ in seen} == {202}
    assert len({answer.content for answer, _ in seen}) == 1
    assert "location" not in seen[0][0].headers
    # A share of a rate limit may be leased with one of them, as with any request.
    counted = [[each for each in done if not each.endswith("_rate_limits")] for _, done in seen]
    counts = [(len(done), done.count("insert _mails"), done.count("insert _audit")) for done in counted]
    assert counts[0] == counts[1] == counts[2]
    mail = await town.mailbox.newest(known, 2)
    assert mail["Subject"] == "You have an account at Sheaf already"
    assert len(town.mailbox.all(disabled)) == 1
    assert (await town.status(known, PASSWORD), await town.status(known, ANOTHER)) == (200, 401)


async def test_a28_the_limit_of_mails_is_kept_exactly_and_told_to_nobody(town: Town) -> None:
    known, unknown = await settle(town), town.address()  # whose registration was the first of three mails
    for email, mails in ((known, 3), (unknown, 0)):
        answers = await asyncio.gather(*(town.post(FORGOT, {"email": email}) for _ in range(8)))
        assert {(answer.status_code, answer.content) for answer in answers} == {
            (202, b'{"data":{"message":"If there is an account with this address, a mail is on its way."}}')
        }
        if mails:
            await town.mailbox.newest(email, mails)
        await town.quiet()
        assert len(town.mailbox.all(email)) == mails


async def test_a28_an_unverified_account_is_only_told_to_who_knows_its_password(town: Town) -> None:
    email = town.address()
    await town.post("/register", {"email": email, "password": PASSWORD})
    wrong = await town.post("/login", {"email": email, "password": ANOTHER})
    assert (wrong.status_code, problem(wrong)["code"]) == (401, "auth.credentials_wrong")
    right = await town.post("/login", {"email": email, "password": PASSWORD})
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
    user_id = str(town.user(email)["_id"])
    assert town.database["_sessions"].count_documents({"user_id": user_id}) == 0
    token = await town.mailbox.token(email)
    assert (await town.post("/email/verify", {"token": token, "password": PASSWORD})).status_code == 204
    assert await town.status(email, PASSWORD) == 200


async def test_an_account_that_a_stranger_made_is_the_owners_by_the_link_to_the_address(
    town: Town,
) -> None:
    email = town.address()
    await town.post("/register", {"email": email, "password": ANOTHER})  # not by the owner
    await town.post("/register", {"email": email, "password": PASSWORD})  # by the owner
    mail = await town.mailbox.newest(email, 2)
    assert mail["Subject"] == "You have an account at Sheaf already"
    reset = {"token": link_of(mail).partition("#token=")[2], "password": "garden chair eleven"}
    assert (await town.post("/password/reset", reset)).status_code == 204
    assert await town.status(email, ANOTHER) == 401
    assert await town.status(email, "garden chair eleven") == 200


async def test_of_twenty_registrations_at_once_where_nobody_is_told_one_makes_an_account(town: Town) -> None:
    email = town.address()
    answers = await asyncio.gather(
        *(town.post("/register", {"email": email, "password": PASSWORD}) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert town.database["_users"].count_documents({"email_key": email}) == 1


async def test_nobody_uses_up_the_mails_by_which_an_owner_comes_back(town: Town) -> None:
    owner, other = await settle(town), await settle(town)
    headers = await town.sign_in(other)
    for _ in range(4):  # one more than there may be
        await town.post("/email", {"email": owner, "password": PASSWORD}, headers)
    await town.post(FORGOT, {"email": owner})
    assert (await town.mailbox.newest(owner, 2))["Subject"] == "Choose a new password for Sheaf"


async def test_a_squatter_does_not_keep_the_owner_of_the_address_out(town: Town) -> None:
    email, here = await squat(town)
    for _ in range(4):
        await town.post("/email/verify/resend", headers=here)
    await town.post(FORGOT, {"email": email})
    await town.quiet()
    (mail,) = [each for each in town.mailbox.all(email) if each["Subject"].startswith("Choose")]
    change = {"current_password": PASSWORD, "new_password": ANOTHER}
    assert (await town.post("/password", change, here)).status_code == 204  # and again each time a link comes
    reset = {"token": link_of(mail).partition("#token=")[2], "password": "garden chair eleven"}
    assert (await town.post("/password/reset", reset)).status_code == 204
    assert await town.status(email, "garden chair eleven") == 200


async def squat(town: Town) -> tuple[str, dict[str, str]]:
    """Sign somebody in to an account with an address that is not verified, as where it need not be."""
    email = await settle(town)
    here = await town.sign_in(email)
    town.database["_users"].update_one({"email_key": email}, {"$set": {"is_email_verified": False}})
    return email, here
