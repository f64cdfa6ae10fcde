"""Queries that cannot be saved: each fault is told where it is, and nothing changes."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from service.kit.errors import DefinitionInvalid
from service.query.fields import Field
from service.saved_queries import limits
from service.saved_queries.definition import parse
from tests.saved_queries.shop import ShopService, open_shop

GOOD: dict[str, Any] = {"good": {"pipeline": [{"group": {"by": "category", "total": {"sum": "price"}}}]}}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(mongodb_uri: str) -> AsyncIterator[ShopService]:
    async with open_shop(mongodb_uri, GOOD, is_code_first=False) as opened:
        yield opened


def stages(*pipeline: Any, **parameters: Any) -> dict[str, Any]:
    return {"q": {"pipeline": [*pipeline], "parameters": parameters}}


def project(expression: Any, **parameters: Any) -> dict[str, Any]:
    return stages({"project": {"x": expression}}, **parameters)


def deep(levels: int) -> Any:
    expression: Any = "price"
    for _ in range(levels):
        expression = {"abs": expression}
    return expression


TEXT: dict[str, Any] = {"type": "string"}
TEXTS: dict[str, Any] = {"type": "array", "items": TEXT}
EITHER: dict[str, Any] = {"type": ["number", "string"]}
ENUM: dict[str, Any] = {"type": "string", "enum": ["x"]}
P = "/queries/q/pipeline"
X = f"{P}/0/project/x"
SCHEMA = "/queries/q/parameters/p"

TABLE: list[tuple[Any, str, str]] = [
    # the queries, a query
    ([], "/queries", "type"),
    ({str(number): {} for number in range(101)}, "/queries", "too_complex"),
    ({"q": {"pipeline": [{"match": {"name": "x" * 70_000}}]}}, "/queries", "too_large"),
    ({"Q": GOOD["good"]}, "/queries/Q", "pattern"),
    ({"a/b": GOOD["good"]}, "/queries/a~1b", "pattern"),
    ({"q": []}, "/queries/q", "type"),
    ({"q": GOOD["good"] | {"pipline": []}}, "/queries/q/pipline", "unknown"),
    ({"q": GOOD["good"] | {"description": 5}}, "/queries/q/description", "type"),
    ({"q": GOOD["good"] | {"description": "x" * 1001}}, "/queries/q/description", "type"),
    ({"q": GOOD["good"] | {"limit": 1001}}, "/queries/q/limit", "range"),
    ({"q": GOOD["good"] | {"limit": True}}, "/queries/q/limit", "range"),
    # parameters
    ({"q": GOOD["good"] | {"parameters": []}}, "/queries/q/parameters", "type"),
    (stages({"limit": 1}, **{f"p{n}": TEXT for n in range(21)}), "/queries/q/parameters", "too_complex"),
    (stages({"limit": 1}, **{"a-b": TEXT}), "/queries/q/parameters/a-b", "pattern"),
    (stages({"limit": 1}, p=5), SCHEMA, "type"),
    (stages({"limit": 1}, p={}), f"{SCHEMA}/type", "type"),
    (stages({"limit": 1}, p={"type": "object"}), f"{SCHEMA}/type", "type"),
    (stages({"limit": 1}, p={"type": ["string", "object"]}), f"{SCHEMA}/type", "type"),
    (stages({"limit": 1}, p={"type": [{}]}), f"{SCHEMA}/type", "type"),
    (stages({"limit": 1}, p={"type": "array"}), f"{SCHEMA}/items/type", "type"),
    (stages({"limit": 1}, p={"type": "array", "items": {"type": "array"}}), f"{SCHEMA}/items/type", "type"),
    (stages({"limit": 1}, p={"type": "array", "items": {"type": "object"}}), f"{SCHEMA}/items/type", "type"),
    (stages({"limit": 1}, p={"type": "string", "minLength": -1}), f"{SCHEMA}/minLength", "minimum"),
    (stages({"limit": 1}, p={"type": "string", "pattern": "(?=a)"}), f"{SCHEMA}/pattern", "pattern"),
    (stages({"limit": 1}, p={"type": "string", "default": 5}), f"{SCHEMA}/default", "default"),
    (stages({"limit": 1}, p={"type": "string", "$ref": "https://a.example/b"}), f"{SCHEMA}/$ref", "ref"),
    (stages({"limit": 1}, p={"type": "string", "writeOnly": True}), SCHEMA, "type"),
    # pipelines
    ({"q": {}}, P, "type"),
    ({"q": {"pipeline": []}}, P, "type"),
    ({"q": {"pipeline": {"match": {}}}}, P, "type"),
    (stages(*[{"limit": 1}] * 21), P, "too_complex"),
    (stages("limit"), f"{P}/0", "type"),
    (stages({"limit": 1, "skip": 1}), f"{P}/0", "type"),
    (stages({"mtach": {}}), f"{P}/0/mtach", "unknown_stage"),
    (stages({"$match": {}}), f"{P}/0/$match", "unknown_stage"),
    *((stages({name: {}}), f"{P}/0/{name}", "unknown_stage") for name in (
        "$out", "$merge", "$unionWith", "$graphLookup", "$lookup", "$facet", "$currentOp", "$listSessions",
        "$collStats", "$indexStats", "$planCacheStats", "$documents", "$function", "$where", "out", "merge",
        "__init__", "read", "stage",
    )),
    # match
    (stages({"match": []}), f"{P}/0/match", "type"),
    (stages({"match": {"prise": 1}}), f"{P}/0/match/prise", "unknown_field"),
    (stages({"match": {"price": {"about": 1}}}), f"{P}/0/match/price/about", "unknown_operator"),
    (stages({"match": {"price": "dear"}}), f"{P}/0/match/price", "type"),
    (stages({"match": {"$expr": {"$gt": ["$price", 1]}}}), f"{P}/0/match/$expr", "unknown_field"),
    (stages({"match": {"price": {"$gt": 1}}}), f"{P}/0/match/price/$gt", "unknown_operator"),
    (stages({"match": {"price": {"param": "p"}}}), f"{P}/0/match/price/param", "unknown_parameter"),
    (stages({"match": {"price": {"gt": {"param": "p"}}}}, p=TEXT), f"{P}/0/match/price/gt", "type"),
    (stages({"match": {"price": {"param": "p"}}}, p=EITHER), f"{P}/0/match/price", "type"),
    (stages({"match": {"day": {"param": "p"}}}, p=ENUM), f"{P}/0/match/day", "type"),
    (stages({"match": {"name": {"in": {"param": "p"}}}}, p=TEXT), f"{P}/0/match/name/in", "type"),
    (stages({"match": {"not": {"param": "p"}}}, p=TEXT), f"{P}/0/match/not", "unknown_field"),
    (stages({"match": {"or": {"param": "p"}}}, p=TEXTS), f"{P}/0/match/or/0", "type"),
    (stages({"match": {"param": "p"}}, p=TEXT), f"{P}/0/match", "type"),
    # group
    (stages({"group": "category"}), f"{P}/0/group", "type"),
    (stages({"group": {"by": "categry"}}), f"{P}/0/group/by", "unknown_field"),
    (stages({"group": {"by": ["category", "x"]}}), f"{P}/0/group/by/1", "unknown_field"),
    (stages({"group": {"by": ["name", 5]}}), f"{P}/0/group/by/1", "type"),
    (stages({"group": {"by": []}}), f"{P}/0/group/by", "type"),
    (stages({"group": {"by": 5}}), f"{P}/0/group/by", "type"),
    (stages({"group": {"by": ["name", "name"]}}), f"{P}/0/group/by/1", "repeated"),
    (stages({"group": {"by": "name", "name": {"count": True}}}), f"{P}/0/group/name", "repeated"),
    (stages({"group": {"total": "price"}}), f"{P}/0/group/total", "type"),
    (stages({"group": {"total": {"summ": "price"}}}), f"{P}/0/group/total/summ", "unknown_accumulator"),
    (stages({"group": {"total": {"$sum": "$price"}}}), f"{P}/0/group/total/$sum", "unknown_accumulator"),
    (stages({"group": {"t": {"accumulator": {}}}}), f"{P}/0/group/t/accumulator", "unknown_accumulator"),
    (stages({"group": {"total": {"sum": "total"}}}), f"{P}/0/group/total/sum", "unknown_field"),
    (stages({"group": {"total": {"sum": "name"}}}), f"{P}/0/group/total/sum", "type"),
    (stages({"group": {"total": {"sum": "lines.count"}}}), f"{P}/0/group/total/sum", "type"),
    (stages({"group": {"n": {"count": 1}}}), f"{P}/0/group/n/count", "form"),
    (stages({"group": {"$total": {"count": True}}}), f"{P}/0/group/$total", "name"),
    (stages({"group": {"_id": {"count": True}}}), f"{P}/0/group/_id", "name"),
    (stages({"group": {"a.b": {"count": True}}}), f"{P}/0/group/a.b", "name"),
    (stages({"group": {f"n{n}": {"count": True} for n in range(51)}}), f"{P}/0/group", "too_complex"),
    (stages({"group": {}}, {"match": {"price": 1}}), f"{P}/1/match/price", "unknown_field"),
    # project, set, expressions
    (stages({"project": []}), f"{P}/0/project", "type"),
    (stages({"project": {}}), f"{P}/0/project", "type"),
    (stages({"project": ["name", "lines.x"]}), f"{P}/0/project/1", "unknown_field"),
    (stages({"project": ["name", "lines.product", "lines.product"]}), f"{P}/0/project/2", "repeated"),
    (stages({"project": ["name"] * 51}), f"{P}/0/project", "too_complex"),
    (stages({"set": {"_owner": {"value": "me"}}}), f"{P}/0/set/_owner", "name"),
    (project("$price"), X, "unknown_field"),
    (project("$$ROOT"), X, "unknown_field"),
    (project("lines.0"), X, "unknown_field"),
    (project(["price"]), X, "type"),
    (project({}), X, "type"),
    (project({"add": [1, 2], "abs": 1}), X, "type"),
    (project({"$add": ["price", 1]}), f"{X}/$add", "unknown_function"),
    (project({"getField": "price"}), f"{X}/getField", "unknown_function"),
    (project({"value": {"a": 1}}), f"{X}/value", "type"),
    (project({"value": 2**63}), f"{X}/value", "range"),
    (project({"param": "p"}), f"{X}/param", "unknown_parameter"),
    (project({"add": ["price"]}), f"{X}/add", "form"),
    (project({"add": ["price", "name"]}), f"{X}/add/1", "type"),
    (project({"add": ["price", {"param": "p"}]}, p=TEXT), f"{X}/add/1", "type"),
    (project({"size": "name"}), f"{X}/size", "type"),
    (project({"eq": ["price", {"value": "x"}]}), f"{X}/eq/1", "type"),
    (project({"eq": ["price", "name"]}), f"{X}/eq/1", "type"),
    (project({"truncate": ["sold_at", "fortnight"]}), f"{X}/truncate/1", "enum"),
    (project({"truncate": ["sold_at", "day", "Mars/Base"]}), f"{X}/truncate/2", "enum"),
    (project({"truncate": ["sold_at", {"param": "p"}]}, p=TEXT), f"{X}/truncate/1", "enum"),
    (project({"round": ["price", 21]}), f"{X}/round/1", "range"),
    (project({"object": {"$where": 1}}), f"{X}/object/$where", "name"),
    (project({"add": [1] * 21}), f"{X}/add", "form"),
    (project(deep(10)), X + "/abs" * 10, "too_complex"),
    (project({"object": {f"m{n}": {"add": [1] * 19} for n in range(20)}}), "/queries/q", "too_complex"),
    # sort, limit, skip, unwind, count
    (stages({"sort": ["name"]}), f"{P}/0/sort", "type"),
    (stages({"sort": "-prise"}), f"{P}/0/sort", "unknown_field"),
    (stages({"sort": "address"}), f"{P}/0/sort", "type"),
    (stages({"limit": 0}), f"{P}/0/limit", "range"),
    (stages({"limit": 1.5}), f"{P}/0/limit", "range"),
    (stages({"limit": 1001}), f"{P}/0/limit", "range"),
    (stages({"skip": 10_001}), f"{P}/0/skip", "range"),
    (stages({"limit": {"param": "p"}}), f"{P}/0/limit/param", "unknown_parameter"),
    (stages({"limit": {"param": "p"}}, p=TEXT), f"{P}/0/limit/param", "type"),
    (stages({"unwind": "name"}), f"{P}/0/unwind", "type"),
    (stages({"unwind": "nam"}), f"{P}/0/unwind", "unknown_field"),
    (stages({"unwind": "lines.count"}), f"{P}/0/unwind", "type"),
    (stages({"unwind": {"field": "tags", "keep_empty": 1}}), f"{P}/0/unwind/keep_empty", "type"),
    (stages({"unwind": {"path": "tags"}}), f"{P}/0/unwind/path", "unknown"),
    (stages({"unwind": 5}), f"{P}/0/unwind", "type"),
    (stages({"count": "$n"}), f"{P}/0/count", "name"),
    (stages({"count": 5}), f"{P}/0/count", "name"),
    # lookup
    (stages({"lookup": "maker"}), f"{P}/0/lookup", "type"),
    (stages({"lookup": {"from": "_users", "field": "maker"}}), f"{P}/0/lookup/from", "unknown"),
    (stages({"lookup": {"field": "name", "as": "x", "fields": ["name"]}}), f"{P}/0/lookup/field", "type"),
    (stages({"lookup": {"field": "maker", "as": "$x", "fields": ["name"]}}), f"{P}/0/lookup/as", "name"),
    (stages({"lookup": {"field": "maker", "as": "id", "fields": ["name"]}}), f"{P}/0/lookup/as", "name"),
    (stages({"lookup": {"field": "maker", "as": "x", "fields": []}}), f"{P}/0/lookup/fields", "type"),
    (stages({"lookup": {"field": "maker", "as": "x", "fields": ["$a"]}}), f"{P}/0/lookup/fields/0", "name"),
    (
        stages(*[{"lookup": {"field": "maker", "as": "x", "fields": ["name"]}}] * 4),
        f"{P}/3/lookup",
        "too_complex",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("queries", "pointer", "code"), TABLE, ids=[f"{p} {c}" for _, p, c in TABLE])
async def test_invalid_query_is_refused_with_pointer_and_code(
    shop: ShopService, queries: Any, pointer: str, code: str
) -> None:
    client, admin = shop.client, shop.people["admin"]
    before = (await client.get("/api/collections/sales", headers=admin)).json()["data"]
    answer = await client.put(
        "/api/collections/sales", json={"schema": before["schema"], "queries": queries}, headers=admin
    )
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "definition.invalid"
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [(pointer, code)]
    assert (await client.get("/api/collections/sales", headers=admin)).json()["data"] == before


async def test_all_errors_of_all_queries_are_reported(shop: ShopService) -> None:
    queries = {"a": {"pipeline": [{"mach": {}}], "limit": 0}, "b": {"pipeline": [{"count": "a.b"}]}}
    answer = await shop.save("queries", queries)
    assert answer.json()["errors"] == [
        {
            "pointer": "/queries/a/limit",
            "code": "range",
            "detail": "the limit is not a whole number from 1 to 1000",
        },
        {
            "pointer": "/queries/a/pipeline/0/mach",
            "code": "unknown_stage",
            "detail": "there is no stage `mach`",
            "hint": "Did you mean `match`?",
        },
        {
            "pointer": "/queries/b/pipeline/0/count",
            "code": "name",
            "detail": "the name `a.b` contains a dot",
        },
    ]


async def test_refusal_has_hint_with_fix(shop: ShopService) -> None:
    for queries, hint in (
        (stages({"$match": {}}), "Write `match`, without `$`."),
        (project({"$add": [1, 2]}), "Did you mean `add`?"),
        (project("prise"), "Did you mean `price`?"),
        (project("Zürich"), 'A text that is no field is written {"value": "Zürich"}.'),
        (project({"abs": "lines.count"}), "`unwind` gives the elements of an array one by one."),
        (stages({"limit": 1}, **{"a-b": TEXT}), "Use a letter, then up to 63 letters, digits and `_`."),
    ):  # fmt: skip
        assert (await shop.save("queries", queries)).json()["errors"][0]["hint"] == hint


async def test_schema_change_that_breaks_query_is_refused(shop: ShopService) -> None:
    client, admin = shop.client, shop.people["admin"]
    before = (await client.get("/api/collections/sales", headers=admin)).json()["data"]
    answer = await shop.save("schema", {"properties": {"price": None}})
    assert answer.status_code == 400
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [
        ("/queries/good/pipeline/0/group/total/sum", "unknown_field")
    ]
    assert (await client.get("/api/collections/sales", headers=admin)).json()["data"] == before
    assert await shop.run("good") == [
        {"category": None, "total": 5.5},
        {"category": "office", "total": 120.0},
    ]


async def test_definition_includes_queries_and_may_have_none_stored(shop: ShopService) -> None:
    admin = shop.people["admin"]
    read = await shop.client.get("/api/collections/sales", headers=admin)
    assert read.json()["data"]["queries"] == GOOD
    read = await shop.client.get("/api/collections/makers", headers=admin)
    assert read.json()["data"]["queries"] == {}
    definitions = shop.database["_collections"]
    definitions.update_one({"_id": "makers"}, {"$unset": {"queries_text": ""}, "$inc": {"_version": 1}})
    read = await shop.client.get("/api/makers/queries", headers=admin)
    assert (read.status_code, read.json()) == (200, {"data": []})


def test_limits_table_lists_every_limit() -> None:
    table = limits.as_markdown()
    named = [name for name in vars(limits) if name.isupper() and name != "MEANINGS"]
    assert all(f"| `{name}` | {getattr(limits, name)} |" in table for name in named)


def test_query_that_is_not_json_is_refused() -> None:
    with pytest.raises(DefinitionInvalid):
        parse({"q": {"pipeline": [{"match": {"x": object()}}]}}, Field())
