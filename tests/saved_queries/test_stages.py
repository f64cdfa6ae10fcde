"""What each stage, accumulator and function gives, over a class's collection and a stored definition's."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from service.saved_queries.functions import FUNCTIONS
from service.saved_queries.grouping import ACCUMULATORS
from service.saved_queries.stages import NAMES
from tests.saved_queries.shop import ShopService, open_shop


class Row(NamedTuple):
    """A pipeline, what it gives Ann, and perhaps its parameters with their schemas and values."""

    pipeline: list[dict[str, Any]]
    data: list[Any]
    parameters: dict[str, Any] = {}
    given: dict[str, str] = {}


BY_NAME: dict[str, Any] = {"sort": "name"}


def of_each(expression: Any, *values: Any) -> Row:
    """Return a row: what an expression is for the desk, the lamp and the thing."""
    data = [{"x": value} for value in values]
    return Row([BY_NAME, {"project": {"x": expression}}], data)


def of_all(accumulator: Any, value: Any) -> Row:
    """Return a row: what an accumulator makes of the desk, the lamp and the thing, by their names."""
    return Row([BY_NAME, {"group": {"x": accumulator}}], [{"x": value}])


ROWS: dict[str, Row] = {
    # match
    "match": Row([{"match": {"price": {"gt": 50}}}, {"project": ["name"]}], [{"name": "Desk"}]),
    "match_logic": Row(
        [{"match": {"or": [{"tags": "wood"}, {"category": None}]}}, BY_NAME, {"project": ["name"]}],
        [{"name": "Desk"}, {"name": "Thing"}],
    ),
    "match_types": Row(
        [{"match": {"day": {"gte": "2026-12-01"}, "amount": "0.25"}}, {"project": ["name"]}],
        [{"name": "Lamp"}],
    ),
    "match_after_group": Row(
        [
            {"group": {"by": "category", "latest": {"max": "sold_at"}, "count": {"count": True}}},
            {"match": {"count": {"gt": 1}, "latest": {"gte": "2026-12-01T00:00:00Z"}}},
        ],
        [{"category": "office", "latest": "2026-12-01T08:00:00.000Z", "count": 2}],
    ),
    # group
    "group_by_field": Row(
        [{"group": {"by": "category", "total": {"sum": "price"}}}],
        [{"category": None, "total": 5.5}, {"category": "office", "total": 120.0}],
    ),
    "group_by_nested": Row(
        [{"match": {"category": "office"}}, {"group": {"by": "address.city"}}],
        [{"city": "Basel"}, {"city": "Bern"}],
    ),
    "group_by_several": Row(
        [{"group": {"by": ["category", "is_paid"], "n": {"count": True}}}, {"sort": "-n,is_paid"}],
        [
            {"category": None, "is_paid": False, "n": 1},
            {"category": "office", "is_paid": False, "n": 1},
            {"category": "office", "is_paid": True, "n": 1},
        ],
    ),
    "group_by_expression": Row(
        [{"group": {"by": {"month": {"truncate": ["sold_at", "month"]}}, "n": {"count": True}}}],
        [
            {"month": None, "n": 1},
            {"month": "2026-11-01T00:00:00.000Z", "n": 1},
            {"month": "2026-12-01T00:00:00.000Z", "n": 1},
        ],
    ),
    "group_histogram": Row(
        [
            {
                "group": {
                    "by": {"from": {"multiply": [{"floor": {"divide": ["price", 50]}}, 50]}},
                    "n": {"count": True},
                }
            }
        ],
        [{"from": 0.0, "n": 2}, {"from": 100.0, "n": 1}],
    ),
    "group_all": Row([{"group": {"n": {"count": True}}}], [{"n": 3}]),
    "group_days": Row(
        [{"group": {"by": "day"}}], [{"day": None}, {"day": "2026-11-22"}, {"day": "2026-12-01"}]
    ),
    "group_by_id": Row(
        [{"group": {"by": "id", "name": {"first": "name"}}}, {"sort": "name"}, {"project": ["name"]}],
        [{"name": "Desk"}, {"name": "Lamp"}, {"name": "Thing"}],
    ),
    # accumulators
    "sum": of_all({"sum": "parts"}, 4),
    "sum_decimal": of_all({"sum": "amount"}, "12.75"),
    "sum_int64": of_all({"sum": "big"}, "9007199254740993"),
    "avg": of_all({"avg": "price"}, 41.833333333333336),
    "min": of_all({"min": "sold_at"}, "2026-11-22T23:30:00.000Z"),
    "max": of_all({"max": "day"}, "2026-12-01"),
    "count": of_all({"count": True}, 3),
    "count_distinct": of_all({"count_distinct": "category"}, 1),
    "first": of_all({"first": "name"}, "Desk"),
    "last": of_all({"last": "name"}, "Thing"),
    "push": of_all({"push": "name"}, ["Desk", "Lamp", "Thing"]),
    "push_objects": of_all(
        {"push": {"object": {"n": "name", "c": "address.city"}}},
        [{"n": "Desk", "c": "Bern"}, {"n": "Lamp", "c": "Basel"}, {"n": "Thing"}],
    ),
    # project, set
    "project_names": Row(
        [{"match": {"name": "Desk"}}, {"project": ["name", "address.city", "day"]}],
        [{"name": "Desk", "city": "Bern", "day": "2026-11-22"}],
    ),
    "project_renames": Row(
        [{"match": {"name": "Mug"}}, {"project": {"title": "name"}}, {"match": {"title": "Mug"}}], []
    ),
    "set": Row(
        [
            {"match": {"name": "Desk"}},
            {"set": {"each": {"divide": ["price", "parts"]}, "name": {"lower": "name"}}},
            {"project": ["name", "each", "price"]},
        ],
        [{"name": "desk", "each": 25.0, "price": 100.0}],
    ),
    # sort, limit, skip
    "sort": Row(
        [{"sort": "-price"}, {"project": ["price"]}], [{"price": 100.0}, {"price": 20.0}, {"price": 5.5}]
    ),
    "limit": Row([BY_NAME, {"limit": 1}, {"project": ["name"]}], [{"name": "Desk"}]),
    "skip": Row([BY_NAME, {"skip": 2}, {"project": ["name"]}], [{"name": "Thing"}]),
    "limit_by_parameter": Row(
        [BY_NAME, {"skip": {"param": "from"}}, {"limit": {"param": "top"}}, {"project": ["name"]}],
        [{"name": "Lamp"}],
        {"top": {"type": "integer"}, "from": {"type": "integer", "default": 1}},
        {"top": "1"},
    ),
    # unwind, count
    "unwind": Row(
        [{"unwind": "tags"}, {"group": {"by": "tags", "n": {"count": True}}}],
        [{"tags": "new", "n": 2}, {"tags": "wood", "n": 1}],
    ),
    "unwind_objects": Row(
        [{"unwind": "lines"}, {"group": {"by": "lines.product", "n": {"sum": "lines.count"}}}],
        [{"product": "leg", "n": 4}, {"product": "top", "n": 1}],
    ),
    "unwind_keeps_empty": Row(
        [{"unwind": {"field": "tags", "keep_empty": True}}, {"group": {"by": "tags", "n": {"count": True}}}],
        [{"tags": None, "n": 1}, {"tags": "new", "n": 2}, {"tags": "wood", "n": 1}],
    ),
    "count_stage": Row([{"match": {"tags": "new"}}, {"count": "new_ones"}], [{"new_ones": 2}]),
    "count_of_nothing": Row([{"match": {"name": "Nobody"}}, {"count": "n"}], []),
    # functions
    "add": of_each({"add": ["price", "parts", 1]}, 105.0, 21.0, None),
    "subtract": of_each({"subtract": ["price", 0.5]}, 99.5, 19.5, 5.0),
    "multiply": of_each({"multiply": ["price", 2]}, 200.0, 40.0, 11.0),
    "divide": of_each({"divide": ["price", "parts"]}, 25.0, None, None),
    "mod": of_each({"mod": ["price", "parts"]}, 0.0, None, None),
    "abs": of_each({"abs": {"subtract": [0, "price"]}}, 100.0, 20.0, 5.5),
    "ceil": of_each({"ceil": "price"}, 100.0, 20.0, 6.0),
    "floor": of_each({"floor": "price"}, 100.0, 20.0, 5.0),
    "round": of_each({"round": [{"divide": ["price", 3]}, 2]}, 33.33, 6.67, 1.83),
    "round_whole": of_each({"round": "price"}, 100.0, 20.0, 6.0),
    "concat": of_each(
        {"concat": ["name", {"value": ": $"}, "category"]}, "Desk: $office", "Lamp: $office", None
    ),
    "lower": of_each({"lower": "name"}, "desk", "lamp", "thing"),
    "upper": of_each({"upper": "name"}, "DESK", "LAMP", "THING"),
    "length": of_each({"length": "category"}, 6, 6, None),
    "year": of_each({"year": "sold_at"}, 2026, 2026, None),
    "month": of_each({"month": "day"}, 11, 12, None),
    "day": of_each({"day": "sold_at"}, 22, 1, None),
    "day_in_zone": of_each({"day": ["sold_at", "Europe/Berlin"]}, 23, 1, None),
    "weekday": of_each({"weekday": "sold_at"}, 7, 2, None),
    "week": of_each({"week": "sold_at"}, 47, 49, None),
    "hour": of_each({"hour": "sold_at"}, 23, 8, None),
    "truncate": of_each(
        {"truncate": ["sold_at", "week"]}, "2026-11-16T00:00:00.000Z", "2026-11-30T00:00:00.000Z", None
    ),
    "difference": of_each({"difference": ["day", "sold_at", "hour"]}, 23, 8, None),
    "comparisons": of_each(
        {
            "and": [
                {"gt": ["price", 5]},
                {"gte": ["price", 5.5]},
                {"lt": ["price", 100]},
                {"lte": ["price", 20]},
                {"eq": ["is_paid", False]},
                {"ne": ["name", {"value": "Lamp"}]},
            ]
        },
        False,
        False,
        True,
    ),
    "or_not": of_each({"or": ["is_paid", {"not": {"gt": ["price", 10]}}]}, True, False, True),
    "compared_times": of_each({"gte": ["sold_at", {"value": "2026-12-01T00:00:00Z"}]}, False, True, False),
    "if": of_each(
        {"if": [{"gte": ["price", 50]}, {"value": "dear"}, {"value": "cheap"}]}, "dear", "cheap", "cheap"
    ),
    "if_null": of_each({"if_null": ["category", {"value": "$none"}]}, "office", "office", "$none"),
    "size": of_each({"size": "tags"}, 2, 1, 0),
    "size_of_path": of_each({"size": "lines.product"}, 2, 0, 0),
    "constants": of_each(
        {"object": {"a": 1, "b": {"value": "$name"}, "c": None}},
        *[{"a": 1, "b": "$name", "c": None}] * 3,
    ),
    # parameters
    "parameter_of_expression": Row(
        [BY_NAME, {"project": {"x": {"multiply": ["price", {"param": "factor"}]}}}],
        [{"x": 150.0}, {"x": 30.0}, {"x": 8.25}],
        {"factor": {"type": "number"}},
        {"factor": "1.5"},
    ),
    "parameter_of_time": Row(
        [BY_NAME, {"project": {"x": {"lt": [{"param": "since"}, "sold_at"]}}}],
        [{"x": False}, {"x": True}, {"x": False}],
        {"since": {"type": "string", "format": "date-time"}},
        {"since": "2026-11-30T00:00:00Z"},
    ),
    "parameter_of_list": Row(
        [{"match": {"name": {"in": {"param": "names"}}}}, BY_NAME, {"project": ["name"]}],
        [{"name": "Lamp"}, {"name": "Thing"}],
        {"names": {"type": "array", "items": {"type": "string"}, "minItems": 1}},
        {"names": "Lamp,Thing,Mug"},
    ),
    "parameter_default": Row(
        [{"match": {"price": {"gt": {"param": "least"}}}}, {"count": "n"}],
        [{"n": 2}],
        {"least": {"type": "number", "default": 10}},
    ),
}

OTHERS: dict[str, list[dict[str, Any]]] = {
    "whole": [{"match": {"name": "Desk"}}],
    "add_to_set": [{"unwind": "tags"}, {"group": {"x": {"add_to_set": "tags"}}}],
    "lookup": [
        BY_NAME,
        {"lookup": {"field": "maker", "as": "made_by", "fields": ["name", "founded"]}},
        {"project": ["name", "made_by"]},
    ],
    "lookup_many": [
        {"match": {"name": "Desk"}},
        {"lookup": {"field": "makers", "as": "by", "fields": ["id", "country"]}},
        {"project": ["by"]},
    ],
    "lookup_then_match": [
        {"lookup": {"field": "maker", "as": "by", "fields": ["founded"]}},
        {"match": {"by.founded": {"lt": "2000-01-01"}}},
        {"project": {"name": "name", "founded": "by.founded", "year": {"year": "by.founded"}}},
    ],
}

QUERIES = {name: {"pipeline": row.pipeline, "parameters": row.parameters} for name, row in ROWS.items()} | {
    name: {"pipeline": pipeline} for name, pipeline in OTHERS.items()
}


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["code-first", "runtime"])
async def shop(request: pytest.FixtureRequest, mongodb_uri: str) -> AsyncIterator[ShopService]:
    async with open_shop(mongodb_uri, QUERIES, is_code_first=request.param == "code-first") as opened:
        yield opened


@pytest.mark.parametrize("name", ROWS)
async def test_pipeline_returns_expected_rows(shop: ShopService, name: str) -> None:
    row = ROWS[name]
    assert await shop.run(name, **row.given) == row.data


async def test_add_to_set_returns_distinct_values(shop: ShopService) -> None:
    (found,) = await shop.run("add_to_set")
    assert sorted(found["x"]) == ["new", "wood"]


async def test_lookup_returns_only_documents_caller_may_read(shop: ShopService) -> None:
    acme = {"name": "Acme", "founded": "1999-02-03"}
    assert await shop.run("lookup", "ann") == [
        {"name": "Desk", "made_by": acme},
        {"name": "Lamp", "made_by": None},
        {"name": "Thing", "made_by": None},
    ]
    assert [each["made_by"] for each in await shop.run("lookup", "buyer")] == [
        acme,
        {"name": "Bobs", "founded": None},
        None,
        None,
    ]


async def test_lookup_follows_arrays_of_references(shop: ShopService) -> None:
    assert await shop.run("lookup_many", "ann") == [{"by": [{"id": shop.ids["acme"], "country": "CH"}]}]
    (found,) = await shop.run("lookup_many", "admin")
    assert sorted(each["country"] for each in found["by"]) == ["CH", "DE"]


async def test_looked_up_fields_have_types_of_their_collection(shop: ShopService) -> None:
    assert await shop.run("lookup_then_match", "ann") == [
        {"name": "Desk", "founded": "1999-02-03", "year": 1999}
    ]


async def test_whole_document_equals_get_response(shop: ShopService) -> None:
    client, headers = shop.client, shop.people["ann"]
    read = await client.get(f"/api/sales/{shop.ids['desk']}", headers=headers)
    (found,) = await shop.run("whole", "ann")
    assert found == read.json()["data"]


def test_every_stage_accumulator_and_function_is_tested() -> None:
    written = str([query["pipeline"] for query in QUERIES.values()])
    assert [word for word in (*NAMES, *ACCUMULATORS, *FUNCTIONS) if f"'{word}': " not in written] == []
