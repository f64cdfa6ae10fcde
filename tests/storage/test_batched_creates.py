"""Joined creates: each has its own outcome, and is done once, whatever becomes of the others."""

import asyncio
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import bson
import pytest
from bson.errors import InvalidDocument
from pymongo.errors import (
    DocumentTooLarge,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteError,
)

from service.kit.errors import Busy
from service.storage import batcher
from service.storage import database as databases
from service.storage.batched_creates import BatchedCreates
from service.storage.database import Database
from service.storage.thread_pools import ThreadPool, Work
from tests.storage.absent import absent


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"in": value}
    return value


FAULTS: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "taken": ({"key": "taken"}, DuplicateKeyError),
    "too large": ({"text": "x" * (16 * 1024 * 1024)}, DocumentTooLarge),
    "no BSON": ({"number": 2**64}, OverflowError),
    "no document": ({"what": object()}, InvalidDocument),
    "not to be stored": ({"in": nested(185)}, WriteError),
    "not to be read": ({"in": nested(250)}, OperationFailure),
}


async def stored(database: Database) -> list[Any]:
    return [each["_id"] async for each in database.motor["things"].find({}, {"_id": 1}, sort=[("_id", 1)])]


@pytest.mark.parametrize("seed", range(2))
async def test_batched_creates_have_independent_outcomes(database: Database, seed: int) -> None:
    things = database.motor["things"]
    await things.create_index("key", unique=True, sparse=True)
    await things.insert_one({"_id": -1, "key": "taken"})
    chance = random.Random(seed)  # noqa: S311  # no secret
    creates = BatchedCreates(things)
    faults = [chance.choice([*FAULTS, *[None] * 20]) for _ in range(100)]

    async def create(number: int, fault: str | None) -> None:
        await asyncio.sleep(chance.random() / 50)
        await creates.create({"_id": number, **(FAULTS[fault][0] if fault else {"key": f"key {number}"})})

    outcomes = await asyncio.gather(
        *(create(number, fault) for number, fault in enumerate(faults)), return_exceptions=True
    )
    expected = [FAULTS[fault][1] if fault else type(None) for fault in faults]
    assert [type(outcome) for outcome in outcomes] == expected
    assert await stored(database) == [-1, *(number for number, fault in enumerate(faults) if not fault)]


async def test_one_of_concurrent_creates_with_same_unique_value_succeeds(database: Database) -> None:
    things = database.motor["things"]
    await things.create_index("key", unique=True)
    creates = BatchedCreates(things)
    outcomes = await asyncio.gather(
        *(creates.create({"_id": number, "key": number % 3}) for number in range(60)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, DuplicateKeyError)]
    assert (len(refused), len(await stored(database))) == (57, 3)
    details = [each.details or {} for each in refused]
    assert {(each["code"], *each["keyPattern"]) for each in details} == {(11000, "key")}
    assert not any("op" in each for each in details)


async def test_waiting_creates_share_one_insert(database: Database) -> None:
    creates = BatchedCreates(database.motor["things"])
    sizes: list[int] = []

    def note(pool: ThreadPool, work: Work, _: float) -> None:
        if pool.name == "creates":
            sizes.append(work.size)

    database.pools.on_done = note
    await asyncio.gather(*(creates.create({"_id": number}) for number in range(400)))
    assert sum(sizes) == 400
    assert len(sizes) < 20
    assert await stored(database) == list(range(400))


async def test_insert_batch_is_bounded_by_count_and_bytes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BatchedCreates, "maximum_batch", 7)
    monkeypatch.setattr(batcher, "MAXIMUM_BATCH_BYTES", 500)
    creates = BatchedCreates(database.motor["things"])
    sizes: list[int] = []
    database.pools.on_done = lambda _, work, __: sizes.append(work.size)
    large = [creates.create({"_id": number, "text": "x" * 240}) for number in range(20)]
    small = [creates.create({"_id": number}) for number in range(20, 60)]
    await asyncio.gather(*large, *small)
    assert await stored(database) == list(range(60))
    assert max(sizes) <= 7
    assert sizes.count(2) >= 8


