"""Attacks by way of administration: what outlives a change, what it makes unusable, what it leaves stored."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pyotp
import pytest
import pytest_asyncio

from models.user import User
from service.errors import SessionEnded
from service.identity.sessions import Client
from tests.conftest import Service, served
from tests.people import PASSWORD, Device, person, sign_in

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


async def enrol(device: Device) -> None:
    begun = await device.client.post(SECOND_FACTOR, json={"password": PASSWORD}, headers=device.headers)
    code = {"code": pyotp.TOTP(begun.json()["data"]["secret"]).now()}
    answer = await device.client.post(f"{SECOND_FACTOR}/confirm", json=code, headers=device.headers)
    assert answer.status_code == 200, answer.text


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
async def test_a23_an_administrator_ends_sessions_and_sign_ins_under_way(
    service: Service, method: str, path: str, body: Any
) -> None:
    someone = person(service.database)
    device = await sign_in(service.client, someone)
    if "second-factor" in path:
        await enrol(device)
    began = await User.get(someone.id)
    answer = await ask(service, method, path.format(someone.id), body)
    assert answer.status_code < 300, answer.text
    assert await device.status() == 401
    assert (await device.refresh()).status_code == 401
    assert service.database["_sessions"].count_documents({"user_id": someone.id}) == 0
    state = service.app.state
    with pytest.raises(SessionEnded):
        await state.database.transaction(lambda: state.sessions.open(began, Client()))
    assert service.database["_sessions"].count_documents({"user_id": someone.id}) == 0
