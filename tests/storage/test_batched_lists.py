"""Joined lists: each gets its own result as it is now, whatever becomes of the others."""

import asyncio
from time import monotonic
from typing import Any

import bson
import pytest
from pymongo.errors import OperationFailure, ServerSelectionTimeoutError

from service.kit.errors import Busy, DatabaseUnavailable
from service.storage import batched_lists, batcher
from service.storage.batched_lists import BatchedLists
from service.storage.batcher import SpanInfo
from service.storage.database import Database
from service.storage.thread_pools import ThreadPool, Work
from tests.pace import slowness, within
from tests.storage.absent import absent
from tests.storage.listener import connect
from tests.storage.queries import Query

NAMES = ("a", "b", "c", "d")
TOLD = SpanInfo("find", {})
LARGE = "x" * (2 * 1024 * 1024)


def sleeping(milliseconds: int) -> dict[str, Any]:
    body = f"function() {{ sleep({milliseconds}); return true }}"
    return {"$expr": {"$function": {"body": body, "args": [], "lang": "js"}}}


class Shelf:
    """Lists of a test's database, and what became of them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.joined = BatchedLists(database.pools)
        self.sizes: list[int] = []
        database.pools.on_done = self._note

    def _note(self, _: ThreadPool, work: Work, __: float) -> None:
        self.sizes.append(work.size)

    def find(self, name: str, where: dict[str, Any], shape: str = "", **options: Any) -> Query:
        documents = self.database.motor[name].delegate
        return Query(documents, where, shape=f"{name} {shape}", **{"limit": 100, **options})

    async def ids(self, find: Query) -> list[Any]:
        return [bson.decode(each)["_id"] for each in await self.joined.read(find.documents, find, TOLD)]

    async def all_ids(self, finds: list[Query]) -> list[Any]:
        return list(await asyncio.gather(*map(self.ids, finds), return_exceptions=True))


@pytest.fixture
async def shelf(database: Database, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Provide lists none of which is slow, on a slow machine either, but those that sleep."""
    monkeypatch.setattr(batched_lists, "TOGETHER_S", 20.0)
    monkeypatch.setattr(batched_lists, "SLOWISH_S", 0.1)
    monkeypatch.setattr(batched_lists, "SLOW_S", 0.25)
    for name in NAMES:
        await database.motor[name].insert_many({"_id": number, "n": number % 7} for number in range(40))
    return Shelf(database)


# --- what each gets


async def test_each_list_returns_its_own_documents(shelf: Shelf) -> None:
    asked = [
        (NAMES[number % 4], number % 7, number % 3, -1 if number % 2 else 1, 1 + number % 5)
        for number in range(400)
    ]
    found = await shelf.all_ids(
        [
            shelf.find(name, {"n": n}, keys=[("_id", direction)], skip=skip, limit=limit)
            for name, n, skip, direction, limit in asked
        ]
    )
    assert found == [
        [number for number in range(40) if number % 7 == n][::direction][skip : skip + limit]
        for _, n, skip, direction, limit in asked
    ]
    assert sum(shelf.sizes) == 400
    assert max(shelf.sizes) <= batched_lists.MAXIMUM_TOGETHER
    assert len(shelf.sizes) < 100, "they share queries"


async def test_identical_lists_share_one_query(shelf: Shelf, database: Database) -> None:
    same, other = shelf.find("a", {"n": 1}), shelf.find("b", {"n": 2})
    before = (await database.motor.command("serverStatus"))["opcounters"]
    answers = await asyncio.gather(
        *(shelf.joined.read(find.documents, find, TOLD) for find in [same, same, same, other, same, other])
    )
    assert all(answer is answers[0] for answer in (answers[1], answers[2], answers[4]))
    assert answers[5] is answers[3] is not answers[0]
    only = await asyncio.gather(*(shelf.joined.read(same.documents, same, TOLD) for _ in range(10)))
    assert all(answer is only[0] for answer in only)
    after = (await database.motor.command("serverStatus"))["opcounters"]
    assert after["query"] - before["query"] <= 1, "the same asked for alone"
    assert shelf.sizes == [6, 10]


