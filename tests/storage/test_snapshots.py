"""Snapshots: what fulfils a filter, batch by batch, never older than a time."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from bson import ObjectId, Timestamp

from service.storage import store as stores
from service.storage.database import Database
from service.storage.store import Store
from tests.storage.listener import Commands, connect


@pytest.fixture
async def opened(mongodb_uri: str, settings: Any) -> AsyncIterator[tuple[Database, Commands]]:
    database, commands = connect(mongodb_uri, settings.database)
    yield database, commands
    database.close()


async def batches(
    database: Database,
    after: Timestamp | None = None,
    *,
    where: Any = None,
    limit: int = 10,
    beyond: Any = None,
) -> list[list[Any]]:
    """Read a snapshot of `things`; returns the ids of each batch."""
    store = Store.named(database, "things")
    time = after or await database.operation_time()
    async with aclosing(store.snapshot(where or {}, after=time, limit=limit, beyond=beyond)) as found:
        return [[document["_id"] for document in batch] async for batch in found]


async def test_snapshot_has_documents_of_filter_in_order_of_ids_by_batches(
    opened: tuple[Database, Commands], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, _ = opened
    monkeypatch.setattr(stores, "SNAPSHOT_BATCH", 3)
    await database.motor["things"].insert_many(
        {"_id": 9 - each, "is_odd": each % 2 == 0} for each in range(10)
    )
    assert await batches(database) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert await batches(database, where={"is_odd": True}) == [[1, 3, 5], [7, 9]]
    assert await batches(database, limit=3) == [[0, 1, 2], [3]]
    assert await batches(database, beyond=6, limit=1) == [[7, 8]]
    assert await batches(database, where={"is_odd": True}, beyond=7) == [[9]]
    assert await batches(database, beyond=9) == []


async def test_snapshot_goes_on_beyond_an_id_of_any_type(opened: tuple[Database, Commands]) -> None:
    database, _ = opened
    ids = [None, 1, 2.5, "a", "b", {"a": 1}, ObjectId(), True]
    await database.motor["things"].insert_many({"_id": each} for each in ids)
    for place, each in enumerate(ids):
        if each is not None:
            assert await batches(database, beyond=each) == [ids[place + 1 :]] * (place + 1 < len(ids))


async def test_snapshot_is_of_majority_and_not_older_than_its_time(opened: tuple[Database, Commands]) -> None:
    database, commands = opened
    await database.motor["things"].insert_one({"_id": 1})
    time = await database.operation_time()
    commands.sent.clear()
    assert await batches(database, time) == [[1]]
    [find] = [event.command for event in commands.sent if event.command_name == "find"]
    assert find["readConcern"]["level"] == "majority"
    assert find["readConcern"]["afterClusterTime"] >= time


async def test_snapshot_that_is_left_closes_its_cursor(
    opened: tuple[Database, Commands], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, commands = opened
    monkeypatch.setattr(stores, "SNAPSHOT_BATCH", 1)
    await database.motor["things"].insert_many([{"_id": 1}, {"_id": 2}, {"_id": 3}])
    store, time = Store.named(database, "things"), await database.operation_time()
    async with aclosing(store.snapshot({}, after=time, limit=10)) as found:
        assert [document["_id"] for document in await anext(found)] == [1]
    assert "killCursors" in commands.names()
