"""MongoDB's primary goes while the service is asked, and another member takes its place."""

import asyncio
import os
import signal
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest

from scripts.measuring.failover import Options, run_on
from service.dev import mongod
from service.dev.mongod import ReplicaSet
from tests.conftest import Service, served

pytestmark = [pytest.mark.alone, pytest.mark.xdist_group("busy")]

ELECTION_TIMEOUT_S = 1.0
RECOVERED_S = 10.0


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaSet]:
    with mongod.start_set(tmp_path_factory.mktemp("set"), election_timeout_s=ELECTION_TIMEOUT_S) as started:
        yield started


async def test_step_down_of_primary_under_load_loses_nothing(members: ReplicaSet, tmp_path: Path) -> None:
    options = Options(
        rounds=1,
        clients=6,
        workers=1,
        election_timeout_s=ELECTION_TIMEOUT_S,
        calm_s=0.3,
        seed=1,
        only="step down",
    )
    (result,) = await run_on(members, options, tmp_path)
    assert result.sentences == []
    assert result.measured.acknowledged_writes > options.clients


async def test_read_is_not_undone_by_failed_primary(members: ReplicaSet) -> None:
    """A version that only the primary has would be given again, to another content, by its successor."""
    primary = await asyncio.to_thread(members.wait_until_whole)
    others = [member for member in members.members if member is not primary]
    async with served(members.uri) as service:
        admin = service.signed_in("admin")
        path, tag = await created(service, admin)
        for member in others:
            os.kill(member.pid, signal.SIGSTOP)
        changing = asyncio.create_task(service.client.patch(path, json={"price": 2}, headers=admin))
        await asyncio.sleep(0.3)
        read = await service.client.get(path)
        assert (read.status_code, read.headers["ETag"], read.json()["data"]["price"]) == (200, tag, 1)

        os.kill(primary.pid, signal.SIGKILL)
        for member in others:
            os.kill(member.pid, signal.SIGCONT)
        await asyncio.to_thread(members.primary)
        changed = await patched(service, path, 3, admin | {"If-Match": tag})
        answers = [await changing, changed]
        told = {each.json()["data"]["_version"]: each.json()["data"] for each in answers if each.is_success}
        unknown = [each for each in answers if each.status_code == HTTPStatus.SERVICE_UNAVAILABLE]
        now = (await service.client.get(path)).json()["data"]
        assert len(told) == sum(each.is_success for each in answers), "one version was given to both"
        assert 1 + len(told) <= now["_version"] <= 1 + len(told) + len(unknown)
        assert told.get(now["_version"], now) == now
        await asyncio.to_thread(members.restart, primary)


async def created(service: Service, headers: dict[str, str]) -> tuple[str, str]:
    answer = await service.client.post("/api/products", json={"name": "nail", "price": 1}, headers=headers)
    assert answer.status_code == HTTPStatus.CREATED, answer.text
    return answer.headers["Location"], answer.headers["ETag"]


async def patched(service: Service, path: str, price: int, headers: dict[str, str]) -> httpx.Response:
    """Change a document, as soon as the service can."""
    async with asyncio.timeout(RECOVERED_S):
        while True:
            answer = await service.client.patch(path, json={"price": price}, headers=headers)
            if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                return answer
