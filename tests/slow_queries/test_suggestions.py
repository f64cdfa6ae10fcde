"""Suggested indexes, judged by MongoDB: once created, they serve the query; and what needs none gets none."""

from collections.abc import Iterator
from typing import Any

import pymongo
import pytest

from service import schema as schemas
from service.query.fields import Field
from service.slow_queries import commands, watch
from service.slow_queries.suggestions import (
    MAXIMUM_FIELDS,
    Present,
    Suggestion,
    arrays_of,
    present_indexes,
    suggest,
)
from tests.conftest import new_name

COUNT = 2000
LIMIT = 21
SCHEMA = {
    "type": "object",
    "properties": {
        "category": {"type": "string"},
        "kind": {"type": "integer"},
        "price": {"type": "integer"},
        "at": {"type": "integer"},
        "stock": {"type": "integer"},
        "name": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "sizes": {"type": "array", "items": {"type": "integer"}},
        "maker": {"type": "object", "properties": {"city": {"type": "string"}}},
        "lots": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"code": {"type": "string"}, "amount": {"type": "integer"}},
            },
        },
        "place": {"type": "object"},
    },
}
Documents = pymongo.collection.Collection[dict[str, Any]]
ID = ("_id", 1)


def document(number: int) -> dict[str, Any]:
    """Return a document of many that differ in each field by another measure."""
    return {
        "_id": number,
        "category": f"c{number % 20}",
        "kind": number % 7,
        "price": number * 7919 % COUNT,
        "at": number * 104729 % COUNT,
        "stock": number % 50,
        "name": f"{number * 31 % COUNT:05}",
        "tags": [f"t{number % 40}", f"t{number % 41}"],
        "sizes": [number % 30, number % 31],
        "maker": {"city": f"m{number % 25}"},
        "lots": [{"code": f"l{number % 60}", "amount": number % 13}, {"code": "l", "amount": 5}],
        "place": {"type": "Point", "coordinates": [number % 180, number % 80]},
    }


@pytest.fixture(scope="module")
def documents(mongodb_uri: str) -> Iterator[Documents]:
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as client:
        name = new_name()
        collection = client[name]["things"]
        collection.insert_many(map(document, range(COUNT)))
        yield collection
        client.drop_database(name)


@pytest.fixture(scope="module")
def root() -> Field:
    return schemas.compile(SCHEMA).root


def find(where: dict[str, Any], *sort: tuple[str, int]) -> dict[str, Any]:
    return {"find": "things", "filter": where, "sort": dict(sort), "limit": LIMIT}


def lacking(documents: Documents, root: Field, command: dict[str, Any]) -> list[Suggestion]:
    query = commands.read(command)
    assert query is not None
    return suggest(query, present_indexes(documents.index_information()), arrays_of(root))


def explained(documents: Documents, command: dict[str, Any]) -> watch.Plan:
    query = commands.read(command)
    assert query is not None
    return watch.read(documents.database.command("explain", query.explained, verbosity="executionStats"))


SERVED: list[tuple[dict[str, Any], str]] = [
    (find({"category": {"$eq": "c3"}}, ID), "category,_id"),
    (find({"category": {"$eq": "c3"}}, ("price", -1), ("_id", -1)), "category,-price,-_id"),
    (find({}, ("price", 1), ID), "price,_id"),
    (find({"price": {"$gte": 10, "$lt": 30}}, ID), "price"),
    (find({"price": {"$gte": 10, "$lt": 90}}, ("price", -1), ("_id", -1)), "-price,-_id"),
    (
        find({"category": "c3", "kind": 2, "price": {"$gte": 100}}, ("at", -1), ("_id", -1)),
        "category,kind,-at,-_id,price",
    ),
    (find({"category": {"$in": ["c1", "c2"]}}, ("at", 1), ID), "category,at,_id"),
    (find({"$and": [{"category": "c3"}, {"price": {"$lt": 900}}]}, ("price", 1), ID), "category,price,_id"),
    (find({"maker.city": "m3"}, ("price", 1), ID), "maker.city,price,_id"),
    (find({"name": {"$regex": r"^000"}}, ID), "name"),
    (find({"name": {"$regex": r"^0"}}, ("name", 1), ID), "name,_id"),
    (find({"tags": {"$eq": "t3"}}, ("at", -1), ("_id", -1)), "tags,-at,-_id"),
    (find({"tags": {"$all": ["t3", "t4"]}}, ID), "tags,_id"),
    (find({"tags": "t3", "sizes": 3}, ID), "tags,_id"),
    (find({"sizes": {"$gte": 29}, "category": "c3"}, ID), "category,sizes"),
    (find({"lots": {"$elemMatch": {"code": "l3", "amount": {"$gte": 3}}}}, ID), "lots.code,lots.amount"),
    (find({"category": {"$exists": False}}, ID), "category,_id"),
    (find({"category": None}, ("at", 1), ID), "category,at,_id"),
    (find({"$or": [{"category": "c3"}, {"kind": 2}]}, ("at", 1), ID), "category,at,_id kind,at,_id"),
    (find({"$or": [{"price": 5}, {"stock": {"$gt": 48}}]}, ID), "price,_id stock"),
    (find({"category": "c3", "$or": [{"kind": 1}, {"kind": 2}]}, ("at", 1), ID), "category,at,_id"),
    (find({"place": {"$geoWithin": {"$centerSphere": [[3, 3], 0.01]}}}, ID), "place:2dsphere"),
    (
        {
            "aggregate": "things",
            "pipeline": [
                {"$match": {"category": "c3"}},
                {"$sort": {"price": 1, "_id": 1}},
                {"$limit": 21},
                {"$set": {"_sort_values": {"$meta": "sortKey"}}},
            ],
        },
        "category,price,_id",
    ),
    (
        {
            "aggregate": "things",
            "pipeline": [{"$match": {"category": "c3"}}, {"$group": {"_id": 1, "n": {"$sum": 1}}}],
        },
        "category",
    ),
    ({"count": "things", "query": {"kind": 3, "stock": {"$gte": 45}}}, "kind,stock"),
]
"""Queries that nothing serves, and the indexes that would."""

