"""The in-memory match and MongoDB agree on random filters and documents."""

from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from bson import CodecOptions, Decimal128, Int64, ObjectId
from bson.binary import UuidRepresentation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.collection import Collection

from service.query import And, Compare, Elem, Node, Not, Or, matches, to_mongo

Documents = Collection[dict[str, Any]]

SCALARS: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    2,
    -1.5,
    1.0,
    Int64(2),
    Int64(2**53 + 1),
    float(2**53),
    Decimal128("2"),
    Decimal128("0.1"),
    0.1,
    "",
    "a",
    "A.b*",
    "\u00e9\u00c9\u0131\u0130\u00df\u017f\u212a",  # letters whose case has its own rules
    "nul\0in",
    datetime(2026, 11, 22, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC),
    ObjectId("5" * 24),
    UUID(int=7),
    b"\x00\x01",
]
TEXTS = ["", "a", "A", "b*", ".", "é", "É", "i", "I", "ß", "K", "\0", "S", "^"]
NAMES = ("a", "b", "0")

scalars = st.sampled_from(SCALARS)
paths = st.lists(st.sampled_from(("a", "b", "a", "b", "0", "1")), min_size=1, max_size=3).map(tuple)
whole_arrays = st.lists(scalars, max_size=2).map(tuple)
operands = scalars | whole_arrays


def comparisons(where: st.SearchStrategy[Any]) -> st.SearchStrategy[Compare]:
    ordered = st.sampled_from([value for value in SCALARS if value is not None])
    lists = st.lists(operands, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Compare, where, st.sampled_from(("eq", "ne")), operands),
        st.builds(Compare, where, st.sampled_from(("gt", "gte", "lt", "lte")), ordered),
        st.builds(Compare, where, st.sampled_from(("in", "nin", "all")), lists),
        st.builds(Compare, where, st.just("exists"), st.booleans()),
        st.builds(Compare, where, st.just("size"), st.integers(0, 3)),
        st.builds(
            Compare, where, st.sampled_from(("contains", "icontains", "startswith")), st.sampled_from(TEXTS)
        ),
    )


def wider(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(inner, min_size=0, max_size=3).map(tuple)
    return st.one_of(
        st.builds(And, several), st.builds(Or, several), st.builds(Not, inner), st.builds(Elem, paths, inner)
    )


on_elements = st.recursive(
    comparisons(st.just(())),
    lambda inner: (
        st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple))
        | st.builds(Elem, st.just(()), inner)
    ),
    max_leaves=4,
)
elems = st.builds(Elem, paths, on_elements)
nodes = st.recursive(comparisons(paths) | elems | comparisons(st.just(("id",))), wider, max_leaves=5)


def random_value(random: Random, depth: int) -> Any:
    shape = random.random() if depth else 1.0
    if shape < 0.35:
        return [random_value(random, depth - 1) for _ in range(random.randrange(4))]
    if shape < 0.6:
        return random_document(random, depth - 1)
    return random.choice(SCALARS)


def random_document(random: Random, depth: int) -> dict[str, Any]:
    return {name: random_value(random, depth) for name in NAMES if random.random() < 0.6}


def random_documents() -> list[dict[str, Any]]:
    random = Random(1776)  # noqa: S311  # the same documents in every run
    return [random_document(random, 3) | {"_id": position} for position in range(1000)]


DOCUMENTS = random_documents()


@pytest.fixture(scope="module")
def collection(mongodb_uri: str) -> Iterator[Documents]:
    options: CodecOptions[dict[str, Any]] = CodecOptions(
        tz_aware=True, uuid_representation=UuidRepresentation.STANDARD
    )
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        database = client.get_database(f"query_{uuid4().hex[:12]}")
        documents = database.get_collection("documents", codec_options=options)
        documents.insert_many(DOCUMENTS)
        yield documents
        client.drop_database(database)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(filters=st.lists(nodes, min_size=1, max_size=5))
def test_match_finds_what_mongodb_finds(collection: Documents, filters: list[Node]) -> None:
    for node in filters:
        found = {document["_id"] for document in collection.find(to_mongo(node), {"_id": 1})}
        assert {document["_id"] for document in DOCUMENTS if matches(node, document)} == found


def test_what_is_read_back_matches_as_what_was_stored(collection: Documents) -> None:
    for stored, read_back in zip(DOCUMENTS, collection.find().sort("_id"), strict=True):
        for name, value in stored.items():
            whole = Compare((name,), "eq", value)
            assert matches(whole, read_back)
