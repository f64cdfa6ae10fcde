"""Staying signed in, signing out, and seeing where one is signed in."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from jose import jwt

from models.user import User
from service.identity.core.sessions import Client, Opened, RefreshTokens
from service.kit.errors import SessionEnded
from service.kit.sealing import Sealer, digest
from tests.conftest import SECRET, Service, connect, served
from tests.people import LOGIN, LOGOUT, PROFILE, REFRESH, SESSIONS, Device, Person, person, sign_in
from tests.scenarios.identity import invalid, not_text, problem, unexpected
from tests.services import services_of

ENDED = {
    "title": "The session has ended; sign in again",
    "status": 401,
    "code": "auth.session_ended",
    "detail": "The session has ended; sign in again",
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(mongodb_uri: str) -> AsyncIterator[Service]:
    async with served(mongodb_uri) as service:
        yield service


@pytest.fixture
def ann(service: Service) -> Person:
    return person(service.database)


@pytest.fixture
async def phone(service: Service, ann: Person) -> Device:
    return await sign_in(service.client, ann)


def stored(service: Service, device: Device) -> dict[str, Any] | None:
    return service.database["_sessions"].find_one({"_id": device.session_id})


def change(service: Service, device: Device, **members: Any) -> None:
    service.database["_sessions"].update_one({"_id": device.session_id}, {"$set": members})


def events(service: Service, device: Device) -> list[str]:
    found = service.database["_audit"].find({"target.id": device.session_id}).sort("_id")
    return [each["action"] for each in found]


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


# --- tokens


async def test_sign_in_stores_only_hashes_of_its_tokens(service: Service, ann: Person, phone: Device) -> None:
    assert phone.tokens == {
        "access_token": phone.tokens["access_token"],
        "token_type": "Bearer",
        "refresh_token": phone.refresh_token,
        "expires_in": 900,
        "user": phone.tokens["user"],
    }
    assert phone.tokens["user"]["id"] == ann.id
    claims = jwt.get_unverified_claims(phone.tokens["access_token"])
    assert (claims["sub"], claims["sid"]) == (ann.id, phone.session_id)
    kept = stored(service, phone)
    assert kept is not None
    assert kept["token_hash"] == digest(phone.refresh_token)
    assert phone.refresh_token.split(".")[2] not in str(kept)
    assert events(service, phone) == ["session.opened"]


async def test_refresh_answers_new_tokens(service: Service, phone: Device) -> None:
    answer = await phone.refresh()
    data = answer.json()["data"]
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.json() == {
        "data": {
            "access_token": data["access_token"],
            "token_type": "Bearer",
            "refresh_token": data["refresh_token"],
            "expires_in": 900,
            "user": phone.tokens["user"],
        }
    }
    renewed = Device(service.client, data)
    assert renewed.session_id == phone.session_id
    assert renewed.refresh_token != phone.refresh_token
    assert await renewed.status() == 200
    await renewed.refreshed()
    kept = stored(service, phone)
    assert kept is not None
    assert (kept["generation"], kept["_id"]) == (2, phone.session_id)


async def test_previous_token_gets_the_same_successor_within_the_grace_period(phone: Device) -> None:
    first, again = await phone.refresh(), await phone.refresh()
    assert first.json()["data"]["refresh_token"] == again.json()["data"]["refresh_token"]
    assert await Device(phone.client, again.json()["data"]).status() == 200


async def test_used_token_after_the_grace_period_ends_the_session(service: Service, phone: Device) -> None:
    renewed = Device(service.client, (await phone.refresh()).json()["data"])
    change(service, phone, rotated_at=ago(10.5))
    refused = await phone.refresh()
    assert (refused.status_code, problem(refused)) == (401, ENDED)
    assert (await phone.status(), await renewed.status()) == (401, 401)
    assert (await renewed.refresh()).status_code == 401
    assert stored(service, phone) is None
    assert events(service, phone) == ["session.opened", "session.reuse_detected"]


async def test_token_whose_successor_was_used_ends_the_session(service: Service, phone: Device) -> None:
    renewed = Device(service.client, (await phone.refresh()).json()["data"])
    await renewed.refreshed()
    assert (await phone.refresh()).status_code == 401
    assert (await renewed.status(), stored(service, phone)) == (401, None)


def changed(token: str, **parts: str) -> str:
    names = ("session", "generation", "random", "code")
    return ".".join(parts.get(name, part) for name, part in zip(names, token.split("."), strict=True))


@pytest.mark.parametrize(
    "parts",
    [
        {"generation": "1"},
        {"generation": "00"},
        {"random": "A" * 43},
        {"random": "A" * 43, "code": "A" * 43},
        {"code": "A" * 43},
        {"session": "A" * 22},
        {"session": "$where"},
        {"random": "A" * 500},
        {"random": ""},
    ],
    ids=str,
)
async def test_forged_refresh_token_is_refused_and_ends_nothing(
    service: Service, phone: Device, parts: dict[str, str]
) -> None:
    before = stored(service, phone)
    refused = await phone.refresh(changed(phone.refresh_token, **parts)[:128])
    assert (refused.status_code, problem(refused)) == (401, ENDED)
    assert stored(service, phone) == before
    assert await phone.status() == 200


async def test_refresh_token_outlives_the_secret(service: Service, phone: Device) -> None:
    earlier = RefreshTokens(Sealer(["a secret that is in use no more"]))
    old = earlier.issue(phone.session_id, 0)
    change(service, phone, token_hash=digest(old))
    answer = await phone.refresh(old)
    assert answer.status_code == 200
    assert (await phone.refresh(earlier.issue(phone.session_id, 0))).status_code == 401
    assert await Device(service.client, answer.json()["data"]).status() == 200


async def test_refreshed_token_has_the_account_as_it_is_now(
    service: Service, ann: Person, phone: Device
) -> None:
    service.database["_users"].update_one(
        {"email": ann.email}, {"$set": {"roles": ["editor"], "name": "Ann"}, "$inc": {"epoch": 1}}
    )
    await phone.refreshed()
    claims = jwt.get_unverified_claims(phone.tokens["access_token"])
    assert (claims["roles"], claims["name"], claims["epoch"]) == (["editor"], "Ann", 1)


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_refresh_of_a_closed_account_ends_the_session(
    service: Service, ann: Person, phone: Device, is_deleted: bool
) -> None:
    users = service.database["_users"]
    if is_deleted:
        users.delete_one({"email": ann.email})
    else:
        users.update_one({"email": ann.email}, {"$set": {"is_disabled": True}})
    refused = await phone.refresh()
    assert (refused.status_code, problem(refused)) == (401, ENDED)
    assert stored(service, phone) is None
    assert events(service, phone) == ["session.opened", "session.ended"]


async def test_idle_session_has_ended(service: Service, phone: Device) -> None:
    change(service, phone, expires_at=ago(1))
    refused = await phone.refresh()
    assert (refused.status_code, problem(refused)) == (401, ENDED)
    assert (await service.client.get(SESSIONS, headers=phone.headers)).json() == {"data": []}


async def test_session_ends_at_its_longest_lifetime(service: Service, phone: Device) -> None:
    ends_at = (datetime.now(UTC) + timedelta(minutes=3)).replace(microsecond=0)
    change(service, phone, ends_at=ends_at)
    await phone.refreshed()
    kept = stored(service, phone)
    assert kept is not None
    assert kept["expires_at"].replace(tzinfo=UTC) == ends_at


async def test_session_beyond_the_limit_ends_the_least_recently_used(
    service: Service, ann: Person, phone: Device
) -> None:
    kept = stored(service, phone)
    assert kept is not None
    others = [kept | {"_id": f"{number:022}", "last_used_at": ago(60 + number)} for number in range(49)]
    service.database["_sessions"].insert_many(others)
    tablet = await sign_in(service.client, ann)
    left = {each["_id"] for each in service.database["_sessions"].find({"user_id": ann.id})}
    assert len(left) == 50
    assert {phone.session_id, tablet.session_id} <= left
    assert f"{48:022}" not in left
    assert (await phone.status(), await tablet.status()) == (200, 200)


async def test_sign_in_under_way_fails_when_all_sessions_end(service: Service, ann: Person) -> None:
    services = services_of(service.app)
    user = await User.get(ann.id)
    assert user is not None

    async def open_one() -> Opened:
        opened: Opened = await services.sessions.open(user, Client())
        return opened

    await services.database.transaction(lambda: services.sessions.end_all(ann.id))
    with pytest.raises(SessionEnded):
        await services.database.transaction(open_one)
    assert service.database["_sessions"].count_documents({"user_id": ann.id}) == 0


async def test_concurrent_sign_in_and_end_of_all_sessions_misses_no_session(
    service: Service, ann: Person
) -> None:
    services = services_of(service.app)
    user = await User.get(ann.id)
    assert user is not None

    async def open_one() -> str | None:
        try:
            opened: Opened = await services.database.transaction(
                lambda: services.sessions.open(user, Client())
            )
        except SessionEnded:
            return None
        return opened.session_id

    async def end_all() -> int:
        number: int = await services.database.transaction(lambda: services.sessions.end_all(ann.id))
        return number

    opened = [each for each in await asyncio.gather(end_all(), *(open_one() for _ in range(8))) if each]
    left = service.database["_sessions"].count_documents({"user_id": ann.id})
    assert left == 0, opened


# --- bodies


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"refresh_token": {"$regex": "."}}, [not_text("refresh_token")]),
        ({"refresh_token": {"$gt": ""}}, [not_text("refresh_token")]),
        ({"refresh_token": None}, [not_text("refresh_token")]),
        ({"refresh_token": ["x"]}, [not_text("refresh_token")]),
        ({"refresh_token": "x", "mode": "cookie"}, [unexpected("mode")]),
        (
            {},
            [{"pointer": "/refresh_token", "code": "required", "detail": "`refresh_token` is required"}],
        ),
        (
            {"refresh_token": "x" * 129},
            [
                {
                    "pointer": "/refresh_token",
                    "code": "maxLength",
                    "detail": "String should have at most 128 characters",
                }
            ],
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("path", [REFRESH, LOGOUT])
async def test_a2_malformed_refresh_token_is_refused_and_ends_nothing(
    service: Service, phone: Device, path: str, body: Any, errors: list[dict[str, str]]
) -> None:
    before = stored(service, phone)
    answer = await service.client.post(path, json=body)
    assert (answer.status_code, problem(answer)) == (400, invalid(*errors))
    assert stored(service, phone) == before


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [(b"x", "text/plain", 415), (b"refresh_token=x", "application/x-www-form-urlencoded", 415)]
    + [(content, "application/json", 400) for content in (b"{", b"[]", b"null", b'"x"', b"[" * 10_000)],
)
@pytest.mark.parametrize("path", [REFRESH, LOGOUT])
async def test_malformed_json_is_refused(
    service: Service, path: str, content: bytes, media_type: str, status: int
) -> None:
    answer = await service.client.post(path, content=content, headers={"content-type": media_type})
    assert answer.status_code == status


async def test_refresh_without_token_is_refused(service: Service) -> None:
    answer = await service.client.post(REFRESH, headers={"Origin": "http://sheaf.test"})
    assert (answer.status_code, problem(answer)) == (401, ENDED)
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", [REFRESH, LOGOUT, SESSIONS, f"{SESSIONS}/x"])
async def test_contract_with_unknown_parameter_returns_400(
    service: Service, phone: Device, path: str
) -> None:
    method = "DELETE" if path.startswith(SESSIONS) else "POST"
    answer = await service.client.request(method, f"{path}?token=x", headers=phone.headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "parameter.invalid")
    assert stored(service, phone) is not None


# --- signing out


async def test_logout_with_the_access_token_ends_the_session(service: Service, phone: Device) -> None:
    for _ in range(2):
        answer = await service.client.post(LOGOUT, headers=phone.headers)
        assert (answer.status_code, answer.content) == (204, b"")
    assert (await phone.status(), (await phone.refresh()).status_code) == (401, 401)
    assert stored(service, phone) is None
    assert events(service, phone) == ["session.opened", "session.ended"]


async def test_logout_with_the_refresh_token_ends_the_session(service: Service, phone: Device) -> None:
    for _ in range(2):
        answer = await service.client.post(LOGOUT, json={"refresh_token": phone.refresh_token})
        assert answer.status_code == 204
    assert (await phone.status(), stored(service, phone)) == (401, None)
    noted = service.database["_audit"].find_one({"target.id": phone.session_id, "action": "session.ended"})
    assert noted is not None
    assert noted["actor"]["id"] == phone.tokens["user"]["id"]


async def test_concurrent_logouts_of_one_session_all_succeed(service: Service, phone: Device) -> None:
    answers = await asyncio.gather(
        *(service.client.post(LOGOUT, json={"refresh_token": phone.refresh_token}) for _ in range(20))
    )
    assert [answer.status_code for answer in answers] == [204] * 20
    assert events(service, phone) == ["session.opened", "session.ended"]


async def test_logout_without_a_genuine_token_ends_nothing(service: Service, phone: Device) -> None:
    forged = changed(phone.refresh_token, code="A" * 43, random="B" * 43)
    for body in (None, {"refresh_token": forged}, {"refresh_token": "x"}):
        answer = await service.client.post(LOGOUT, json=body) if body else await service.client.post(LOGOUT)
        assert answer.status_code == 204
    assert await phone.status() == 200


async def test_logout_with_an_invalid_token_is_refused(service: Service, phone: Device) -> None:
    answer = await service.client.post(LOGOUT, headers={"Authorization": "Bearer a.b.c"})
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.token_invalid")
    assert await phone.status() == 200


async def test_logout_of_an_expired_session_voids_its_access_tokens(service: Service, phone: Device) -> None:
    service.database["_sessions"].delete_one({"_id": phone.session_id})
    assert await phone.status() == 200
    assert (await service.client.post(LOGOUT, headers=phone.headers)).status_code == 204
    assert await phone.status() == 401


async def test_revoked_token_is_answered_with_the_hint_to_refresh(service: Service, phone: Device) -> None:
    await service.client.post(LOGOUT, headers=phone.headers)
    answer = await service.client.get(PROFILE, headers=phone.headers)
    assert (answer.status_code, problem(answer)) == (
        401,
        {
            "title": "The access token is not valid",
            "status": 401,
            "code": "auth.token_invalid",
            "detail": "The access token is no longer valid",
            "hint": "Refresh it; when that is refused, sign in again.",
        },
    )


# --- where one is signed in


async def test_session_list_has_devices_and_no_secret(service: Service, ann: Person, phone: Device) -> None:
    laptop = await sign_in(service.client, ann, "Lap\x1btop " + "x" * 300)
    answer = await service.client.get(SESSIONS, headers=phone.headers)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    times = {each["id"]: each for each in answer.json()["data"]}
    assert answer.json() == {
        "data": [
            {
                "id": device.session_id,
                "is_present": device is phone,
                "mode": "bearer",
                "device": shown,
                "address": "127.0.0.1",
                "created_at": times[device.session_id]["created_at"],
                "last_used_at": times[device.session_id]["created_at"],
                "expires_at": times[device.session_id]["expires_at"],
            }
            for device, shown in ((laptop, "Laptop " + "x" * 192), (phone, "Phone/1"))
        ]
    }


async def test_user_ends_own_sessions_and_no_others(service: Service, ann: Person, phone: Device) -> None:
    laptop = await sign_in(service.client, ann)
    bob = await sign_in(service.client, person(service.database))
    path = f"{SESSIONS}/{laptop.session_id}"
    refused = await service.client.delete(path, headers=bob.headers)
    assert (refused.status_code, problem(refused)) == (
        404,
        {
            "title": "There is no such session",
            "status": 404,
            "code": "session.not_found",
            "detail": "There is no such session",
        },
    )
    assert await laptop.status() == 200
    assert (await service.client.delete(path, headers=phone.headers)).status_code == 204
    assert (await laptop.status(), await phone.status()) == (401, 200)
    assert (await service.client.delete(path, headers=phone.headers)).status_code == 404


@pytest.mark.parametrize("is_kept", [False, True])
async def test_end_of_all_sessions_may_keep_the_present_one(
    service: Service, ann: Person, phone: Device, is_kept: bool
) -> None:
    laptop = await sign_in(service.client, ann)
    bob = await sign_in(service.client, person(service.database))
    path = f"{SESSIONS}?keep=present" if is_kept else SESSIONS
    assert (await service.client.delete(path, headers=phone.headers)).status_code == 204
    assert [await each.status() for each in (phone, laptop, bob)] == [200 if is_kept else 401, 401, 200]
    assert (await phone.refresh()).status_code == (200 if is_kept else 401)
    noted = service.database["_audit"].find_one({"target.id": ann.id, "action": "session.all_ended"})
    assert noted is not None
    assert noted["details"] == {"sessions": 1 if is_kept else 2, "keeps_present": is_kept}


async def test_end_of_all_sessions_with_another_keep_is_refused(service: Service, phone: Device) -> None:
    answer = await service.client.delete(f"{SESSIONS}?keep=others", headers=phone.headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "parameter.invalid")
    assert await phone.status() == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", SESSIONS), ("DELETE", SESSIONS), ("DELETE", f"{SESSIONS}/x")]
)
async def test_sessions_without_sign_in_are_401(service: Service, method: str, path: str) -> None:
    answer = await service.client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.required")


async def test_sign_in_with_unknown_mode_is_refused(service: Service, ann: Person) -> None:
    answer: httpx.Response = await service.client.post(LOGIN, json=ann.credentials | {"mode": "header"})
    error = {"pointer": "/mode", "code": "enum", "detail": "Input should be 'bearer' or 'cookie'"}
    assert (answer.status_code, problem(answer)) == (400, invalid(error))
    assert SECRET not in answer.text


async def test_cookies_in_development_are_not_secure(service: Service, ann: Person) -> None:
    async with connect(service.app) as browser:
        page = {"Origin": "http://sheaf.test"}
        answer = await browser.post(LOGIN, json=ann.credentials | {"mode": "cookie"}, headers=page)
        kept = answer.headers.get_list("set-cookie")
        assert [each.partition("=")[0] for each in kept] == ["sheaf_access", "sheaf_refresh", "sheaf_csrf"]
        assert "Secure" not in answer.headers["set-cookie"]
        assert (await browser.get(PROFILE)).status_code == 200
        proof = page | {"X-CSRF-Token": answer.json()["data"]["csrf_token"]}
        assert (await browser.post(REFRESH, headers=proof)).status_code == 200
        assert (await browser.post(LOGOUT, headers=proof)).status_code == 204
