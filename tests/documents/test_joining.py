"""Joined reads: each reader gets its own document as it is now, whatever becomes of the others."""

import asyncio
from typing import Any

import bson
import pytest
from pymongo.errors import ServerSelectionTimeoutError

from service.database import Database
from service.documents.joining import JoinedReads, joined
from service.errors import Busy
from tests.documents.absent import absent


async def queries(database: Database) -> int:
    status = await database.motor.command("serverStatus")
    count: int = status["opcounters"]["query"]
    return count


async def test_every_reader_gets_its_own_document(database: Database) -> None:
    documents = database.motor["numbers"]
    await documents.insert_many({"_id": number, "square": number**2} for number in range(300))
    reads = JoinedReads(documents)
    wanted = [number * 7919 % 400 - 50 for number in range(2000)]
    found = await asyncio.gather(*(reads.get(number) for number in wanted))
    expected = [{"_id": number, "square": number**2} if 0 <= number < 300 else None for number in wanted]
    assert found == expected


async def test_readers_who_wait_share_one_query(database: Database) -> None:
    documents = database.motor["numbers"]
    await documents.insert_many({"_id": number} for number in range(100))
    reads = JoinedReads(documents)
    before = await queries(database)
    await asyncio.gather(*(reads.get(number % 100) for number in range(1000)))
    assert await queries(database) - before <= 5


async def test_a_read_sees_every_write_that_was_acknowledged_before_it(database: Database) -> None:
    documents = database.motor["counters"]
    await documents.insert_one({"_id": "a", "n": 0})
    reads = JoinedReads(documents)
    is_over = False

    async def keep_reading() -> None:
        while not is_over:
            await reads.get("a")

    noise = [asyncio.create_task(keep_reading()) for _ in range(8)]
    for number in range(1, 101):
        await documents.update_one({"_id": "a"}, {"$set": {"n": number}})
        document = await reads.get("a")
        assert document == {"_id": "a", "n": number}
    is_over = True
    await asyncio.gather(*noise)


async def test_a_reader_who_leaves_harms_no_other(database: Database) -> None:
    documents = database.motor["numbers"]
    await documents.insert_many({"_id": number} for number in range(50))
    reads = JoinedReads(documents)
    tasks = [asyncio.create_task(reads.get(number)) for number in range(50)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in found[::2])
    assert found[1::2] == [{"_id": number} for number in range(1, 50, 2)]


async def test_a_document_that_cannot_be_decoded_fails_only_its_own_readers(database: Database) -> None:
    documents = database.motor["numbers"].with_options(
        codec_options=bson.CodecOptions[dict[str, Any]](datetime_conversion=bson.DatetimeConversion.DATETIME)
    )
    far = bson.DatetimeMS(2**60)
    await documents.insert_many([{"_id": 1}, {"_id": 2, "at": far}, {"_id": 3}])
    reads = JoinedReads(documents)
    found = await asyncio.gather(*(reads.get(number) for number in (1, 2, 3)), return_exceptions=True)
    assert (found[0], found[2]) == ({"_id": 1}, {"_id": 3})
    assert isinstance(found[1], bson.errors.InvalidBSON)


async def test_all_hear_of_a_database_that_is_down() -> None:
    down = absent()
    reads = JoinedReads(down.motor["numbers"])
    found = await asyncio.gather(*(reads.get(number) for number in range(10)), return_exceptions=True)
    assert all(isinstance(each, ServerSelectionTimeoutError) for each in found)
    down.close()


async def test_a_crowd_beyond_the_bound_is_turned_away(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joined, "MAXIMUM_WAITING", 20)
    reads = JoinedReads(database.motor["numbers"])
    found = await asyncio.gather(*(reads.get(number) for number in range(30)), return_exceptions=True)
    assert [type(each) for each in found] == [type(None)] * 20 + [Busy] * 10
    assert await reads.get(1) is None


async def test_a_batch_has_a_bounded_number_of_ids(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joined.Joined, "maximum_batch", 7)
    documents = database.motor["numbers"]
    await documents.insert_many({"_id": number} for number in range(30))
    reads = JoinedReads(documents)
    found = await asyncio.gather(*(reads.get(number) for number in range(30)))
    assert found == [{"_id": number} for number in range(30)]
