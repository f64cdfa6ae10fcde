"""Joined reads: each reader gets its own document as it is now, whatever becomes of the others."""

import asyncio
from typing import Any
from uuid import UUID

import bson
import pytest
from pymongo.errors import OperationFailure, ServerSelectionTimeoutError

from service.kit.errors import Busy
from service.storage import batched_reads, batcher
from service.storage.batched_reads import BatchedReads
from service.storage.database import Database
from tests.storage.absent import absent


async def queries(database: Database) -> int:
    status = await database.motor.command("serverStatus")
    count: int = status["opcounters"]["query"]
    return count


async def test_each_reader_gets_its_own_document(database: Database) -> None:
    documents = database.motor["numbers"]
    await documents.insert_many({"_id": number, "square": number**2} for number in range(300))
    reads = BatchedReads(documents)
    wanted = [number * 7919 % 400 - 50 for number in range(2000)]
    found = await asyncio.gather(*(reads.get(number) for number in wanted))
    expected = [{"_id": number, "square": number**2} if 0 <= number < 300 else None for number in wanted]
    assert found == expected


async def test_concurrent_reads_share_one_query(database: Database) -> None:
    documents = database.motor["numbers"]
    await documents.insert_many({"_id": number} for number in range(100))
    reads = BatchedReads(documents)
    before = await queries(database)
    await asyncio.gather(*(reads.get(number % 100) for number in range(1000)))
    assert await queries(database) - before <= 5


async def test_read_sees_every_acknowledged_write(database: Database) -> None:
    documents = database.motor["counters"]
    await documents.insert_one({"_id": "a", "n": 0})
    reads = BatchedReads(documents)
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


async def test_cancelled_reader_does_not_affect_others(database: Database) -> None:
    documents = database.motor["numbers"]
    await documents.insert_many({"_id": number} for number in range(50))
    reads = BatchedReads(documents)
    tasks = [asyncio.create_task(reads.get(number)) for number in range(50)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in found[::2])
    assert found[1::2] == [{"_id": number} for number in range(1, 50, 2)]


async def test_undecodable_document_fails_only_its_own_readers(database: Database) -> None:
    documents = database.motor["numbers"].with_options(
        codec_options=bson.CodecOptions[dict[str, Any]](datetime_conversion=bson.DatetimeConversion.DATETIME)
    )
    far = bson.DatetimeMS(2**60)
    await documents.insert_many([{"_id": 1}, {"_id": 2, "at": far}, {"_id": 3}])
    reads = BatchedReads(documents)
    found = await asyncio.gather(*(reads.get(number) for number in (1, 2, 3)), return_exceptions=True)
    assert (found[0], found[2]) == ({"_id": 1}, {"_id": 3})
    assert isinstance(found[1], bson.errors.InvalidBSON)


async def test_unreachable_database_fails_all_callers() -> None:
    down = absent()
    reads = BatchedReads(down.motor["numbers"])
    found = await asyncio.gather(*(reads.get(number) for number in range(10)), return_exceptions=True)
    assert all(isinstance(each, ServerSelectionTimeoutError) for each in found)
    down.close()


async def test_calls_above_queue_limit_are_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher, "MAXIMUM_WAITING", 20)
    reads = BatchedReads(database.motor["numbers"])
    found = await asyncio.gather(*(reads.get(number) for number in range(30)), return_exceptions=True)
    assert [type(each) for each in found] == [type(None)] * 20 + [Busy] * 10
    assert await reads.get(1) is None


async def test_ids_per_batch_are_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batcher.Batcher, "maximum_batch", 7)
    documents = database.motor["numbers"]
    await documents.insert_many({"_id": number} for number in range(30))
    reads = BatchedReads(documents)
    found = await asyncio.gather(*(reads.get(number) for number in range(30)))
    assert found == [{"_id": number} for number in range(30)]


# --- of several collections


def reads_of(database: Database, count: int) -> list[BatchedReads]:
    return [BatchedReads(database.motor[f"c{number}"]) for number in range(count)]


async def test_reads_of_many_collections_each_get_their_own_documents(database: Database) -> None:
    count = 2 * batched_reads.MAXIMUM_COLLECTIONS + 1  # so that the last is read alone
    for number in range(count - 1):  # of the last there is none
        await database.motor[f"c{number}"].insert_many(
            {"_id": each, "of": number} for each in range(1 + number % 3)
        )
    every = reads_of(database, count)
    found = await asyncio.gather(*(every[number].get(each) for each in range(4) for number in range(count)))
    assert found == [
        {"_id": each, "of": number} if each <= number % 3 and number < count - 1 else None
        for each in range(4)
        for number in range(count)
    ]


