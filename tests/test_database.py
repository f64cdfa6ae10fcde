"""Transactions: all or nothing, tried again after another writer, joined by what they call."""

import asyncio
from typing import Any

import pytest
from pymongo.errors import OperationFailure

from service.storage.database import Database
from service.storage.transactions import session


class Mishap(Exception):
    """Something that goes wrong in the middle of the work."""


async def stored(database: Database) -> list[dict[str, Any]]:
    return await database.motor.things.find(sort=[("_id", 1)]).to_list(100)


async def put(database: Database, thing_id: int) -> None:
    await database.motor.things.insert_one({"_id": thing_id}, session=session())


async def test_what_is_done_in_a_transaction_is_there_after_it(database: Database) -> None:
    async def work() -> str:
        await put(database, 1)
        assert await stored(database) == []
        await put(database, 2)
        return "done"

    assert await database.transaction(work) == "done"
    assert await stored(database) == [{"_id": 1}, {"_id": 2}]
    assert session() is None


async def test_a_failure_leaves_nothing_behind(database: Database) -> None:
    async def work() -> None:
        await put(database, 1)
        raise Mishap

    with pytest.raises(Mishap):
        await database.transaction(work)
    assert await stored(database) == []


async def test_a_transaction_within_a_transaction_is_a_part_of_it(database: Database) -> None:
    async def inner() -> None:
        await put(database, 2)

    async def work() -> None:
        await put(database, 1)
        await database.transaction(inner)
        raise Mishap

    with pytest.raises(Mishap):
        await database.transaction(work)
    assert await stored(database) == []


async def test_those_who_meet_are_tried_again_until_all_have_done_their_work(database: Database) -> None:
    await database.motor.things.insert_one({"_id": 1, "count": 0})

    async def work() -> None:
        thing = await database.motor.things.find_one({"_id": 1}, session=session())
        assert thing is not None
        changed = {"$set": {"count": thing["count"] + 1}}
        await database.motor.things.update_one({"_id": 1}, changed, session=session())

    await asyncio.gather(*(database.transaction(work) for _ in range(10)))
    assert await stored(database) == [{"_id": 1, "count": 10}]


async def test_an_error_that_would_come_again_is_not_tried_again(database: Database) -> None:
    await database.motor.things.insert_one({"_id": 1})
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        await put(database, 1)

    with pytest.raises(OperationFailure):
        await database.transaction(work)
    assert tries == 1


async def test_a_caller_who_gives_up_leaves_nothing_behind(database: Database) -> None:
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
