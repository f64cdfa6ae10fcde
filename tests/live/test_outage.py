"""The database goes away while the service is asked, and comes back."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest

from service.kit.errors import DatabaseUnavailable
from service.storage import database as databases
from service.storage.thread_pools import ThreadPools
from tests.live.deployment import (
    SHEAF,
    WORKERS,
    Database,
    children,
    client,
    database,
    deployed,
    statuses,
    threads,
    token,
    variables,
    wait_until,
)
from tests.live.processes import DEADLINE_S, Service, started
from tests.pace import slowness, within

pytestmark = pytest.mark.alone

ANSWERED_S = 5.0
RECOVERED_S = 5.0
IN_FORCE_S = 1.0
EACH = 10
"""How often each question is asked at once."""

ANN = {"email": "ann@example.com", "password": "correct horse"}
NAIL = {"name": "nail", "price": 0.1}

POOL_THREADS = sum(pool.most_threads for pool in ThreadPools(timeout_s=3.0, connections=50).all)
WORKER_THREADS = 5 * (os.cpu_count() or 1) + 2 + POOL_THREADS
"""What a worker has at the most besides those of its start: the driver's, the passwords', the pools'."""

WELL = {200, 201, 412}

Question = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]


@pytest.fixture(scope="module")
def mongodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with database(tmp_path_factory.mktemp("outage")) as opened:
        yield opened


@pytest.fixture(scope="module")
def service(mongodb: Database) -> Iterator[Service]:
    """Yield a service whose workers have no more threads in the end than they may."""
    with deployed(mongodb.uri) as running:
        at_first = threads(running)
        yield running
        assert threads(running) <= at_first + WORKERS * WORKER_THREADS


async def questions(http: httpx.AsyncClient) -> list[Question]:
    """Return everything that asks the database, by the account and on the document that are made for it."""
    user, admin = token(), token("admin")
    await http.post("/api/auth/register", json=ANN)
    signed_in = (await http.post("/api/auth/login", json=ANN)).json()["data"]
    own = {"Authorization": f"Bearer {signed_in['access_token']}"}
    document = (await http.post("/api/products", json=NAIL, headers=user)).json()["data"]
    path = f"/api/products/{document['id']}"
    return [
        lambda http: http.get(path),
        lambda http: http.get("/api/products"),
        lambda http: http.get("/api/products?sort=-price&limit=1"),
        lambda http: http.post("/api/products", json=NAIL, headers=user),
        lambda http: http.patch(path, json={"price": 0.2}, headers=admin),
        lambda http: http.post("/api/auth/login", json=ANN),
        lambda http: http.get("/api/profile", headers=own),
        lambda http: http.get("/api/collections", headers=admin),
        lambda http: http.get("/api/collections/products", headers=admin),
        lambda http: http.delete(path, headers={**admin, "If-Match": '"1000000"'}),
    ]


async def ask_all(http: httpx.AsyncClient, asked: list[Question]) -> list[tuple[httpx.Response, float]]:
    """Ask each question EACH times, all at once; returns the answers and the seconds that each took."""

    async def timed(question: Question) -> tuple[httpx.Response, float]:
        began_s = time.monotonic()
        answer = await question(http)
        return answer, time.monotonic() - began_s

    return list(await asyncio.gather(*(timed(question) for question in asked for _ in range(EACH))))


def frozen(mongodb: Database) -> Callable[[], None]:
    mongodb.freeze()
    return mongodb.thaw


def killed(mongodb: Database) -> Callable[[], None]:
    mongodb.kill()
    return mongodb.start


@pytest.mark.parametrize("take_away", [frozen, killed])
async def test_service_that_loses_database_answers_503_and_recovers(
    service: Service, mongodb: Database, take_away: Callable[[Database], Callable[[], None]]
) -> None:
    async with client(service) as http:
        asked = await questions(http)
        healthy = await ask_all(http, asked)
        assert {answer.status_code for answer, _ in healthy} == WELL
        workers = children(service.process.pid)

        give_back = take_away(mongodb)
        try:
            outage = asyncio.create_task(ask_all(http, asked))
            while not outage.done():
                with within(1):
                    assert (await http.get("/api/health/live")).status_code == 200
                await asyncio.sleep(0.2)
            assert_unavailable(await http.get("/api/health/ready"))
        finally:
            await asyncio.to_thread(give_back)
        for answer, took_s in outage.result():
            assert_unavailable(answer)
            assert took_s < ANSWERED_S * slowness()

        async def is_well() -> bool:
            answers = [answer for answer, _ in await ask_all(http, asked)]
            return {answer.status_code for answer in answers} == WELL

        await until(is_well, RECOVERED_S)
        assert children(service.process.pid) == workers
    await definitions_follow(service)