async def test_cancelled_caller_does_not_affect_others(database: Database) -> None:
    creates = BatchedCreates(database.motor["things"])
    tasks = [asyncio.create_task(creates.create({"_id": number})) for number in range(100)]
    await asyncio.sleep(0.002)
    for task in tasks[::3]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    kept = {number for number, outcome in enumerate(outcomes) if outcome is None}
    assert kept >= {number for number in range(100) if number % 3}
    assert kept <= set(await stored(database))


async def test_calls_above_queue_limit_are_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher, "MAXIMUM_WAITING", 20)
    creates = BatchedCreates(database.motor["things"])
    outcomes = await asyncio.gather(
        *(creates.create({"_id": number}) for number in range(30)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [type(None)] * 20 + [Busy] * 10
    assert await stored(database) == list(range(20))


async def test_unreachable_database_fails_all_callers() -> None:
    down = absent()
    creates = BatchedCreates(down.motor["things"])
    outcomes = await asyncio.gather(
        *(creates.create({"_id": number}) for number in range(10)), return_exceptions=True
    )
    assert all(isinstance(outcome, ServerSelectionTimeoutError) for outcome in outcomes)
    down.close()


class ReplyLosingProxy:
    """A connection to MongoDB that can lose the answers to inserts, after they were done."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.losses = 0
        self.lost = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._port))
            is_insert = threading.Event()
            for source, target in ((near, far), (far, near)):
                threading.Thread(
                    target=self._pump, args=(source, target, far, is_insert), daemon=True
                ).start()

    def _pump(
        self, source: socket.socket, target: socket.socket, far: socket.socket, is_insert: threading.Event
    ) -> None:
        """Pass bytes on until either side ends, or an answer is lost."""
        try:
            while part := source.recv(1 << 16):
                if source is far and is_insert.is_set() and self.lost < self.losses:
                    self.lost += 1
                    break
                if source is not far and b"\x02insert\x00" in part:
                    is_insert.set()
                target.sendall(part)
        except OSError:
            pass
        for each in (source, target):
            with suppress(OSError):  # the other thread may have been quicker
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def close(self) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()


@contextmanager
def through_proxy(
    mongodb_uri: str, name: str, timeout_s: float
) -> Iterator[tuple[Database, ReplyLosingProxy]]:
    host = mongodb_uri.removeprefix("mongodb://").partition("/")[0]
    wire = ReplyLosingProxy(int(host.partition(":")[2]))
    opened = databases.connect(
        f"mongodb://127.0.0.1:{wire.port}/?directConnection=true",
        name,
        pool_size=5,
        selection_timeout_s=2,
        operation_timeout_s=timeout_s,
    )
    try:
        yield opened, wire
    finally:
        opened.close()
        wire.close()


@pytest.mark.parametrize(("losses", "timeout_s"), [(1, 5.0), (100_000, 0.5)])
async def test_create_with_lost_reply_is_not_repeated(
    database: Database, mongodb_uri: str, losses: int, timeout_s: float
) -> None:
    with through_proxy(mongodb_uri, database.motor.name, timeout_s) as (opened, wire):
        await opened.is_reachable()
        creates = BatchedCreates(opened.motor["things"])
        await creates.create({"_id": -1})
        wire.losses = losses
        outcomes = await asyncio.gather(
            *(creates.create({"_id": number}) for number in range(5)), return_exceptions=True
        )
        assert wire.lost >= 1
        wire.losses = 0
        answered = [number for number, outcome in enumerate(outcomes) if outcome is None]
        unknown = [outcome for outcome in outcomes if outcome is not None]
        assert all(isinstance(outcome, PyMongoError) for outcome in unknown)
        assert not any(isinstance(outcome, DuplicateKeyError) for outcome in unknown)
        assert bool(unknown) == (losses > 1)  # else the driver has tried again
        assert {-1, *answered} <= set(await stored(database))
        await creates.create({"_id": 5, "bytes": bson.Binary(b"")})


async def test_creates_leave_no_tasks_or_threads_behind(database: Database) -> None:
    creates = BatchedCreates(database.motor["things"])
    await asyncio.gather(*(creates.create({"_id": number}) for number in range(50)))
    before = asyncio.all_tasks()
    database.close()
    assert before == {asyncio.current_task()}
    assert [(each.waiting, each.running, each.threads) for each in database.pools.all] == [(0, 0, 0)] * 5
