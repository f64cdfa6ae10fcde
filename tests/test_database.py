"""Transactions: all or nothing, tried again after another writer, joined by what they call."""

import asyncio
from typing import Any

import pytest
from pymongo.errors import OperationFailure

from service.storage.database import Database
from service.storage.transactions import session


class DeliberateError(Exception):
    """Something that goes wrong in the middle of the work."""


async def stored(database: Database) -> list[dict[str, Any]]:
    return await database.motor.things.find(sort=[("_id", 1)]).to_list(100)


async def put(database: Database, thing_id: int) -> None:
    await database.motor.things.insert_one({"_id": thing_id}, session=session())


async def test_transaction_is_visible_only_after_commit(database: Database) -> None:
    async def work() -> str:
        await put(database, 1)
        assert await stored(database) == []
        await put(database, 2)
        return "done"

    assert await database.transaction(work) == "done"
    assert await stored(database) == [{"_id": 1}, {"_id": 2}]
    assert session() is None


async def test_failed_transaction_is_rolled_back(database: Database) -> None:
    async def work() -> None:
        await put(database, 1)
        raise DeliberateError

    with pytest.raises(DeliberateError):
        await database.transaction(work)
    assert await stored(database) == []


async def test_nested_transaction_is_rolled_back_with_outer_one(database: Database) -> None:
    async def inner() -> None:
        await put(database, 2)

    async def work() -> None:
        await put(database, 1)
        await database.transaction(inner)
        raise DeliberateError

    with pytest.raises(DeliberateError):
        await database.transaction(work)
    assert await stored(database) == []


async def test_conflicting_transactions_are_retried_until_all_succeed(database: Database) -> None:
    await database.motor.things.insert_one({"_id": 1, "count": 0})

    async def work() -> None:
        thing = await database.motor.things.find_one({"_id": 1}, session=session())
        assert thing is not None
        changed = {"$set": {"count": thing["count"] + 1}}
        await database.motor.things.update_one({"_id": 1}, changed, session=session())

    await asyncio.gather(*(database.transaction(work) for _ in range(10)))
    assert await stored(database) == [{"_id": 1, "count": 10}]


async def test_transaction_with_permanent_error_is_not_retried(database: Database) -> None:
    await database.motor.things.insert_one({"_id": 1})
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        await put(database, 1)

    with pytest.raises(OperationFailure):
        await database.transaction(work)
    assert tries == 1


async def test_cancelled_transaction_is_rolled_back(database: Database) -> None:
    has_written = asyncio.Event()

    async def work() -> None:
        await put(database, 1)
        has_written.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(database.transaction(work))
    await has_written.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await database.transaction(lambda: put(database, 1))
    assert await stored(database) == [{"_id": 1}]
