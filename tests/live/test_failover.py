"""MongoDB's primary goes while the service is asked, and another member takes its place."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest

from scripts.measuring.failover import Options, run_on
from service.dev import mongod
from service.dev.mongod import ReplicaSet
from service.storage import database as databases
from service.storage.change_stream import Batch
from service.storage.errors import DatabaseError
from tests.conftest import Service, served
from tests.pace import slowness

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


class Heard:
    """A listener that keeps which documents it hears of."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.interruptions: list[str] = []

    def changed(self, batch: Batch) -> None:
        self.ids += [change.id for change in batch.changes]

    def interrupted(self, why: str) -> None:
        self.interruptions.append(why)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
async def test_change_stream_tells_each_change_once_across_failover(
    members: ReplicaSet, number: signal.Signals
) -> None:
    primary = await asyncio.to_thread(members.wait_until_whole)
    name = f"stream_{number.name.lower()}"
    database = databases.connect(
        members.uri, name, pool_size=10, selection_timeout_s=3, operation_timeout_s=3
    )
    heard, acknowledged = Heard(), set[int]()
    async with database.stream.running():
        with database.stream.listen(heard):
            assert await database.stream.wait_until_open(RECOVERED_S)
            assert await database.stream.follow("things", RECOVERED_S)
            for key in range(200):
                if key == 50:
                    os.kill(primary.pid, number)
                with suppress(DatabaseError):
                    await database.motor["things"].insert_one({"_id": key})
                    acknowledged.add(key)
            async with asyncio.timeout(RECOVERED_S):
                while not acknowledged.issubset(heard.ids):  # noqa: ASYNC110  # a listener that tells nobody
                    await asyncio.sleep(0.05)
            assert heard.ids == sorted(set(heard.ids))
            assert heard.interruptions == []
    database.close()
    assert len(acknowledged) > 150
    if number is signal.SIGSTOP:
        os.kill(primary.pid, signal.SIGCONT)
    else:
        await asyncio.to_thread(members.restart, primary)
    await asyncio.to_thread(members.wait_until_whole)


async def created(service: Service, headers: dict[str, str]) -> tuple[str, str]:
    answer = await service.client.post("/api/products", json={"name": "nail", "price": 1}, headers=headers)
    assert answer.status_code == HTTPStatus.CREATED, answer.text
    return answer.headers["Location"], answer.headers["ETag"]


async def patched(service: Service, path: str, price: int, headers: dict[str, str]) -> httpx.Response:
    """Change a document, as soon as the service can."""
    async with asyncio.timeout(RECOVERED_S * slowness()):
        while True:
            answer = await service.client.patch(path, json={"price": price}, headers=headers)
            if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                return answer
