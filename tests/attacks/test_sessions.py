"""Attacks on sessions: tokens that outlive them, tokens that are used twice, and pages of other sites."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest
import pytest_asyncio
from bson import ObjectId
from litestar import Litestar

from service.app import create_app
from service.identity.core.revocations import BOUND_S
from tests import streams
from tests.conftest import connect, opened, settings_of
from tests.pace import within
from tests.people import LOGIN, LOGOUT, PASSWORD, PROFILE, REFRESH, SESSIONS, Device, Person, person, sign_in

PAGE = {"Origin": "http://sheaf.test"}


@dataclass(frozen=True, slots=True)
class TwoInstances:
    """Two workers on one database: what is done is done through the first one."""

    first: httpx.AsyncClient
    second: httpx.AsyncClient
    apps: tuple[Litestar, Litestar]
    database: "pymongo.database.Database[dict[str, Any]]"

    async def device(self, *roles: str) -> tuple[Person, Device]:
        someone = person(self.database, *roles)
        return someone, await sign_in(self.first, someone)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def workers(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TwoInstances]:
    directory = tempfile.mkdtemp(dir=tmp_path_factory.getbasetemp())
    settings = settings_of(mongodb_uri, Path(directory))
    second, first = create_app(settings), create_app(settings)  # the classes belong to who begins last
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as mongodb:
        async with opened(second), opened(first), connect(first) as one, connect(second) as other:
            yield TwoInstances(one, other, (first, second), mongodb[settings.database])
        mongodb.drop_database(settings.database)


Ending = Callable[[TwoInstances, Person, Device], Awaitable[httpx.Response]]


async def by_logout(workers: TwoInstances, _: Person, device: Device) -> httpx.Response:
    return await workers.first.post(LOGOUT, headers=device.headers)


async def by_logout_everywhere(workers: TwoInstances, _: Person, device: Device) -> httpx.Response:
    return await workers.first.delete(SESSIONS, headers=device.headers)


async def by_another_device(workers: TwoInstances, someone: Person, device: Device) -> httpx.Response:
    another = await sign_in(workers.first, someone)
    return await workers.first.delete(f"{SESSIONS}/{device.session_id}", headers=another.headers)


async def by_another_password(workers: TwoInstances, someone: Person, _: Device) -> httpx.Response:
    another = await sign_in(workers.first, someone)
    change = {"current_password": PASSWORD, "new_password": "another staple of correct horses"}
    return await workers.first.post("/api/auth/password", json=change, headers=another.headers)


async def by_disabling(workers: TwoInstances, someone: Person, _: Device) -> httpx.Response:
    return await as_administrator(workers, "PATCH", f"/api/users/{someone.id}", {"is_disabled": True})


async def by_other_roles(workers: TwoInstances, someone: Person, _: Device) -> httpx.Response:
    return await as_administrator(workers, "PATCH", f"/api/users/{someone.id}", {"roles": ["editor"]})


async def by_an_administrator(workers: TwoInstances, someone: Person, _: Device) -> httpx.Response:
    return await as_administrator(workers, "DELETE", f"/api/users/{someone.id}/sessions")


async def by_removal(workers: TwoInstances, someone: Person, _: Device) -> httpx.Response:
    return await as_administrator(workers, "DELETE", f"/api/users/{someone.id}?documents=keep")


async def by_reuse(workers: TwoInstances, _: Person, device: Device) -> httpx.Response:
    renewed = Device(workers.first, (await device.refresh()).json()["data"])
    await renewed.refreshed()
    answer = await device.refresh()
    assert answer.status_code == 401
    return await workers.first.post(LOGOUT)


async def as_administrator(workers: TwoInstances, method: str, path: str, body: Any = None) -> httpx.Response:
    _, administrator = await workers.device("admin")
    return await workers.first.request(method, path, json=body, headers=administrator.headers)


@pytest.mark.parametrize(
    "end",
    [
        by_logout,
        by_logout_everywhere,
        by_another_device,
        by_another_password,
        by_disabling,
        by_other_roles,
        by_an_administrator,
        by_removal,
        by_reuse,
    ],
)
async def test_a23_ended_session_or_changed_account_revokes_token_on_every_worker(
    workers: TwoInstances, end: Ending
) -> None:
    someone, device = await workers.device()
    assert [await device.status(client) for client in (workers.first, workers.second)] == [200, 200]
    answer = await end(workers, someone, device)
    assert answer.status_code < 300, answer.text
    with within(BOUND_S):
        assert await device.status() == 401
        while await device.status(workers.second) != 401:  # noqa: ASYNC110  # another worker has no event to wait for
            await asyncio.sleep(0.01)
    refreshed = await device.refresh()
    assert refreshed.status_code == (200 if end is by_other_roles else 401)


async def test_a23_token_revoked_while_body_arrives_returns_401(workers: TwoInstances) -> None:
    someone, device = await workers.device()

    async def body() -> AsyncIterator[bytes]:
        yield b'{"name": '
        await workers.first.post(LOGOUT, headers=device.headers)
        yield b'"Mallory"}'

    headers = {**device.headers, "Content-Type": "application/merge-patch+json"}
    before = workers.database["_users"].find_one({"_id": ObjectId(someone.id)})
    answer = await workers.first.patch(PROFILE, content=body(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.token_invalid")
    assert workers.database["_users"].find_one({"_id": ObjectId(someone.id)}) == before


async def test_a23_revocations_are_seen_after_change_stream_gap(workers: TwoInstances) -> None:
    _, device = await workers.device()
    async with streams.interrupted(workers.database, workers.apps):
        await workers.first.post(LOGOUT, headers=device.headers)
        with within(BOUND_S):
            while await device.status(workers.second) != 401:  # noqa: ASYNC110  # there is no event to wait for
                await asyncio.sleep(0.01)


async def test_a24_concurrent_refreshes_return_same_successor(workers: TwoInstances) -> None:
    _, device = await workers.device()
    clients = [workers.first, workers.second] * 5
    body = {"refresh_token": device.refresh_token}
    answers = await asyncio.gather(*(client.post(REFRESH, json=body) for client in clients))
    assert [answer.status_code for answer in answers] == [200] * 10
    successors = {answer.json()["data"]["refresh_token"] for answer in answers}
    assert len(successors) == 1
    stored = workers.database["_sessions"].find_one({"_id": device.session_id})
    assert stored is not None
    assert stored["generation"] == 1
    for answer in answers:
        assert await Device(workers.first, answer.json()["data"]).status(workers.second) == 200


async def test_a24_concurrent_reuses_are_refused_and_audited_once(workers: TwoInstances) -> None:
    _, device = await workers.device()
    renewed = Device(workers.first, (await device.refresh()).json()["data"])
    await renewed.refreshed()
    answers = await asyncio.gather(*(device.refresh() for _ in range(10)))
    assert [answer.status_code for answer in answers] == [401] * 10
    assert (await renewed.refresh()).status_code == 401
    noted = {"target.id": device.session_id, "action": "session.reuse_detected"}
    assert workers.database["_audit"].count_documents(noted) == 1


async def test_a39_session_secrets_are_not_in_responses_audit_log_or_output(
    workers: TwoInstances, capfd: pytest.CaptureFixture[str]
) -> None:
    _, device = await workers.device()
    tokens = [device.refresh_token]
    await device.refreshed()
    tokens.append(device.refresh_token)
    listed = await workers.first.get(SESSIONS, headers=device.headers)
    stored = workers.database["_sessions"].find_one({"_id": device.session_id})
    assert stored is not None
    audit = list(workers.database["_audit"].find({"target.id": device.session_id}))
    hidden = [stored["token_hash"], stored["previous_hash"], stored["sealed_successor"], stored["csrf_hash"]]
    for token in tokens:
        _, _, random, code = token.split(".")
        hidden += [random, code]
        assert random not in str(stored)
    await workers.first.get("/api/films", headers={"Cookie": f"sheaf_refresh={tokens[1]}"})
    logged = capfd.readouterr()
    for secret in hidden:
        assert secret not in listed.text + str(audit) + logged.out + logged.err


async def test_a43_responses_to_cookie_sessions_are_private_and_vary_by_cookie(workers: TwoInstances) -> None:
    someone = person(workers.database)
    async with connect(workers.apps[0]) as browser:
        await browser.post(LOGIN, json=someone.credentials | {"mode": "cookie"}, headers=PAGE)
        for path in (PROFILE, "/api/products", "/api/openapi.json"):
            mine, others = await browser.get(path), await workers.first.get(path)
            assert mine.status_code == 200
            assert mine.headers["cache-control"].startswith("private")
            for answer in (mine, others):
                assert {"Authorization", "Cookie"} <= set(answer.headers["vary"].split(", ")), path


@pytest.mark.parametrize("path", [LOGIN, REFRESH, LOGOUT])
async def test_a46_text_plain_post_from_other_site_returns_415(workers: TwoInstances, path: str) -> None:
    someone = person(workers.database)
    content = str(someone.credentials | {"mode": "cookie"}).replace("'", '"')
    headers = {"Origin": "https://evil.test", "Content-Type": "text/plain"}
    answer = await workers.first.post(path, content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "media_type.unsupported")
    assert "set-cookie" not in answer.headers
    assert workers.database["_sessions"].count_documents({"user_id": someone.id}) == 0