def assert_unavailable(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "https://sheaf.dev/problems/database.unavailable",
        "title": "The database cannot be reached",
        "status": 503,
        "code": "database.unavailable",
        "detail": "The database cannot be reached",
        "instance": answer.request.url.path,
        "request_id": answer.headers["x-request-id"],
    }


async def definitions_follow(service: Service) -> None:
    """Create a collection, see it everywhere within a second, delete it, and see it nowhere."""
    films = {"name": "films", "schema": {"type": "object"}, "rules": {"read": "anyone"}}
    async with client(service) as http:
        created = await http.post("/api/collections", json=films, headers=token("admin"))
        assert created.status_code == 201, created.text
        wait_until(lambda: statuses(service, "/api/films") == {200}, IN_FORCE_S * slowness())
        deleted = await http.delete("/api/collections/films?confirm=films", headers=token("admin"))
        assert deleted.status_code == 200, deleted.text
        wait_until(lambda: statuses(service, "/api/films") == {404}, IN_FORCE_S * slowness())


async def until(is_true: Callable[[], Awaitable[bool]], within_s: float) -> None:
    with within(within_s):
        while not await is_true():
            pass


async def test_long_operation_ends_with_lost_database(mongodb: Database) -> None:
    opened = databases.connect(
        mongodb.uri, "outage", pool_size=5, selection_timeout_s=0.5, operation_timeout_s=0.5
    )
    try:
        await opened.motor["slow"].insert_one({})
        slow = {"$where": "sleep(700) || true"}
        assert await opened.patiently(lambda: opened.motor["slow"].find_one(slow)) is not None
        mongodb.freeze()
        with within(ANSWERED_S), pytest.raises(DatabaseUnavailable):
            await opened.patiently(lambda: opened.motor["slow"].find_one({}))
    finally:
        mongodb.thaw()
        opened.close()


@pytest.mark.parametrize("comes_back", [True, False], ids=["comes back", "stays away"])
async def test_write_in_flight_at_shutdown_is_answered(mongodb: Database, comes_back: bool) -> None:
    with deployed(mongodb.uri, SHEAF_OPERATION_TIMEOUT_S="4") as service:
        async with client(service) as http:
            mongodb.freeze()
            try:
                slow = asyncio.create_task(http.post("/api/products", json=NAIL, headers=token()))
                await asyncio.sleep(1)
                service.signal(signal.SIGTERM)

                async def is_refused() -> bool:
                    answer = await http.get("/api/nothing")
                    return bool(answer.json()["code"] == "service.draining")

                await until(is_refused, IN_FORCE_S)
                assert not slow.done()
                if comes_back:
                    mongodb.thaw()
                answer = await slow
                assert answer.status_code == (201 if comes_back else 503), answer.text
                assert await asyncio.to_thread(service.code) == 0
            finally:
                mongodb.thaw()


async def test_service_started_before_database_is_ready_once_database_is(
    mongodb: Database, unused_tcp_port: int
) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    early: dict[str, Any] = {"SHEAF_PORT": str(unused_tcp_port), "SHEAF_DATABASE_TIMEOUT_S": "0.6"}
    mongodb.kill()
    with started(*SHEAF, variables=variables(mongodb.uri) | early) as process:
        async with httpx.AsyncClient(base_url=url, timeout=20) as http:

            async def is_live() -> bool:
                try:
                    return (await http.get("/api/health/live")).is_success
                except httpx.TransportError:
                    await asyncio.sleep(0.02)
                    return False

            try:
                await until(is_live, DEADLINE_S)
                for path in ("/api/health/ready", "/api/products"):
                    assert_unavailable(await http.get(path))
            finally:
                await asyncio.to_thread(mongodb.start)
            assert process.stdout is not None
            line = asyncio.to_thread(process.stdout.readline)
            assert await asyncio.wait_for(line, DEADLINE_S) == f"Listening on {url}\n"

            async def is_ready() -> bool:
                answers = [await http.get(path) for path in ("/api/health/ready", "/api/products")]
                return all(answer.is_success for answer in answers)

            await until(is_ready, RECOVERED_S)  # a machine that is busy may still be late with its heartbeats
