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

from service.query import OPERATORS, And, Compare, Elem, Node, Not, Or, matches, to_mongo
from service.query.geometry import Box, Circle, Polygon
from service.query.operators import PLACES as PLACE_OPERATORS

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
PLACES: list[Any] = [
    {"type": "Point", "coordinates": [8.5, 47.3]},
    {"coordinates": [8.5, Decimal128("47.301")], "type": "Point", "more": 1},
    {"type": "Point", "coordinates": [-179.95, -16.5, 300]},
    {"type": "Point", "coordinates": {"lng": 100, "lat": 10}},
    {"type": "Point", "coordinates": [8.5]},
    {"type": "Point", "coordinates": [8.5, None]},
    {"type": "Point", "coordinates": [8.5, 95]},
    {"type": "Point"},
    {"type": "point", "coordinates": [8.5, 47.3]},
    {"type": 5, "coordinates": [8.5, 47.3]},
    {"type": "Feature", "geometry": {"type": "Point", "coordinates": [8.5, 47.3]}},
    {"type": "MultiPoint", "coordinates": [[8.5, 47.3], [8.52, 47.3]]},
    {"type": "LineString", "coordinates": [[8.5, 47.3], [8.7, 47.3]]},
    {"type": "Polygon", "coordinates": [[[8.5, 47.3], [8.52, 47.3], [8.52, 47.32], [8.5, 47.3]]]},
    {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [8.5, 47.3]}]},
    {"lng": 8.5, "lat": 47.3, "more": "text"},
    {"x": 1, "type": "Point", "coordinates": [8.5, 47.3]},
    [8.5, 47.3],
    [8.5, 47.3, "more"],
    [100, 10],
    [[8.5, 47.3]],
    [{"type": "Point", "coordinates": [100, 10]}, {"type": "Point", "coordinates": [8.5, 47.3]}],
]
RING = ((8.4, 47.2), (8.6, 47.25), (8.55, 47.4), (8.45, 47.38), (8.4, 47.2))
HOLE = ((8.49, 47.295), (8.51, 47.295), (8.51, 47.3005), (8.49, 47.3005), (8.49, 47.295))
CIRCLES = [Circle((8.5, 47.3), 100), Circle((8.51, 47.3), 5000), Circle((8.5, 47.3), 9_900_000)]
REGIONS = [
    Box(8.4, 47.2, 8.6, 47.4),
    Box(179.5, -17, -179.5, -16),
    Box(-180, -90, 180, 90),
    Box(20, -5, 120, 90),
    Polygon((RING,)),
    Polygon((RING, HOLE)),
]
TEXTS = ["", "a", "A", "b*", ".", "é", "É", "i", "I", "ß", "K", "\0", "S", "^"]
NAMES = ("a", "b", "0")

scalars = st.sampled_from(SCALARS)
paths = st.lists(st.sampled_from(("a", "b", "a", "b", "0", "1")), min_size=1, max_size=3).map(tuple)
flat_arrays = st.lists(scalars, max_size=2).map(tuple)
whole_arrays = flat_arrays | st.lists(scalars | flat_arrays, max_size=2).map(tuple)
operands = scalars | whole_arrays


ordered = st.sampled_from([value for value in SCALARS if value is not None])
lists = st.lists(operands, max_size=3).map(tuple)
texts = st.sampled_from(TEXTS)
OPERANDS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("eq", "ne"), operands),
    **dict.fromkeys(("gt", "gte", "lt", "lte"), ordered),
    **dict.fromkeys(("in", "nin", "all"), lists),
    "exists": st.booleans(),
    "size": st.integers(0, 3),
    **dict.fromkeys(("contains", "icontains", "startswith"), texts),
    "near": st.sampled_from(CIRCLES),
    "within": st.sampled_from(REGIONS),
}


def comparisons(where: st.SearchStrategy[Any]) -> st.SearchStrategy[Compare]:
    return st.sampled_from(sorted(OPERANDS)).flatmap(
        lambda name: st.builds(Compare, where, st.just(name), OPERANDS[name])
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


def has_one_place(node: Node) -> bool:
    """Return whether MongoDB can be asked: it takes one `$geoWithin` in the condition of an element."""
    if isinstance(node, And):
        return all(map(has_one_place, node.parts)) and sum(map(is_on_place, node.parts)) < 2
    return has_one_place(node.condition) if isinstance(node, Elem) else True


def is_on_place(node: Node) -> bool:
    return (
        any(map(is_on_place, node.parts))
        if isinstance(node, And)
        else isinstance(node, Compare) and node.operator in PLACE_OPERATORS
    )


elems = st.builds(Elem, paths, on_elements.filter(has_one_place))
nodes = st.recursive(comparisons(paths) | elems | comparisons(st.just(("id",))), wider, max_leaves=5)


def random_value(random: Random, depth: int) -> Any:
    shape = random.random() if depth else 1.0
    if shape < 0.3:
        return [random_value(random, depth - 1) for _ in range(random.randrange(4))]
    if shape < 0.4:
        return random.choice(PLACES)
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
        for path in ("a", "b", "a.b"):
            documents.create_index(path)
        documents.insert_many(DOCUMENTS)
        yield documents
        client.drop_database(database)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(filters=st.lists(nodes, min_size=1, max_size=5))
def test_match_agrees_with_mongodb(collection: Documents, filters: list[Node]) -> None:
    for position, node in enumerate(filters):
        hint = [("$natural", 1)] if position % 2 else None
        found = {document["_id"] for document in collection.find(to_mongo(node), {"_id": 1}, hint=hint)}
        assert {document["_id"] for document in DOCUMENTS if matches(node, document)} == found


def test_every_operator_has_test_operands() -> None:
    assert OPERANDS.keys() | {"elem"} == OPERATORS.keys()


def test_values_read_from_mongodb_match_stored_values(collection: Documents) -> None:
    for stored, read_back in zip(DOCUMENTS, collection.find().sort("_id"), strict=True):
        for name, value in stored.items():
            whole = Compare((name,), "eq", value)
            assert matches(whole, read_back)
