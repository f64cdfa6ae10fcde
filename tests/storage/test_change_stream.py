"""The change stream of a worker: whole batches and their times, who hears of what, and what interrupts it."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import ObjectId, Timestamp
from bson.raw_bson import RawBSONDocument
from pymongo.read_concern import ReadConcern
from structlog.testing import capture_logs

from service.dev import mongod
from service.storage import change_stream
from service.storage import database as databases
from service.storage.change_stream import (
    FULL_BYTES,
    MAXIMUM_BATCH,
    MAXIMUM_PENDING,
    Batch,
    Batches,
    Gap,
    HistoryLost,
    Reply,
    StoredChange,
    has_buffered,
    time_of,
)
from service.storage.database import Database
from service.storage.raw_bson import CODEC
from service.storage.transactions import session
from tests.pace import slowness

BOUND_S = 5.0
IMAGES: dict[str, Any] = {"changeStreamPreAndPostImages": {"enabled": True}}


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.interruptions: list[str] = []

    def changed(self, batch: Batch) -> None:
        self.batches.append(batch)

    def interrupted(self, why: str) -> None:
        self.interruptions.append(why)

    @property
    def changes(self) -> list[StoredChange]:
        return [change for batch in self.batches for change in batch.changes]

    def told(self) -> list[tuple[str, str, Any]]:
        return [(change.operation, change.collection, change.id) for change in self.changes]


async def until(is_true: Callable[[], bool], within_s: float = BOUND_S) -> None:
    deadline = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < deadline, f"not so after {within_s} s"
        await asyncio.sleep(0.01)


PUBLIC = ("things", "others")


@asynccontextmanager
async def listening(database: Database, collections: Collection[str] | None = None) -> AsyncIterator[Heard]:
    heard = Heard()
    database.stream.include(*(collections or ()))
    async with database.stream.running():
        with database.stream.listen(heard, collections):
            assert await database.stream.wait_until_open(BOUND_S)
            assert all(await asyncio.gather(*(database.stream.follow(name, BOUND_S) for name in PUBLIC)))
            await until(lambda: len(threads()) == 1)  # that which has read less has ended
            yield heard


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("changes")]


async def test_change_is_handed_over_with_both_images(database: Database) -> None:
    await database.motor.create_collection("things", **IMAGES)
    things = database.motor["things"]
    async with listening(database) as heard:
        await things.insert_one({"_id": 1, "title": "a"})
        await things.update_one({"_id": 1}, {"$set": {"title": "b"}})
        await things.replace_one({"_id": 1}, {"title": "c"})
        await things.delete_one({"_id": 1})
        await until(lambda: len(heard.changes) == 4)
    a, b, c = ({"_id": 1, "title": title} for title in "abc")
    assert [(each.operation, each.before, each.after) for each in heard.changes] == [
        ("insert", None, a),
        ("update", a, b),
        ("replace", b, c),
        ("delete", c, None),
    ]
    times = [each.time for each in heard.changes]
    assert times == sorted(set(times))


async def test_images_are_none_where_mongodb_keeps_none(database: Database) -> None:
    things = database.motor["things"]
    async with listening(database) as heard:
        await things.insert_one({"_id": 1, "title": "a"})
        await things.update_one({"_id": 1}, {"$set": {"title": "b"}})
        await things.replace_one({"_id": 1}, {"title": "c"})
        await things.delete_one({"_id": 1})
        await until(lambda: len(heard.changes) == 4)
    assert [(each.before, each.after) for each in heard.changes] == [
        (None, {"_id": 1, "title": "a"}),
        (None, None),
        (None, {"_id": 1, "title": "c"}),
        (None, None),
    ]


async def test_values_are_decoded_as_stores_decode_them(database: Database) -> None:
    document = {"_id": ObjectId(), "at": bson.decode(bson.encode({"at": change_stream_now()}), CODEC)["at"]}
    async with listening(database) as heard:
        await database.motor["things"].insert_one(document)
        await until(lambda: len(heard.changes) == 1)
    assert heard.changes[0].after == document
    assert heard.changes[0].after["at"].tzinfo is None


def change_stream_now() -> Any:
    return bson.DatetimeMS(1_796_073_226_123)


async def test_listener_hears_only_of_its_collections(database: Database) -> None:
    public, some = Heard(), Heard()
    database.stream.include("_some", "_others")
    async with database.stream.running():
        with database.stream.listen(public), database.stream.listen(some, ["_some"]):
            assert await database.stream.wait_until_open(BOUND_S)
            assert await database.stream.follow("things", BOUND_S)
            for name in ("_some", "_others", "_unknown", "things"):
                await database.motor[name].insert_one({"_id": 1})
            await until(lambda: bool(public.changes and some.changes))
            await until(lambda: public.batches[-1].time == some.batches[-1].time)
    assert public.told() == [("insert", "things", 1)]
    assert some.told() == [("insert", "_some", 1)]


async def test_listener_to_collections_that_are_not_included_is_refused(database: Database) -> None:
    with (
        pytest.raises(ValueError, match="does not include all of _others"),
        database.stream.listen(Heard(), ["_others"]),
    ):
        pass
    async with database.stream.running():
        with pytest.raises(RuntimeError):
            database.stream.include("_others")


async def test_quiet_stream_hands_over_empty_batches_and_its_time_goes_on(database: Database) -> None:
    async with listening(database) as heard:
        await until(lambda: len(heard.batches) == 1)
        await database.motor["_unheard"].insert_one({})
        now = await database.operation_time()
        await until(lambda: bool(heard.batches) and heard.batches[-1].time >= now)
        assert database.stream.position == heard.batches[-1].time
    assert heard.changes == []
    assert database.stream.position is None


async def test_position_is_operation_time_at_first_and_nothing_after_it_is_missed(database: Database) -> None:
    before = await database.operation_time()
    async with listening(database) as heard:
        position = database.stream.position
        assert position is not None
        assert position >= before
        await database.motor["things"].insert_one({"_id": 1})
        await until(lambda: heard.told() == [("insert", "things", 1)])


async def test_changes_of_a_transaction_come_in_one_batch_with_one_time(database: Database) -> None:
    await database.motor["things"].insert_one({"_id": 0})

    async def work() -> None:
        for number in (1, 2, 3):
            await database.motor["things"].insert_one({"_id": number}, session=session())

    async with listening(database) as heard:
        await database.transaction(work)
        await until(lambda: len(heard.changes) == 3)
        [batch] = [each for each in heard.batches if each.changes]
    assert {change.time for change in batch.changes} == {batch.time}


async def test_time_stays_before_a_transaction_larger_than_a_batch_until_it_is_complete(
    database: Database,
) -> None:
    count, text = 3000, "x" * 6_000
    await database.motor["things"].insert_one({"_id": -1})

    async def work() -> None:
        for first in range(0, count, 500):
            documents = [{"_id": number, "text": text} for number in range(first, first + 500)]
            await database.motor["things"].insert_many(documents, session=session())

    async with listening(database) as heard:
        await database.transaction(work)
        await until(lambda: len(heard.changes) == count, 60)
        parts = [each for each in heard.batches if each.changes]
        at = parts[-1].changes[-1].time
        await until(lambda: heard.batches[-1].time >= at)
    assert [change.id for change in heard.changes] == [*range(count)]
    assert len(parts) >= 3
    assert all(each.time < at for each in parts[:-1])
    times = [each.time for each in heard.batches]
    assert times == sorted(times)
    assert heard.interruptions == []


async def test_reply_of_mongodb_is_taken_whole(database: Database) -> None:
    """Keeps `has_buffered`, which looks into the driver."""
    delegate = database.motor.delegate
    with delegate.watch(max_await_time_ms=100) as stream:
        delegate["things"].insert_many({"_id": number} for number in range(50))
        assert stream.try_next() is not None
        is_buffered = []
        while has_buffered(stream):
            is_buffered.append(stream.try_next())
        assert len(is_buffered) == 49
        assert stream.try_next() is None


async def test_dropped_and_renamed_collections_are_told_as_a_whole(database: Database) -> None:
    async with listening(database) as heard:
        await database.motor["things"].insert_one({"_id": 1})
        await database.motor["things"].drop()
        await database.motor["things"].insert_one({"_id": 2})
        await until(lambda: len(heard.changes) == 3)
        assert heard.interruptions == []
        await database.motor["things"].rename("others")
        await until(lambda: heard.interruptions == ["invalidated"])  # nobody is told what `others` holds
        assert await database.stream.wait_until_open(BOUND_S)
        assert await database.stream.follow("things", BOUND_S)
        await database.motor["others"].insert_one({"_id": 3})
        await until(lambda: len(heard.changes) == 5)
    assert heard.told() == [
        ("insert", "things", 1),
        ("drop", "things", None),
        ("insert", "things", 2),
        ("drop", "things", None),
        ("insert", "others", 3),
    ]


async def test_stream_begins_anew_after_its_database_was_dropped(database: Database) -> None:
    async with listening(database) as heard:
        await database.motor["things"].insert_one({"_id": 1})
        await database.client.drop_database(database.motor.name)
        await until(lambda: heard.interruptions == ["invalidated"])
        assert await database.stream.wait_until_open(BOUND_S)
        assert await database.stream.follow("things", BOUND_S)
        await database.motor["things"].insert_one({"_id": 2})
        await until(lambda: ("insert", "things", 2) in heard.told())
    assert ("drop", "things", None) in heard.told()


async def test_change_too_large_for_a_reply_is_not_met_again(database: Database) -> None:
    await database.motor.create_collection("things", **IMAGES)
    await database.motor["things"].insert_one({"_id": 1, "text": "x" * 9_000_000})
    with capture_logs() as logs:
        async with listening(database) as heard:
            await database.motor["things"].update_one({"_id": 1}, {"$set": {"title": "b"}})
            await until(lambda: heard.interruptions == ["too_large"])
            assert await database.stream.wait_until_open(BOUND_S)
            assert await database.stream.follow("things", BOUND_S)
            await database.motor["things"].insert_one({"_id": 2})
            await until(lambda: heard.told() == [("insert", "things", 2)])
            assert heard.interruptions == ["too_large"]
    assert [(each["event"], each["why"]) for each in logs] == [("changes.interrupted", "too_large")]


async def test_failing_listener_is_logged_and_others_hear(database: Database) -> None:
    class Failing(Heard):
        def changed(self, batch: Batch) -> None:
            raise LookupError(batch)

    other = Heard()
    with capture_logs() as logs:
        async with database.stream.running():
            with database.stream.listen(Failing()), database.stream.listen(other):
                assert await database.stream.wait_until_open(BOUND_S)
                assert await database.stream.follow("things", BOUND_S)
                await database.motor["things"].insert_one({"_id": 1})
                await until(lambda: other.told() == [("insert", "things", 1)])
    assert {each["event"] for each in logs} == {"changes.listener_failed"}


async def test_nothing_more_is_read_while_batches_are_not_taken(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Reply] = []
    read_reply = change_stream.read_reply

    def counting(stream: Any) -> Reply:
        read.append(read_reply(stream))
        return read[-1]

    monkeypatch.setattr(change_stream, "read_reply", counting)
    delegate = database.motor.delegate
    async with listening(database) as heard:
        began = len(read)
        for number in range(MAXIMUM_PENDING + 4):  # the event loop has no turn meanwhile
            delegate["things"].insert_one({"_id": number})
            time.sleep(0.05)  # noqa: ASYNC251
        assert len(read) - began <= MAXIMUM_PENDING + 1
        await until(lambda: len(heard.changes) == MAXIMUM_PENDING + 4)


async def test_end_of_the_stream_is_quick_and_leaves_no_cursor(database: Database) -> None:
    before = await cursors(database)
    async with listening(database) as heard:
        while not await cursors(database) > before:  # noqa: ASYNC110  # in neither state on its way to another
            await asyncio.sleep(0.01)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 0.5 * slowness()
    assert heard.interruptions == []
    await until(lambda: not threads())
    assert await cursors(database) <= before


async def cursors(database: Database) -> set[int]:
    """Return the cursors that MongoDB keeps for streams of a database, idle or not."""
    stages: list[dict[str, Any]] = [
        {"$currentOp": {"idleCursors": True}},
        {"$match": {"ns": f"{database.motor.name}.$cmd.aggregate"}},
    ]
    admin = database.client.admin.with_options(read_concern=ReadConcern("local"))
    return {each["cursor"]["cursorId"] async for each in admin.aggregate(stages) if "cursor" in each}


async def test_outage_at_the_start_is_logged_once(unused_tcp_port: int) -> None:
    away = databases.connect(
        f"mongodb://127.0.0.1:{unused_tcp_port}",
        "nothing",
        pool_size=1,
        selection_timeout_s=0.05,
        operation_timeout_s=0.05,
    )
    heard = Heard()
    with capture_logs() as logs:
        async with away.stream.running():
            with away.stream.listen(heard):
                assert not await away.stream.wait_until_open(0.9)
    away.close()
    assert [(each["event"], each["why"]) for each in logs] == [("changes.interrupted", "outage")]
    assert heard.interruptions == []


# ---- followers


async def test_follower_has_all_changes_from_its_beginning_on(database: Database) -> None:
    database.stream.include("_some")
    async with database.stream.running(), database.stream.subscribed(["_some"]) as batches:
        for number in range(3):
            await database.motor["_some"].insert_one({"_id": number})
        seen: list[Any] = []
        async for batch in batches:
            seen += [change.id for change in batch.changes]
            if len(seen) == 3:
                break
    assert seen == [0, 1, 2]


async def test_follower_hears_about_once_per_second_that_nothing_happens(database: Database) -> None:
    database.stream.include("_some")
    async with database.stream.running(), database.stream.subscribed(["_some"]) as batches:
        began_s = time.monotonic()
        for _ in range(2):
            assert (await anext(batches)).changes == []
        assert 0.9 < time.monotonic() - began_s < BOUND_S


async def test_follower_has_a_gap_after_an_interruption(database: Database) -> None:
    database.stream.include("_some")
    async with database.stream.running(), database.stream.subscribed(["_some"]) as batches:
        await database.motor["_some"].insert_one({})
        await database.client.drop_database(database.motor.name)
        with pytest.raises(Gap, match="invalidated"):
            async for _ in batches:
                pass


async def test_follower_that_takes_nothing_has_a_gap(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_stream, "MAXIMUM_BUFFERED", 10)
    database.stream.include("_some")
    async with database.stream.running(), database.stream.subscribed(["_some"]) as batches:
        await database.motor["_some"].insert_many([{} for _ in range(11)])
        position = await database.operation_time()
        await until(lambda: (database.stream.position or Timestamp(1, 1)) >= position)
        with pytest.raises(Gap, match="overflow"):
            await anext(batches)


# ---- the times of batches


def event(number: int, at: int, operation: str = "insert", size: int = 0) -> RawBSONDocument:
    document = {"_id": number, "text": "x" * size}
    return RawBSONDocument(
        bson.encode(
            {
                "operationType": operation,
                "clusterTime": Timestamp(at, 1),
                "ns": {"db": "d", "coll": "things"},
                "documentKey": {"_id": number},
                "fullDocument": document,
            }
        )
    )


def token(at: int, increment: int = 1) -> dict[str, str]:
    return {"_data": f"82{at:08X}{increment:08X}2B0229296E04"}


def times(*replies: tuple[list[RawBSONDocument], dict[str, str]]) -> list[int]:
    batches = Batches(Timestamp(1, 1))
    added = [batches.add(Reply(*reply)).time.time for reply in replies]
    assert not batches.is_invalid
    return added


def full(at: int) -> list[RawBSONDocument]:
    return [event(number, at) for number in range(MAXIMUM_BATCH)]


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        ([([], token(1, 2))], [1]),
        ([([], token(1, 2)), ([], token(5))], [1, 5]),
        ([([event(1, 2)], token(2))], [2]),
        ([([event(1, 2), event(2, 3)], token(4))], [4]),
        ([(full(2), token(2)), ([], token(2))], [1, 2]),
        ([(full(2), token(2)), ([event(0, 2)], token(2))], [1, 2]),
        ([(full(2), token(2)), ([event(0, 3)], token(3))], [1, 3]),
        ([(full(2), token(2)), (full(2), token(2)), (full(3), token(3))], [1, 1, 2]),
        ([(full(2), token(3))], [3]),
        ([([event(1, 2), event(2, 3, size=FULL_BYTES)], token(3)), ([], token(3))], [2, 3]),
        ([([event(1, 2)], {"_data": "no time"}), ([], {"_data": "no time"})], [2, 2]),
    ],
)
def test_batch_tells_up_to_when_all_was_handed_over(
    replies: list[tuple[list[RawBSONDocument], dict[str, str]]], expected: list[int]
) -> None:
    assert times(*replies) == expected


def test_stream_that_begins_in_the_future_has_not_reached_it() -> None:
    batches = Batches(Timestamp(1, 1))
    assert batches.add(Reply([], token(1, 2))).time == Timestamp(1, 1)
    assert batches.add(Reply([], token(1, 3))).time == Timestamp(1, 3)


def test_transaction_that_goes_on_after_it_was_taken_for_complete_is_noticed() -> None:
    batches = Batches(Timestamp(1, 1))
    assert batches.add(Reply([event(1, 2)], token(2))).time == Timestamp(2, 1)
    assert not batches.is_invalid
    assert len(batches.add(Reply([event(2, 2)], token(2))).changes) == 1
    assert batches.is_invalid


async def test_token_has_the_time_of_its_event(database: Database) -> None:
    delegate = database.motor.delegate
    with delegate.watch(max_await_time_ms=100) as stream:
        delegate["things"].insert_one({"_id": 1})
        found = stream.try_next()
        assert time_of(stream.resume_token) == found["clusterTime"]
    assert time_of(None) is None
    assert time_of({"_data": "40000000"}) is None


# ---- replays


async def replayed(
    database: Database, since: Timestamp, until: Timestamp, timeout_s: float = 10
) -> list[tuple[str, Any]]:
    seen: list[tuple[str, Any]] = []
    async with aclosing(database.replay("things", since, until, timeout_s)) as batches:
        async for batch in batches:
            seen += [(change.operation, change.id) for change in batch.changes]
    return seen


async def test_replay_has_what_came_after_a_time_up_to_another(database: Database) -> None:
    marks = []
    for number in range(4):
        await database.motor["things"].insert_one({"_id": number})
        marks.append(await database.operation_time())
        await database.motor["others"].insert_one({"_id": number})
    assert await replayed(database, marks[0], marks[2]) == [("insert", 1), ("insert", 2)]
    assert await replayed(database, marks[3], await database.operation_time()) == []
    assert await replayed(database, marks[3], marks[3]) == []


async def test_replay_of_what_history_lacks_is_refused(database: Database) -> None:
    await database.motor.create_collection("things", **IMAGES)
    await database.motor["things"].insert_one({"_id": 1, "text": "x" * 9_000_000})
    since = await database.operation_time()
    await database.motor["things"].update_one({"_id": 1}, {"$set": {"title": "b"}})
    with pytest.raises(HistoryLost, match="too_large"):
        await replayed(database, since, await database.operation_time())


async def test_replay_across_the_end_of_a_collection_is_refused(database: Database) -> None:
    await database.motor["things"].insert_one({"_id": 1})
    since = await database.operation_time()
    await database.motor["things"].drop()
    await database.motor["things"].insert_one({"_id": 2})
    with pytest.raises(HistoryLost, match="invalidated"):
        await replayed(database, since, await database.operation_time())


async def test_replay_takes_no_longer_than_it_may(database: Database) -> None:
    since = await database.operation_time()
    late = Timestamp(since.time + 3600, 1)
    with pytest.raises(TimeoutError):
        await replayed(database, since, late, 0.5)


# ---- failures of MongoDB


@pytest.fixture(scope="module")
def testing_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = mongod.find()
    if server.kind != "mongod":
        pytest.skip("the substitute cannot be told to fail")
    told = replace(server, parameters=(*server.parameters, "enableTestCommands=1"))
    with mongod.start(tmp_path_factory.mktemp("streams"), server=told) as running:
        yield running.uri


@pytest.fixture
async def failing(testing_uri: str) -> AsyncIterator[tuple[Database, Callable[..., None]]]:
    """Provide a database, and a function that has its next `getMore` commands fail."""
    database = databases.connect(
        testing_uri, "failing", pool_size=5, selection_timeout_s=2, operation_timeout_s=2
    )
    admin = database.motor.delegate.client.admin

    def fail(times: int = 1, commands: tuple[str, ...] = ("getMore",), **data: Any) -> None:
        wanted = {"failCommands": [*commands], **data}
        mode: Any = {"times": times} if times else "off"
        admin.command("configureFailPoint", "failCommand", mode=mode, data=wanted)

    yield database, fail
    fail(0)
    database.close()


async def heard_after(database: Database, heard: Heard, key: Any) -> None:
    await database.motor["things"].insert_one({"_id": key})
    await until(lambda: ("insert", "things", key) in heard.told(), 10)


@pytest.mark.parametrize(
    "fault",
    [
        {"closeConnection": True},
        {"errorCode": 189},  # PrimarySteppedDown
        {"errorCode": 43},  # CursorNotFound
    ],
    ids=str,
)
async def test_what_the_driver_resumes_interrupts_nobody(
    failing: tuple[Database, Callable[..., None]], fault: dict[str, Any]
) -> None:
    database, fail = failing
    async with listening(database) as heard:
        await heard_after(database, heard, ObjectId())
        fail(errorLabels=["ResumableChangeStreamError"] * ("errorCode" in fault), **fault)
        await heard_after(database, heard, ObjectId())
    assert heard.interruptions == []


async def test_stream_is_resumed_where_it_was_while_mongodb_is_away_for_a_while(
    failing: tuple[Database, Callable[..., None]],
) -> None:
    database, fail = failing
    async with listening(database) as heard:
        await heard_after(database, heard, ObjectId())
        fail(1000, ("getMore", "aggregate"), closeConnection=True)
        await until(lambda: not database.stream.is_alive, 10)
        fail(0)
        await heard_after(database, heard, ObjectId())
        assert database.stream.is_alive
    assert heard.interruptions == []


@pytest.mark.parametrize(
    ("code", "why"), [(286, "history"), (280, "history"), (10334, "too_large"), (1, "error")]
)
async def test_what_cannot_be_resumed_interrupts_and_stream_begins_anew(
    failing: tuple[Database, Callable[..., None]], code: int, why: str
) -> None:
    database, fail = failing
    with capture_logs() as logs:
        async with listening(database) as heard:
            await heard_after(database, heard, ObjectId())
            fail(errorCode=code)
            await until(lambda: heard.interruptions == [why])
            assert await database.stream.wait_until_open(BOUND_S)
            assert await database.stream.follow("things", BOUND_S)
            await heard_after(database, heard, ObjectId())
    assert [(each["event"], each["why"]) for each in logs] == [("changes.interrupted", why)]


async def test_history_lost_is_told_to_who_replays(failing: tuple[Database, Callable[..., None]]) -> None:
    database, fail = failing
    now = await database.operation_time()
    fail(1, ("aggregate",), errorCode=286)
    with pytest.raises(HistoryLost, match="history"):
        await replayed(database, Timestamp(now.time - 10, 1), now)


async def test_frozen_server_does_not_hold_the_end(tmp_path: Path) -> None:
    with mongod.start(tmp_path) as server:
        database = databases.connect(
            server.uri, "frozen", pool_size=5, selection_timeout_s=2, operation_timeout_s=2
        )
        async with listening(database):
            os.kill(server.pid, signal.SIGSTOP)
            began_s = time.monotonic()
        took_s = time.monotonic() - began_s
        os.kill(server.pid, signal.SIGCONT)
        database.close()
    assert took_s < 2


async def test_collection_is_followed_from_then_on_without_a_gap_for_others(database: Database) -> None:
    async with listening(database) as heard:
        for number in range(60):
            if number % 20 == 10:
                since = await database.stream.follow(f"more_{number}", BOUND_S)
                assert since is not None
                await database.motor[f"more_{number}"].insert_one({"_id": number})
            await database.motor["things"].insert_one({"_id": number})
        await until(lambda: len(heard.changes) >= 63)
    assert [each.id for each in heard.changes if each.collection == "things"] == [*range(60)]
    assert [each.collection for each in heard.changes if each.id in {10, 30, 50}][::2] == [
        "more_10",
        "more_30",
        "more_50",
    ]
    assert heard.interruptions == []


async def test_collection_that_is_not_followed_is_not_told(database: Database) -> None:
    async with listening(database) as heard:
        await database.motor["unwatched"].insert_one({"_id": 1})
        await database.motor["things"].insert_one({"_id": 2})
        await until(lambda: bool(heard.changes))
        database.stream.unfollow("others")
        await database.stream.follow("more", BOUND_S)
        await database.motor["others"].insert_one({"_id": 3})
        await database.motor["things"].insert_one({"_id": 4})
        await until(lambda: len(heard.changes) == 2)
    assert [each.id for each in heard.changes] == [2, 4]


async def test_follow_gives_up_while_the_stream_is_not_open(database: Database) -> None:
    assert await database.stream.follow("things", 0.01) is None
