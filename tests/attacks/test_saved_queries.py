"""Attacks through saved queries: nothing hidden comes out, whatever a definition or a parameter says."""

from typing import Any

import httpx
import pytest
import pytest_asyncio

from service import schema as schemas
from service.kit.errors import DefinitionInvalid
from service.saved_queries.definition import parse
from service.saved_queries.limits import MAXIMUM_QUERIES
from tests.attacks.conftest import AttackedService, made

SECRET: dict[str, Any] = {"type": "string", "writeOnly": True}
WITH_SECRET: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "secret": SECRET},
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "secret": SECRET,
        "all": {"type": "object", "writeOnly": True},
        "one": WITH_SECRET,
        "many": {"type": "array", "items": WITH_SECRET},
        "grid": {"type": "array", "items": {"type": "array", "items": WITH_SECRET}},
        "either": {"anyOf": [{"type": "string"}, WITH_SECRET, {"type": "array", "items": WITH_SECRET}]},
        "map": {"type": "object", "additionalProperties": WITH_SECRET},
        "patterns": {"type": "object", "patternProperties": {"^s": SECRET}},
        "tree": {"$ref": "#/$defs/tree"},
        "list": {"type": "array", "items": SECRET},
        "friend": {"type": "string", "format": "objectid", "x-collection": "closets"},
        "stranger": {"type": "string", "format": "objectid", "x-collection": "cellars"},
    },
    "$defs": {
        "tree": {
            "type": "object",
            "properties": {
                "secret": SECRET,
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
            },
        }
    },
}
HIDDEN = {"name": "seen", "secret": "hidden-1"}
CLOSET: dict[str, Any] = {
    "name": "seen",
    "secret": "hidden-2",
    "all": {"x": "hidden-3"},
    "one": HIDDEN,
    "many": [HIDDEN, HIDDEN],
    "grid": [[HIDDEN], [HIDDEN, HIDDEN]],
    "either": [HIDDEN],
    "map": {"a": HIDDEN, "secret": HIDDEN},
    "patterns": {"s": "hidden-4", "sx": "hidden-5"},
    "tree": {
        "name": "seen",
        "secret": "hidden-6",
        "children": [{"secret": "hidden-7", "children": [{"secret": "hidden-8"}]}],
    },
    "list": ["hidden-9"],
}
ROOT = schemas.compile(SCHEMA).root
VISIBLE = ("one", "many", "grid", "either", "map", "patterns", "tree", "list")
HIDDEN_PATHS = (
    "secret", "all", "all.x", "one.secret", "many.secret", "grid.secret", "either.secret", "map.a.secret",
    "map.secret", "map.secret.secret", "patterns.s", "tree.secret", "tree.children.secret",
    "tree.children.children.secret", "list", "many.0.secret", "$secret", "$$ROOT", "$$CURRENT.secret",
    "$$ROOT.secret", "_id", "id.secret",
)  # fmt: skip


def expressions() -> list[Any]:
    """Return every way to say a path in an expression."""
    found: list[Any] = []
    for path in (*HIDDEN_PATHS, *VISIBLE):
        found += [path, {"object": {"x": path}}, {"if_null": [path, 1]}, {"if": [True, path, path]}]
        found += [
            {"size": path},
            {"length": path},
            {"eq": [path, {"value": "hidden-1"}]},
            {"concat": [path, path]},
        ]
    return found


def pipelines() -> list[list[dict[str, Any]]]:
    """Return every way to reach for what is hidden: most are refused, and the others find nothing."""
    tried: list[list[dict[str, Any]]] = [[{"limit": 5}]]
    tried += [[{"project": {"x": each}}] for each in expressions()]
    for path in (*HIDDEN_PATHS, *VISIBLE):
        tried += [
            [{"match": {path: {"startswith": "hidden"}}}],
            [{"match": {path: {"exists": True}}}],
            [{"match": {path: {"elem": {"secret": {"contains": "hidden"}}}}}],
            [{"group": {"by": path}}],
            [{"group": {"x": {"push": path}, "y": {"first": path}, "z": {"max": path}}}],
            [{"group": {"x": {"add_to_set": path}}}],
            [{"group": {"x": {"count_distinct": path}}}],
            [{"sort": path}],
            [{"unwind": path}],
            [{"unwind": path}, {"unwind": path}, {"project": {"x": path}}],
            [{"project": [path]}],
            [{"set": {"x": path}}, {"project": {"y": "x.secret"}}],
            [{"set": {"x": path}}, {"project": {"y": "x"}}],
            [{"set": {path: "name"}}],
            [{"lookup": {"field": "friend", "as": "x", "fields": [path]}}],
            [{"lookup": {"field": path, "as": "x", "fields": ["name"]}}],
        ]
    tried += [
        [{"project": {"x": {"value": "$secret"}}}],
        [{"project": {"x": {"value": {"$getField": "secret"}}}}],
        [{"project": {"x": {"$getField": "secret"}}}],
        [{"project": {"x": {"$objectToArray": "$$ROOT"}}}],
        [{"project": {"x": {"$function": {"body": "return 1", "args": [], "lang": "js"}}}}],
        [{"group": {"x": {"$accumulator": {}}}}],
        [{"match": {"$expr": {"$eq": ["$secret", "hidden-2"]}}}],
        [{"match": {"$where": "this.secret"}}],
        [{"match": {"or": [{"and": [{"secret": {"exists": True}}]}]}}],
        [{"match": {"not": {"one.secret": "x"}}}],
        [{"lookup": {"from": "_users", "as": "x"}}],
        [{"$lookup": {"from": "_users", "pipeline": [], "as": "x"}}],
        [{"$unionWith": "_users"}],
        [{"$out": "products"}],
        [{"$merge": {"into": "products"}}],
        [{"$facet": {"x": [{"$match": {}}]}}],
        [{"lookup": {"field": "friend", "as": "secret", "fields": ["name"]}}, {"project": ["secret"]}],
        [{"set": {"secret": "name"}}, {"project": ["secret"]}],
        [{"group": {"secret": {"first": "name"}}}, {"project": {"x": "secret"}}],
    ]
    return tried


