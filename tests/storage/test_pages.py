"""Walking through all pages gives each document once, in MongoDB's own order, whatever the documents hold."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from random import Random
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from bson import CodecOptions, Decimal128, Int64, ObjectId, Regex, json_util
from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.errors import OperationFailure

from service.query import SortKey, keyset
from service.query.cursors import Cursors, list_id
from service.query.fields import Field
from service.query.keyset import Order, Place, order_of
from service.query.kinds import Kind
from service.storage import database as databases
from service.storage.pages import Document, Reader, Slice
from service.storage.plans import ReadPlan
from tests.query.shop import ANYTHING

NAN = float("nan")
SCALARS: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    2,
    -1.5,
    1.0,
    NAN,
    float("inf"),
    Int64(2**53 + 1),
    float(2**53),
    Decimal128("2"),
    Decimal128("0.1"),
    Decimal128("NaN"),
    "",
    "a",
    "B",
    "é",
    datetime(2026, 11, 22, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC),
    ObjectId("5" * 24),
    ObjectId("0" * 24),
    UUID(int=7),
    b"",
    b"\x00\x01",
]
NAMES = ("a", "b", "c")
TEXT = Field(kinds=frozenset({Kind.STRING, Kind.NULL}))
PLAIN = Field(
    kinds=frozenset({Kind.OBJECT}),
    fields=dict.fromkeys(NAMES, Field(kinds=frozenset({Kind.OBJECT}), fields=dict.fromkeys(NAMES, TEXT))),
)
"""What a schema says that knows of no array."""

CURSORS = Cursors("a secret of this test")
Motor = Any


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def motor(mongodb_uri: str) -> AsyncIterator[Motor]:
    name = f"pages_{uuid4().hex[:12]}"
    connection = databases.connect(
        mongodb_uri, name, pool_size=10, selection_timeout_s=5, operation_timeout_s=10
    )
    codec: CodecOptions[dict[str, Any]] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)
    yield connection.motor.with_options(codec_options=codec)
    await connection.client.drop_database(name)
    connection.close()


Shape = Literal["anything", "objects", "plain arrays"]


def random_value(random: Random, depth: int, shape: Shape) -> Any:
    chance = random.random() if depth else 1.0
    if shape != "objects" and chance < 0.3:
        return random_array(random, depth - 1, shape)
    if chance < 0.55:
        return random_document(random, depth - 1, shape)
    return random.choice(SCALARS)


def random_array(random: Random, depth: int, shape: Shape) -> list[Any]:
    count = random.randrange(3)
    if shape == "anything":
        return [random_value(random, depth, shape) for _ in range(count)]
    if depth and random.random() < 0.5:
        return [random_document(random, depth, shape) for _ in range(count)]
    return random.choices([value for value in SCALARS if value is not None], k=count)


def random_document(random: Random, depth: int, shape: Shape) -> Document:
    return {name: random_value(random, depth, shape) for name in NAMES if random.random() < 0.75}


def random_documents(shape: Shape) -> list[Document]:
    random = Random(1776)  # noqa: S311  # the same documents in every run
    return [{"_id": number, **random_document(random, 2, shape)} for number in range(60)]


def reader_of(documents: Motor, order: Order, limit: int, where: dict[str, Any] | None = None) -> Reader:
    return Reader(documents.delegate, ReadPlan(documents.name, order=order, limit=limit, filter=where))


async def walk(reader: Reader, first: Slice[Document], *, is_backward: bool) -> list[Document]:
    """Go from a slice to the end, by cursors as they travel."""
    found, here = list(first.documents), first
    binding = list_id("test", None, [("_id", 1)])
    while place := here.previous if is_backward else here.following:
        text = CURSORS.write(binding, place)
        assert text is not None
        place = CURSORS.read(binding, text)
        assert place.is_backward == is_backward
        here = reader.before(place) if is_backward else reader.after(place)
        found = here.documents + found if is_backward else found + here.documents
        assert len(here.documents) <= reader.plan.limit
    return found


async def sorted_ids(documents: Any, order: Order) -> list[Any] | None:
    """Return the ids in MongoDB's order, None where it has none: by two arrays that one document holds."""
    try:
        return [document["_id"] async for document in documents.find({}, {"_id": 1}, sort=order.keys)]
    except OperationFailure as error:
        assert "parallel arrays" in str(error)  # noqa: PT017  # whether it is raised depends on the order
        return None


def ids(documents: list[Document]) -> list[Any]:
    return [document["_id"] for document in documents]


