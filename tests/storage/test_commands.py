"""Queries in BSON give what the driver's own cursors give, alone and together, and leave nothing behind."""

import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import bson
import pymongo
import pytest
import pytest_asyncio
from bson import Binary, CodecOptions, DatetimeMS, Decimal128, Int64, ObjectId, Regex, Timestamp
from bson.binary import UuidRepresentation
from bson.raw_bson import RawBSONDocument
from pymongo import ReadPreference
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from service.storage import commands as module
from service.storage.commands import CutShort
from service.storage.database import Database
from tests.pace import within
from tests.storage.absent import absent
from tests.storage.listener import Commands, connect
from tests.storage.queries import Query, alone, together

RAW: "CodecOptions[RawBSONDocument]" = CodecOptions(
    document_class=RawBSONDocument, uuid_representation=UuidRepresentation.STANDARD
)
IDS: list[Any] = [
    1,
    2.5,
    Int64(2**53 + 1),
    Decimal128("7.10"),
    "text",
    "é\u0000x",
    "",
    ObjectId("5" * 24),
    UUID(int=7),
    Binary(b"\x01" * 16, 3),
    b"bytes",
    True,
    None,
    DatetimeMS(0),
    DatetimeMS(-(2**62)),
    Timestamp(1, 2),
    {"a": 1, "b": {"c": [1]}},
    {},
    bson.MinKey(),
    bson.MaxKey(),
]
SLEEP: dict[str, Any] = {
    "$expr": {"$function": {"body": "function() { sleep(200); return true }", "args": [], "lang": "js"}}
}
LARGE = "x" * (4_300_000)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def opened(mongodb_uri: str) -> AsyncIterator[tuple[Database, Commands]]:
    name = f"finds_{uuid4().hex[:12]}"
    database, commands = connect(mongodb_uri, name)
    fill(database.client.delegate[name])
    yield database, commands
    await database.client.drop_database(name)
    database.close()


@pytest.fixture
def data(opened: tuple[Database, Commands]) -> Any:
    """Provide the driver's synchronous database."""
    return opened[0].motor.delegate


@pytest.fixture
def commands(opened: tuple[Database, Commands]) -> Commands:
    opened[1].sent.clear()
    return opened[1]


def fill(data: Any) -> None:
    chance = random.Random(7)  # noqa: S311  # the same documents in every run
    for name, count in (("many", 150), ("few", 7)):
        data[name].insert_many(
            {
                "_id": number,
                "a": chance.choice([None, 1, 2.0, Int64(3), "x", [1, "x"], {"b": 2}]),
                "b": {"c": number % 5, "": UUID(int=number)},
                "n": number % 10,
                "d": chance.choice([Decimal128("1.0"), Regex("x", "i"), Timestamp(1, 1), DatetimeMS(2**61)]),
            }
            for number in range(count)
        )
    data["ids"].insert_many({"_id": each, "was": str(each)} for each in IDS)
    data["large"].insert_many({"_id": number, "text": LARGE} for number in range(4))
    data.create_collection("empty")


def by_driver(find: Query) -> list[bytes]:
    raw = find.documents.with_options(codec_options=RAW)
    cursor = raw.find(
        find.where, find.projection, sort=list(find.keys) or None, skip=find.skip, limit=find.limit
    )
    return [bytes(document.raw) for document in cursor]


def open_cursors(data: Any) -> int:
    count: int = data.command("serverStatus")["metrics"]["cursor"]["open"]["total"]
    return count


def random_find(data: Any, chance: random.Random) -> Query:
    where: dict[str, Any] = chance.choice(
        [
            {},
            {"n": chance.randrange(10)},
            {"_id": {"$in": [chance.randrange(200) for _ in range(5)]}},
            {"b.": UUID(int=chance.randrange(150))},
            {"$or": [{"a": "x"}, {"b.c": {"$gte": chance.randrange(5)}}]},
            {"_id": {"$in": []}},
            {"d": Regex("x", "i")},
        ]
    )
    keys = chance.choice([[], [("_id", 1)], [("_id", -1)], [("n", -1), ("_id", 1)], [("a", 1), ("_id", -1)]])
    return Query(
        data[chance.choice(["many", "many", "few", "ids", "empty", "absent"])],
        where,
        keys=keys,
        skip=chance.choice([0, 0, 3, 500]),
        limit=chance.choice([0, 1, 2, 21, 101, 1000]),
        projection=chance.choice([None, None, {"_id": 1}, {"a": 1, "b.c": 1}, {"b": 0}, {"_id": 0, "n": 1}]),
    )


# --- alone


def test_single_finds_match_driver_results(data: Any, commands: Commands) -> None:
    chance = random.Random(1)  # noqa: S311  # the same queries in every run
    asked = [random_find(data, chance) for _ in range(150)]
    found = [alone(find) for find in asked]
    assert commands.names() == ["find"] * 150
    assert found == [by_driver(find) for find in asked]
    assert sum(map(len, found)) > 500


@pytest.mark.parametrize("document_id", IDS, ids=[f"{number} {type(id_)}" for number, id_ in enumerate(IDS)])
def test_find_accepts_every_kind_of_id(data: Any, document_id: Any) -> None:
    by_id = {"_id": {"$eq": document_id}}
    [found] = alone(Query(data["ids"], by_id, limit=1))
    assert found == bson.encode({"_id": document_id, "was": str(document_id)}, codec_options=RAW)
    assert together([Query(data["ids"], by_id), Query(data["few"], {"_id": 3})])[0] == [found]