SORTED_IN_MEMORY = {
    "price",
    "name",
    "category,sizes",
    "lots.code,lots.amount",
    "price,_id stock",
    "place:2dsphere",
}
"""Those that leave an order to be made: that of ids, which a page needs and nobody asks for."""


def written(suggestions: list[Suggestion]) -> str:
    return " ".join(
        ",".join(
            f"-{path}" if way == -1 else path if way == 1 else f"{path}:{way}" for path, way in each.keys
        )
        for each in suggestions
    )


@pytest.mark.parametrize(("command", "expected"), SERVED, ids=[row[1] for row in SERVED])
def test_suggested_index_serves_the_query(
    documents: Documents, root: Field, command: dict[str, Any], expected: str
) -> None:
    before = explained(documents, command)
    assert before.lacks_index
    suggestions = lacking(documents, root, command)
    assert written(suggestions) == expected
    names = [documents.create_index(list(each.keys)) for each in suggestions]
    try:
        after = explained(documents, command)
        assert not after.scans_collection
        assert after.sorts_in_memory == (expected in SORTED_IN_MEMORY), after.text
        assert not after.examines_too_much, after
        assert (after.documents_examined or 0) < (before.documents_examined or 0)
        assert lacking(documents, root, command) == []
    finally:
        for name in names:
            documents.drop_index(name)


@pytest.mark.parametrize(
    "command",
    [
        find({"_id": 5, "category": "c3"}),
        find({"_id": {"$in": [1, 2]}, "tags": "t1"}),
        find({}, ID),
        find({}, ("_id", -1)),
        find({"_id": {"$gt": 7}}, ID),
        find({"category": {"$ne": "c3"}}, ID),
        find({"category": {"$nin": ["c3"]}}, ID),
        find({"name": {"$regex": "0[Aa]"}}, ID),
        find({"tags": {"$size": 2}}, ID),
        find({"$nor": [{"category": "c3"}]}, ID),
        find({"$text": {"$search": "x"}, "$and": [{"category": "c3"}]}, ("price", 1)),
        {"aggregate": "things", "pipeline": [{"$group": {"_id": "$category"}}, {"$sort": {"_id": 1}}]},
    ],
)
def test_query_that_no_index_helps_gets_no_suggestion(
    documents: Documents, root: Field, command: dict[str, Any]
) -> None:
    assert lacking(documents, root, command) == []


def there(*keys: tuple[str, int | str], name: str = "there", **marks: bool) -> Present:
    return Present(name, keys, **marks)


E, S, R = ("category", 1), ("at", -1), ("price", 1)
QUERY = find({"category": "c3", "price": {"$gt": 3}}, ("at", -1))


@pytest.mark.parametrize(
    ("index", "expected", "superfluous"),
    [
        (there(E, S, R), "", ()),
        (there(("category", -1), ("at", 1), ("price", -1)), "", ()),
        (there(E, S, ("kind", 1), R), "", ()),
        (there(E, S, R, is_whole=False, is_plain=False), "category,-at,price", ()),
        (there(E), "category,-at,price", ("there",)),
        (there(E, S), "category,-at,price", ("there",)),
        (there(E, ("at", 1)), "category,at,price", ("there",)),
        (there(("category", -1), ("at", 1)), "-category,at,price", ("there",)),
        (there(E, is_plain=False), "category,-at,price", ()),
        (there(E, R), "category,-at,price", ()),
        (there(S, E, R), "category,-at,price", ()),
    ],
)
def test_existing_index_that_serves_is_not_suggested_again(
    root: Field, index: Present, expected: str, superfluous: tuple[str, ...]
) -> None:
    query = commands.read(QUERY)
    assert query is not None
    found = suggest(query, [there(("_id", 1), name="_id_", is_plain=False), index], arrays_of(root))
    assert (written(found), tuple(name for each in found for name in each.replaces)) == (
        expected,
        superfluous,
    )


def test_equality_fields_keep_the_order_of_existing_index(root: Field) -> None:
    query = commands.read(find({"category": "c3", "kind": 1}, ("at", 1)))
    assert query is not None
    (found,) = suggest(query, [there(("kind", 1))], arrays_of(root))
    assert (found.keys, found.replaces) == ((("kind", 1), ("category", 1), ("at", 1)), ("there",))
    assert suggest(query, [there(("kind", 1), ("category", -1), ("at", -1))], arrays_of(root)) == []


def test_field_without_schema_counts_as_array(root: Field) -> None:
    query = commands.read(find({"tags": "t1", "unknown": 1}, ID))
    assert query is not None
    assert written(suggest(query, [], arrays_of(root))) == "tags,_id"


def test_suggested_index_has_limited_fields(root: Field) -> None:
    query = commands.read(find({f"x{number}": number for number in range(50)}, ID))
    assert query is not None
    closed = arrays_of(
        schemas.compile({"properties": {f"x{n}": {"type": "integer"} for n in range(50)}}).root
    )
    (found,) = suggest(query, [], closed)
    assert len(found.keys) <= MAXIMUM_FIELDS + 1