async def test_list_includes_every_acknowledged_write(shelf: Shelf) -> None:
    documents = shelf.database.motor["a"]
    is_over = False

    async def keep_reading(name: str) -> None:
        while not is_over:
            await shelf.ids(shelf.find(name, {}))

    noise = [asyncio.create_task(keep_reading(NAMES[number % 4])) for number in range(12)]
    cached = shelf.find("a", {"_id": {"$gte": 100}}, keys=[("_id", 1)])
    for number in range(100, 130):
        await documents.insert_one({"_id": number})
        assert await shelf.ids(cached) == list(range(100, number + 1))
    is_over = True
    await asyncio.gather(*noise)


async def test_cancelled_caller_does_not_affect_others(shelf: Shelf) -> None:
    same = shelf.find("a", {"_id": 0})
    finds = [same if number % 5 == 0 else shelf.find("a", {"_id": number % 40}) for number in range(60)]
    tasks = [asyncio.create_task(shelf.ids(find)) for find in finds]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in found[::3])
    kept = [number for number in range(60) if number % 3]
    assert [found[number] for number in kept] == [[number % 40 if number % 5 else 0] for number in kept]


async def test_caller_cancelled_during_query_does_not_affect_others(shelf: Shelf) -> None:
    finds = [shelf.find("a", {"_id": 1, **sleeping(60)}), *(shelf.find("b", {"_id": 1}) for _ in range(8))]
    tasks = [asyncio.create_task(shelf.ids(find)) for find in finds]
    await asyncio.sleep(0.02)
    for task in tasks[::2]:
        task.cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert found[1::2] == [[1]] * 4
    assert all(isinstance(each, asyncio.CancelledError) for each in found[::2])


# --- slow, large and wrong ones