def test_result_larger_than_one_reply_is_complete_and_leaves_no_cursor(data: Any, commands: Commands) -> None:
    before = open_cursors(data)
    commands.sent.clear()
    for limit in (0, 4):
        found = alone(Query(data["large"], {}, keys=[("_id", -1)], limit=limit))
        assert [bson.decode(each)["_id"] for each in found] == [3, 2, 1, 0]
    assert commands.names() == ["find", "killCursors", "find", "getMore"] * 2
    assert open_cursors(data) == before


def test_unlimited_find_beyond_expected_size_is_complete(
    data: Any, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAXIMUM_UNBOUNDED", 50)
    before = open_cursors(data)
    assert len(alone(Query(data["many"], {}))) == 150
    with pytest.raises(CutShort):
        together([Query(data["many"], {}), Query(data["few"], {})])
    assert open_cursors(data) == before


def test_read_preference_and_concern_of_collection_are_sent(data: Any, commands: Commands) -> None:
    asked = Query(
        data["few"].with_options(
            read_preference=ReadPreference.PRIMARY_PREFERRED, read_concern=ReadConcern("local")
        ),
        {},
    )
    alone(asked)
    together([asked, Query(data["many"], {})])
    alone(Query(data["few"], {}))
    told = [
        (event.command.get("readConcern", {}).get("level"), event.command.get("$readPreference"))
        for event in commands.sent
    ]
    preferred = {"mode": "primaryPreferred"}
    assert told == [("local", preferred), ("local", preferred), ("majority", None)]
    assert all("maxTimeMS" in event.command for event in commands.sent)


def test_cursor_is_killed_with_read_preference_of_its_find(data: Any, commands: Commands) -> None:
    preferred = data["large"].with_options(read_preference=ReadPreference.SECONDARY_PREFERRED)
    alone(Query(preferred, {}))
    modes = [event.command.get("$readPreference") for event in commands.sent]
    assert commands.names() == ["find", "killCursors", "find", "getMore"]
    assert modes[:3] == [{"mode": "secondaryPreferred"}] * 3


def test_timed_out_find_is_not_retried(data: Any, commands: Commands) -> None:
    with within(1), pymongo.timeout(0.1), pytest.raises(PyMongoError) as caught:
        alone(Query(data["few"], SLEEP))
    assert caught.value.timeout
    assert commands.names() == ["find"]


def test_invalid_find_fails_without_retry(data: Any, commands: Commands) -> None:
    with pytest.raises(OperationFailure, match="unknown operator"):
        alone(Query(data["few"], {"a": {"$what": 1}}))
    assert commands.names() == ["find"]


def test_unreachable_database_is_selected_once() -> None:
    down = absent()
    with (
        within(0.8, why="the time for finding a server is spent once"),
        pytest.raises(pymongo.errors.ServerSelectionTimeoutError),
    ):
        alone(Query(down.motor["few"].delegate, {}))
    down.close()


# --- together


@pytest.mark.parametrize("seed", range(4))
def test_batched_finds_match_single_finds(data: Any, commands: Commands, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # the same queries in every run
    batches = [[random_find(data, chance) for _ in range(chance.randint(2, 17))] for _ in range(8)]
    found = [together(batch) for batch in batches]
    assert commands.names() == ["aggregate"] * 8
    assert found == [[alone(find) for find in batch] for batch in batches]


def test_batched_find_of_missing_collection_is_empty(data: Any) -> None:
    absent, few = Query(data["absent"], {}), Query(data["few"], {"_id": 1})
    one = alone(few)
    assert together([absent, few, absent]) == [[], one, []]
    assert together([few, absent]) == [one, []]
    assert together([absent, absent]) == [[], []]
    nowhere = data.client[f"{data.name}_2"]
    assert together([Query(nowhere["a"], {}), Query(nowhere["b"], {})]) == [[], []]


def test_document_of_maximum_size_is_found_in_batch(data: Any) -> None:
    room = 16 * 1024 * 1024 - len(bson.encode({"_id": 1, "text": ""}))
    data["largest"].insert_one({"_id": 1, "text": "x" * room})
    largest = Query(data["largest"], {}, limit=1)
    found = together([largest, Query(data["empty"], {})])
    assert (len(found[0][0]), found[1]) == (16 * 1024 * 1024, [])
    with pytest.raises(CutShort):
        together([largest, Query(data["few"], {})])
    data.drop_collection("largest")


def test_batch_exceeding_reply_size_raises_and_leaves_no_cursor(data: Any) -> None:
    before = open_cursors(data)
    asked = [Query(data["large"], {"_id": number}, limit=1) for number in range(4)]
    for _ in range(3):
        with pytest.raises(CutShort):
            together(asked)
    assert open_cursors(data) == before
    assert [len(part) for part in together(asked[:2])] == [1, 1]


def test_one_invalid_find_fails_whole_batch(data: Any) -> None:
    with pytest.raises(OperationFailure, match="unknown operator"):
        together([Query(data["few"], {}), Query(data["few"], {"a": {"$what": 1}})])