def is_refused(pipeline: list[dict[str, Any]]) -> bool:
    try:
        parse({"q": {"pipeline": pipeline}}, ROOT)
    except DefinitionInvalid:
        return True
    return False


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def closets(attacked: AttackedService) -> str:
    """Provide the path of a collection with hidden members everywhere, each with "hidden" in its value."""
    body: dict[str, Any] = {
        "name": "closets",
        "schema": SCHEMA,
        "rules": {"read": "anyone", "create": "user"},
    }
    await made(attacked, "/api/collections", body, "admin")
    friend = await made(attacked, "/api/closets", CLOSET, "ann")
    await made(attacked, "/api/closets", CLOSET | {"friend": friend["id"], "either": HIDDEN}, "ann")
    return "/api/closets"


async def save(attacked: AttackedService, queries: Any) -> httpx.Response:
    schema, rules = SCHEMA, {"read": "anyone", "create": "user"}
    body = {"schema": schema, "rules": rules, "queries": queries}
    return await attacked.client.put("/api/collections/closets", json=body, headers=attacked.people["admin"])


async def test_saved_query_returns_no_hidden_value(attacked: AttackedService, closets: str) -> None:
    """Also in an administrator's query, which the whole world may run."""
    before = attacked.stored()["closets"]
    every = pipelines()
    harmless = [pipeline for pipeline in every if not is_refused(pipeline)]
    assert 50 < len(harmless) < len(every) / 2
    for start in range(0, len(harmless), MAXIMUM_QUERIES):
        queries = {
            f"q{number}": {"pipeline": each}
            for number, each in enumerate(harmless[start : start + MAXIMUM_QUERIES])
        }
        assert (await save(attacked, queries)).status_code == 200
        for name, query in queries.items():
            for who in (None, "admin"):
                answer = await attacked.client.get(f"{closets}/queries/{name}", headers=attacked.people[who])
                assert answer.status_code in {200, 409}, (query, answer.text)
                assert b"hidden" not in answer.content, query
                told = answer.json().get("data", [])
                assert not any(each.get("x") is True for each in told), query
    assert attacked.stored()["closets"] == before


FORBIDDEN: list[dict[str, Any]] = [
    *({"project": {"x": path}} for path in HIDDEN_PATHS),
    *({"match": {path: {"exists": True}}} for path in HIDDEN_PATHS if path != "list"),
    *({"group": {"by": path}} for path in HIDDEN_PATHS),
    *({"sort": path} for path in HIDDEN_PATHS),
    {"$out": "products"},
    {"$merge": {"into": "products"}},
    {"$unionWith": "_users"},
    {"$lookup": {"from": "_users", "pipeline": [], "as": "x"}},
    {"$graphLookup": {"from": "_users"}},
    {"$facet": {"x": [{"$match": {}}]}},
    {"$currentOp": {}},
    {"$listSessions": {}},
    {"lookup": {"from": "_users", "field": "friend", "as": "x", "fields": ["name"]}},
    {"match": {"$where": "this.secret"}},
    {"match": {"$expr": {"$eq": ["$secret", "x"]}}},
    {"project": {"x": {"$function": {"body": "return 1", "args": [], "lang": "js"}}}},
    {"project": {"x": {"$getField": "secret"}}},
    {"project": {"x": {"$objectToArray": "$$ROOT"}}},
    {"project": {"x": {"value": {"$getField": "secret"}}}},
    {"group": {"x": {"$accumulator": {}}}},
    {"set": {"__proto__": {"value": 1}, "$secret": "name"}},
]


async def test_saved_query_with_hidden_path_or_mongodb_operator_is_refused(
    attacked: AttackedService, closets: str
) -> None:
    before = attacked.stored()
    for start in range(0, len(FORBIDDEN), 50):
        part = {
            f"q{number}": {"pipeline": [each]} for number, each in enumerate(FORBIDDEN[start : start + 50])
        }
        answer = await save(attacked, part)
        assert (answer.status_code, answer.json()["code"]) == (400, "definition.invalid")
        assert {each["pointer"].split("/")[2] for each in answer.json()["errors"]} == part.keys()
    assert attacked.stored() == before
    assert (await attacked.client.get(f"{closets}/queries/q0")).status_code in {200, 404}


async def test_saved_query_on_hidden_field_is_refused_like_unknown_field(
    attacked: AttackedService, closets: str
) -> None:
    told = []
    for name in ("secret", "absent"):
        answer = await save(attacked, {"q": {"pipeline": [{"match": {name: 1}}, {"sort": name}]}})
        told.append(answer.text.replace(name, "x").replace(answer.headers["x-request-id"], ""))
    assert told[0] == told[1]


@pytest.mark.parametrize("who", [None, "ann"])
async def test_saving_query_requires_admin(attacked: AttackedService, closets: str, who: str | None) -> None:
    before = attacked.stored()
    body = {"queries": {"q": {"pipeline": [{"limit": 1}]}}}
    answer = await attacked.client.patch("/api/collections/closets", json=body, headers=attacked.people[who])
    assert answer.status_code == (403 if who else 401)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = await attacked.client.request(
            method, f"{closets}/queries/q", json=body, headers=attacked.people[who]
        )
        assert answer.status_code == 405
    assert attacked.stored() == before