async def test_slow_list_delays_others_once_and_briefly(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes far longer than lists may take together."""
    monkeypatch.setattr(batched_lists, "TOGETHER_S", 0.15)

    async def took_s(find: Query) -> float:
        began_s = monotonic()
        assert await shelf.ids(find) == [1]
        return monotonic() - began_s

    async def round_s() -> tuple[float, float]:
        slow = shelf.find("a", {"_id": 1, **sleeping(500)}, "slow")
        slow_s, *others_s = await asyncio.gather(
            took_s(slow), *(took_s(shelf.find(NAMES[number % 4], {"_id": 1})) for number in range(10))
        )
        return slow_s, max(others_s)

    slow_s, others_s = await round_s()
    assert slow_s >= 0.5
    assert others_s < (batched_lists.TOGETHER_S + 0.25) * slowness(), "they do not wait until it is done"
    slow_s, others_s = await round_s()
    assert slow_s >= 0.5
    assert others_s < (batched_lists.TOGETHER_S + 0.1) * slowness(), "from then on it is read alone"


async def test_list_that_becomes_fast_is_batched_again(shelf: Shelf) -> None:
    slow = shelf.find("a", {"_id": 1, **sleeping(300)}, "its shape")
    quick = shelf.find("a", {"_id": 1}, "its shape")
    others = [shelf.find("b", {"_id": number}) for number in range(5)]

    async def sizes(find: Query) -> list[int]:
        shelf.sizes.clear()
        assert await shelf.all_ids([find, *others]) == [[1], *([number] for number in range(5))]
        return sorted(shelf.sizes)

    assert await sizes(slow) == [6], "it fits into what they may take together"
    assert await shelf.ids(slow) == [1]
    assert await sizes(slow) == [1, 5]
    for _ in range(batched_lists.MAXIMUM_STRIKES - batched_lists.STRIKES + 1):
        assert await sizes(quick) == [1, 5], (
            "one that is slow now and then is not tried with others each time"
        )
    assert await sizes(quick) == [6]


async def test_equal_lists_share_one_result(shelf: Shelf) -> None:
    alike = [shelf.find("a", {"_id": 1 + number % 2}) for number in range(10)]
    assert len({find.key() for find in alike}) == 2
    found = await asyncio.gather(*(shelf.joined.read(find.documents, find, TOLD) for find in alike))
    assert len({id(each) for each in found}) == 2
    assert [bson.decode(each[0])["_id"] for each in found] == [1, 2] * 5


async def test_invalid_list_fails_alone(shelf: Shelf) -> None:
    wrong = shelf.find("a", {"n": {"$what": 1}}, "wrong")
    others = [shelf.find(NAMES[number % 4], {"_id": number}) for number in range(10)]
    for _ in range(3):
        failure, *found = await shelf.all_ids([wrong, *others])
        assert isinstance(failure, OperationFailure)
        assert found == [[number] for number in range(10)]
    assert shelf.sizes[-2:] in ([1, 10], [10, 1]), "they are read together again"


@pytest.mark.parametrize("value", [2**70, object()], ids=["no number of BSON's", "no value of BSON's"])
async def test_list_that_cannot_be_encoded_fails_alone(shelf: Shelf, value: Any) -> None:
    wrong = shelf.find("a", {"n": value}, "wrong")
    failure, *found = await shelf.all_ids([wrong, *(shelf.find("b", {"_id": n}) for n in range(10))])
    assert isinstance(failure, OverflowError | bson.errors.InvalidDocument)
    assert found == [[number] for number in range(10)]


async def test_list_that_cannot_be_batched_runs_alone(shelf: Shelf) -> None:
    """MongoDB takes such an operator of a query alone."""
    odd = shelf.find("a", {"$where": "this._id == 3"}, "odd")
    others = [shelf.find("b", {"_id": number}) for number in range(5)]
    assert await shelf.all_ids([odd, *others]) == [[3], *([number] for number in range(5))]


async def test_large_lists_run_alone(shelf: Shelf, database: Database) -> None:
    await database.motor["large"].insert_many({"_id": number, "text": LARGE} for number in range(10))
    large = [shelf.find("large", {"_id": {"$in": [n, n + 1]}}, "large") for n in range(9)]
    small = [shelf.find("a", {"_id": number}) for number in range(9)]
    expected = [*([n, n + 1] for n in range(9)), *([n] for n in range(9))]
    for _ in range(2):
        shelf.sizes.clear()
        assert await shelf.all_ids([*large, *small]) == expected
    assert sorted(shelf.sizes) == [*[1] * 9, 9], "what is large is known by then"
    status = await database.motor.command("serverStatus")
    assert status["metrics"]["cursor"]["open"]["total"] <= 2, "but those of change streams"


async def test_number_of_remembered_slow_lists_is_bounded(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batched_lists, "MAXIMUM_KNOWN", 5)
    monkeypatch.setattr(batched_lists, "SLOW_S", 0.0)
    shelf = Shelf(shelf.database)
    for number in range(12):
        await shelf.ids(shelf.find("a", {"_id": 1}, f"shape {number}"))
    last = [shelf.find("a", {"_id": number}, f"shape {7 + number}") for number in range(5)]
    first = [shelf.find("a", {"_id": number}, f"shape {number}") for number in range(7)]
    shelf.sizes.clear()
    await shelf.all_ids([*last, *first])
    assert sorted(shelf.sizes) == [1, 1, 1, 1, 1, 7]


# --- the crowd, and the end


async def test_batch_size_is_bounded(shelf: Shelf, mongodb_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BatchedLists, "maximum_batch", 5)
    opened, commands = connect(mongodb_uri, shelf.database.motor.name)
    noted = Shelf(opened)
    finds = [noted.find(NAMES[number % 4], {"_id": number % 40}) for number in range(100)]
    assert await noted.all_ids(finds) == [[number % 40] for number in range(100)]
    assert max(map(_parts, commands.sent)) == 5
    assert sum(map(_parts, commands.sent)) == 100
    opened.close()


def _parts(event: Any) -> int:
    """Count the queries of a command."""
    if event.command_name != "aggregate":
        return int(event.command_name == "find")
    return 1 + sum("$unionWith" in stage for stage in event.command["pipeline"])


async def test_calls_above_queue_limit_are_refused(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batcher, "MAXIMUM_WAITING", 20)
    found = await shelf.all_ids([shelf.find("a", {"_id": 1}) for _ in range(30)])
    assert found[:20] == [[1]] * 20
    assert [type(each) for each in found[20:]] == [Busy] * 10


async def test_unreachable_database_fails_all_callers() -> None:
    down = absent()
    shelf = Shelf(down)
    found = await shelf.all_ids([shelf.find(NAMES[number % 4], {"_id": number}) for number in range(12)])
    assert {type(each) for each in found} <= {ServerSelectionTimeoutError, DatabaseUnavailable}
    assert len(found) == 12
    down.close()


async def test_closed_database_fails_all_callers(database: Database) -> None:
    shelf = Shelf(database)
    assert await shelf.ids(shelf.find("a", {})) == []
    database.close()
    with within(2):
        found = await shelf.all_ids([shelf.find("a", {"_id": number}) for number in range(50)])
    assert [type(each) for each in found] == [DatabaseUnavailable] * 50