async def test_reads_of_several_collections_share_queries(database: Database) -> None:
    for number in range(20):
        await database.motor[f"c{number}"].insert_many({"_id": each} for each in range(5))
    every = reads_of(database, 20)

    async def commands() -> int:
        counted = (await database.motor.command("serverStatus"))["metrics"]["commands"]
        return int(counted["find"]["total"] + counted["aggregate"]["total"])

    before = await commands()
    found = await asyncio.gather(*(every[number % 20].get(number // 20) for number in range(100)))
    assert await commands() - before <= 3
    assert found == [{"_id": number // 20} for number in range(100)]


async def test_dropped_collection_does_not_affect_reads_of_others(database: Database) -> None:
    for number in range(6):
        await database.motor[f"c{number}"].insert_one({"_id": 1, "of": number})
    every = reads_of(database, 6)
    is_over = False

    async def keep_dropping() -> None:
        while not is_over:
            await database.motor["c0"].drop()
            await database.motor["c0"].insert_one({"_id": 1, "of": 0})

    noise = asyncio.create_task(keep_dropping())
    for _ in range(40):
        first, *others = await asyncio.gather(*(reads.get(1) for reads in every), return_exceptions=True)
        assert others == [{"_id": 1, "of": number} for number in range(1, 6)]
        assert first in (None, {"_id": 1, "of": 0}) or isinstance(first, OperationFailure)
    is_over = True
    await noise


@pytest.mark.parametrize("count", [1, 2, 5, batched_reads.MAXIMUM_COLLECTIONS])
async def test_failing_collection_does_not_affect_reads_of_others(database: Database, count: int) -> None:
    """What fails stands among others, first, or by itself in the last query."""
    await database.motor["c0"].insert_one({"_id": 1})
    await database.motor.command(
        {"create": "c_wrong", "viewOn": "c0", "pipeline": [{"$addFields": {"n": {"$divide": ["$_id", 0]}}}]}
    )
    every = reads_of(database, count)
    for number in range(1, count):
        await database.motor[f"c{number}"].insert_one({"_id": 1})
    wrong = BatchedReads(database.motor["c_wrong"])
    for order in ([wrong, *every], [*every, wrong]):
        found = await asyncio.gather(*(reads.get(1) for reads in order), return_exceptions=True)
        outcomes = [type(each) for each in found]
        assert outcomes.count(OperationFailure) == 1
        assert isinstance(found[order.index(wrong)], OperationFailure)
        assert [each for each in found if isinstance(each, dict)] == [{"_id": 1}] * count


async def test_unencodable_id_does_not_affect_reads_of_other_collections(database: Database) -> None:
    every = reads_of(database, 3)
    for number in range(3):
        await database.motor[f"c{number}"].insert_one({"_id": 1})
    found = await asyncio.gather(
        every[0].get(1), every[1].get(2**70), every[2].get(1), return_exceptions=True
    )
    assert (found[0], found[2]) == ({"_id": 1}, {"_id": 1})
    assert isinstance(found[1], OverflowError)


async def test_documents_too_large_for_one_reply_are_all_read(database: Database) -> None:
    text = "x" * (6 * 1024 * 1024)
    every = reads_of(database, 3)
    for number in range(3):
        await database.motor[f"c{number}"].insert_one({"_id": number, "text": text})
    found = await asyncio.gather(*(reads.get(number) for number, reads in enumerate(every)))
    assert [(each or {}).get("_id") for each in found] == [0, 1, 2]


# --- ids of every kind


ASKED_AND_STORED: list[tuple[Any, Any]] = [
    (bson.ObjectId("5" * 24), bson.ObjectId("5" * 24)),
    (UUID(int=7), UUID(int=7)),
    ("text", "text"),
    ("é" * 200, "é" * 200),
    (1, 1),
    (2, 2.0),
    (3, bson.Int64(3)),
    (4, bson.Decimal128("4.00")),
    (2**53 - 1, float(2**53 - 1)),
    (-5, bson.Int64(-5)),
]


@pytest.mark.parametrize("is_together", [False, True], ids=["one collection", "two"])
async def test_ids_of_every_type_are_found(database: Database, is_together: bool) -> None:
    documents = database.motor["ids"]
    await documents.insert_many({"_id": stored, "n": n} for n, (_, stored) in enumerate(ASKED_AND_STORED))
    reads, others = BatchedReads(documents), BatchedReads(database.motor["others"])
    asked = [asked for asked, _ in ASKED_AND_STORED]
    found = await asyncio.gather(
        *map(reads.get, asked), *([others.get(1), others.get("text")] if is_together else [])
    )
    assert [(each or {}).get("n") for each in found[: len(asked)]] == list(range(len(asked)))
    assert found[len(asked) :] == ([None, None] if is_together else [])
    missing = await asyncio.gather(*map(reads.get, ["5" * 24, str(UUID(int=7)), "1", 6, bson.ObjectId()]))
    assert missing == [None] * 5


async def test_raw_read_returns_stored_bytes(database: Database) -> None:
    documents = database.motor["raw"]
    stored = {"_id": 1, "far": bson.DatetimeMS(2**60), "in": {"": [bson.Regex("x", "i")]}}
    await documents.insert_one(stored)
    raw = await asyncio.gather(*(BatchedReads(documents).get_raw(number) for number in (1, 2)))
    assert raw == [bson.encode(stored), None]
