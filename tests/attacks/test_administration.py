"""Attacks by way of administration: what outlives a change, what it makes unusable, what it leaves stored."""

from collections.abc import AsyncIterator
from typing import Any, NoReturn

import httpx
import pyotp
import pytest
import pytest_asyncio
from pymongo.errors import ConnectionFailure

from models.user import User
from service.identity.core.sessions import Client
from service.identity.users import Removal
from service.kit.errors import SessionEnded
from tests.conftest import Service, served
from tests.people import LOGIN, PASSWORD, Device, person, sign_in
from tests.services import services_of

USERS = "/api/users"
SECOND_FACTOR = "/api/auth/second-factor"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(mongodb_uri: str) -> AsyncIterator[Service]:
    async with served(mongodb_uri) as opened:
        yield opened


async def ask(service: Service, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    """Send a request of an administrator."""
    headers |= service.signed_in("admin")
    return await service.client.request(method, f"{USERS}/{path}", json=body, headers=headers)


async def enrol(device: Device) -> list[str]:
    begun = await device.client.post(SECOND_FACTOR, json={"password": PASSWORD}, headers=device.headers)
    code = {"code": pyotp.TOTP(begun.json()["data"]["secret"]).now()}
    answer = await device.client.post(f"{SECOND_FACTOR}/confirm", json=code, headers=device.headers)
    assert answer.status_code == 200, answer.text
    codes: list[str] = answer.json()["data"]["recovery_codes"]
    return codes


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "{}", {"is_disabled": True}),
        ("DELETE", "{}?documents=keep", None),
        ("DELETE", "{}/second-factor", None),
        ("DELETE", "{}/sessions", None),
    ],
    ids=["disabled", "removed", "without a second factor", "signed out"],
)
async def test_a23_admin_action_on_account_ends_sessions_and_pending_sign_ins(
    service: Service, method: str, path: str, body: Any
) -> None:
    someone = person(service.database)
    device = await sign_in(service.client, someone)
    if "second-factor" in path:
        await enrol(device)
    began = await User.get(someone.id)
    assert began is not None
    answer = await ask(service, method, path.format(someone.id), body)
    assert answer.status_code < 300, answer.text
    assert await device.status() == 401
    assert (await device.refresh()).status_code == 401
    assert service.database["_sessions"].count_documents({"user_id": someone.id}) == 0
    services = services_of(service.app)
    with pytest.raises(SessionEnded):
        await services.database.transaction(lambda: services.sessions.open(began, Client()))
    assert service.database["_sessions"].count_documents({"user_id": someone.id}) == 0


async def test_a23_second_factor_step_fails_after_admin_ends_sessions(service: Service) -> None:
    someone = person(service.database)
    codes = await enrol(await sign_in(service.client, someone))
    first = await service.client.post(LOGIN, json=someone.credentials)
    assert (await ask(service, "DELETE", f"{someone.id}/sessions")).status_code == 200
    body = {"token": first.json()["data"]["second_factor"]["token"], "code": codes[0]}
    second = await service.client.post(f"{LOGIN}/second-factor", json=body)
    assert (second.status_code, second.json()["code"]) == (401, "auth.sign_in_expired")
    assert service.database["_sessions"].count_documents({"user_id": someone.id}) == 0


async def test_a23_disabling_with_idempotency_key_revokes_tokens_at_once(service: Service) -> None:
    someone = person(service.database)
    device = await sign_in(service.client, someone)
    key = {"Idempotency-Key": someone.id}
    assert (await ask(service, "PATCH", someone.id, {"is_disabled": True}, **key)).status_code == 200
    assert await device.status() == 401


async def test_interrupted_account_removal_can_be_undone_and_repeated(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: Any) -> NoReturn:
        raise ConnectionFailure

    someone = person(service.database)
    device = await sign_in(service.client, someone)
    with monkeypatch.context() as patch:
        patch.setattr(Removal, "_delete", cut_off)
        assert (await ask(service, "DELETE", f"{someone.id}?documents=keep")).status_code == 503
    assert (await device.status(), (await device.refresh()).status_code) == (401, 401)
    assert (await ask(service, "PATCH", someone.id, {"is_disabled": False})).status_code == 200
    again = await sign_in(service.client, someone)
    assert (await again.status(), await device.status()) == (200, 401)
    assert (await ask(service, "DELETE", f"{someone.id}?documents=keep")).status_code == 200
    assert await again.status() == 401
    assert service.database["_sessions"].count_documents({"user_id": someone.id}) == 0


LONG_NAME = "\N{GRINNING FACE}" * 200
MANY_ROLES = [f"role-{number}" for number in range(40)]


@pytest.mark.parametrize(
    "body",
    [
        {"name": LONG_NAME, "roles": MANY_ROLES, "attributes": {"text": "字" * 330}},
        {"name": "\x00" * 200, "roles": [f"r{number}" + 40 * "x" for number in range(10)]},
    ],
    ids=["letters of four bytes", "escaped"],
)
async def test_largest_possible_access_token_is_valid_and_fits_cookie(
    service: Service, body: dict[str, Any]
) -> None:
    someone = person(service.database)
    assert (await ask(service, "PATCH", someone.id, body)).status_code == 200
    device = await sign_in(service.client, someone)
    assert await device.status() == 200
    assert len(device.tokens["access_token"]) < 4096 - len("__Host-sheaf_access=")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"attributes": {"level": 2**63}}, "/attributes"),
        ({"attributes": {"levels": [-(2**63) - 1]}}, "/attributes"),
        ({"attributes": {"level": 10**30}}, "/attributes"),
        ({"roles": [f"r{number:02}" + "x" * 60 for number in range(50)]}, "/roles"),
    ],
    ids=["one too large", "one too small", "a huge number", "many long roles"],
)
async def test_unstorable_attributes_and_oversized_roles_return_400(
    service: Service, body: dict[str, Any], pointer: str
) -> None:
    someone = person(service.database)
    answer = await ask(service, "PATCH", someone.id, body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, pointer), answer.text
    stored = service.database["_users"].find_one({"email": someone.email})
    assert stored is not None
    assert (stored["_version"], stored["roles"], stored["attributes"]) == (1, [], {})


async def test_account_change_keeps_values_and_types_as_sent(service: Service) -> None:
    someone = person(service.database)
    address = {"email": f"other-{someone.email}", "is_email_verified": True}
    for body in (address, {"attributes": {"level": 1}}, {"attributes": {"level": True}}):
        answer = await ask(service, "PATCH", someone.id, body)
        assert answer.status_code == 200, answer.text
        data = answer.json()["data"]
        assert str({name: data[name] for name in body}) == str(body)