paths = st.sampled_from([("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "a"), ("c", "b"), ("id",)])
sorts = st.lists(st.builds(SortKey, paths, st.booleans()), max_size=4, unique_by=lambda key: key.path)


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        pytest.param(ANYTHING, "anything", id="anything"),
        pytest.param(ANYTHING, "objects", id="objects without arrays"),
        pytest.param(PLAIN, "objects", id="a schema without arrays"),
        pytest.param(PLAIN, "plain arrays", id="arrays that the schema no longer knows"),
    ],
)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(sort=sorts, limit=st.integers(3, 25))
async def test_paging_returns_every_document_once_in_order(
    motor: Motor, fields: Field, shape: Shape, sort: list[SortKey], limit: int
) -> None:
    documents = motor[shape]
    if not await documents.find_one():
        await documents.insert_many(random_documents(shape))
    order = order_of(tuple(sort), fields)
    first_names = [path.split(".")[0] for path, _ in order.keys]
    is_by_pairs = shape == "plain arrays" and len(set(first_names)) < len(first_names)
    if not order.has_places or is_by_pairs:  # which a schema that knows no arrays does not foresee
        return
    reader = reader_of(documents, order, limit)
    expected = await sorted_ids(documents, order)
    if expected is None:
        return
    assert ids(await walk(reader, reader.at(0), is_backward=False)) == expected
    last = reader.before(Place(is_backward=True))
    assert ids(await walk(reader, last, is_backward=True)) == expected


# --- at which cost

MANY = 3000
STEP = 20
"""Documents of a page, compared with which few keys of the index may be looked at."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def indexed(motor: Motor) -> Any:
    codec: CodecOptions[Document] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
    documents = motor["indexed"].with_options(codec)  # plans name the first of all days
    await documents.insert_many(
        {
            "_id": number,
            "a": f"{number // 2:05}" if number % 3 else None,
            "b": {"a": f"{number % 100:05}"} if number % 3 else {},
            "c": number % 2,
        }
        for number in range(MANY)
    )
    for keys in (["a", "_id"], ["b.a", "_id"], ["c", "a", "_id"]):
        await documents.create_index([(key, 1) for key in keys])
    return documents


@pytest.mark.parametrize("is_backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("is_descending", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize(
    ("path", "where"),
    [("id", {}), ("a", {}), ("b.a", {}), ("a", {"c": 1})],
    ids=["id", "a", "b.a", "filtered"],
)
async def test_page_cost_is_independent_of_position(
    indexed: Any, path: str, where: dict[str, Any], is_descending: bool, is_backward: bool
) -> None:
    order = order_of((SortKey(tuple(path.split(".")), is_descending),), PLAIN)
    reader = reader_of(indexed, order, STEP, where)
    for skip in (0, 700, MANY // 2 - 2 * STEP):  # among nulls, and among values
        part = reader.at(skip)
        assert part.following is not None
        values = part.following.values
        assert values is not None
        if is_backward:
            criteria, keys = keyset.before(order, values, is_exact=False), order.reversed()
        else:
            criteria, keys = keyset.beyond(order, values), order.keys
        found = indexed.find(reader.plan.condition(criteria), sort=keys, limit=STEP)
        plan = await found.explain()
        assert plan["executionStats"]["totalKeysExamined"] <= 4 * STEP
        assert '"SORT"' not in json_util.dumps(plan["queryPlanner"]["winningPlan"])


async def test_backward_paging_over_arrays_is_exact(motor: Motor) -> None:
    """Ascending, [1, 9] is less than 5; in the opposite direction it is greater."""
    documents = motor["ends"]
    await documents.insert_many([{"_id": 1, "a": [1, 9]}, {"_id": 2, "a": 5}, {"_id": 3, "a": 7}])
    order = order_of((SortKey(("a",)),), PLAIN)
    assert not any(order.may_hold_arrays)
    reader = reader_of(documents, order, 1)
    assert ids(await walk(reader, reader.before(Place(is_backward=True)), is_backward=True)) == [
        1,
        2,
        3,
    ]


@pytest.mark.parametrize(
    ("sort", "fields"),
    [
        pytest.param((SortKey(("tags", "0")),), ANYTHING, id="a position"),
        pytest.param((SortKey(("parts", "a")), SortKey(("parts", "b"))), ANYTHING, id="pairs in an array"),
    ],
)
def test_order_by_array_position_or_array_pairs_has_no_cursors(
    sort: tuple[SortKey, ...], fields: Field
) -> None:
    assert not order_of(sort, fields).has_places


async def test_page_ending_at_incomparable_value_has_no_cursor(motor: Motor) -> None:
    documents = motor["codes"]
    await documents.insert_many([{"_id": 1, "a": Regex("x")}, {"_id": 2, "a": Regex("y")}])
    part = reader_of(documents, order_of((SortKey(("a",)),), PLAIN), 1).at(0)
    assert (part.has_more, part.following) == (True, None)
