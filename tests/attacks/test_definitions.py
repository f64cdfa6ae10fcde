"""Attacks by administrators' own definitions: a hostile schema is refused at once, and fetches nothing."""

import json
from typing import Any

import pytest

from tests.attacks.conftest import AttackedService
from tests.pace import within

LONG_S = 2.0


def members(name: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {}}}


def below(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}}


def referring(definitions: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": definitions}


CHAIN = {f"d{level}": {"$ref": f"#/$defs/d{level + 1}"} for level in range(150)} | {"d150": {}}
CIRCLE = {"d0": {"$ref": "#/$defs/d1"}, "d1": {"$ref": "#/$defs/d0"}}
BOMB = {f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 8} for level in range(10)} | {"d10": {}}
SCHEMAS: list[Any] = [
    pytest.param(below({"$ref": "https://evil.example/schema.json"}), id="A44-remote"),
    pytest.param(below({"$ref": "//evil.example/schema.json"}), id="A44-remote-without-scheme"),
    pytest.param(below({"$ref": "file:///etc/passwd"}), id="A44-file"),
    pytest.param(below({"$ref": "other.json#/a"}), id="A44-relative"),
    pytest.param(below({"$ref": "https://json-schema.org/draft/2020-12/schema"}), id="A44-meta-schema"),
    pytest.param(below({"$dynamicRef": "https://evil.example/#a"}), id="A44-remote-dynamic"),
    pytest.param(below({"$dynamicRef": "#nowhere"}), id="A44-dynamic-to-nowhere"),
    pytest.param(below({"$id": "https://evil.example/a"}), id="A44-id-within"),
    pytest.param({"type": "object", "$id": "file:///etc/"}, id="A44-id-of-a-file"),
    pytest.param({"type": "object", "$schema": "https://evil.example/meta"}, id="A44-foreign-dialect"),
    pytest.param({"type": "object", "$ref": "#"}, id="A44-circle"),
    pytest.param({"type": "object", "allOf": [{"$ref": "#"}]}, id="A44-circle-through-all-of"),
    pytest.param(
        {"type": "object", "not": {"$dynamicRef": "#a"}, "$dynamicAnchor": "a"}, id="A44-dynamic-circle"
    ),
    pytest.param(referring(CIRCLE), id="A44-circle-of-two"),
    pytest.param(
        {"type": "object", "properties": {"a": {"$anchor": "x"}, "b": {"$anchor": "x"}}}, id="A44-anchors"
    ),
    pytest.param(referring(CHAIN), id="A44-chain"),
    pytest.param(referring(BOMB), id="A44-doubling"),
    pytest.param(below({"allOf": [{"type": "string"}] * 3000}), id="A44-many"),
    pytest.param(below({"enum": list(range(60_000))}), id="A44-long-enum"),
    pytest.param(below({"description": "x" * 900_000}), id="A44-large"),
    pytest.param(below({"maximum": 2**70}), id="A44-number-beyond-64-bits"),
    pytest.param({"type": "object", "examples": [2**64]}, id="A44-example-beyond-64-bits"),
    pytest.param(below({"maxLength": -1}), id="A44-negative-length"),
    pytest.param(below({"maxLength": "9" * 400}), id="A44-length-as-text"),
    pytest.param(below({"pattern": "(a+)+$(?=b)"}), id="A12-look-around"),
    pytest.param(below({"pattern": "(.)\\1"}), id="A12-backreference"),
    pytest.param(below({"pattern": "(" * 500 + "a" + ")" * 500}), id="A12-deep-pattern"),
    pytest.param(below({"pattern": "((a{1,1000}){1,1000}){1,1000}"}), id="A12-large-pattern"),
    pytest.param(below({"patternProperties": {"[": {}}}), id="A12-no-pattern"),
    pytest.param(members("__proto__"), id="A40-prototype"),
    pytest.param(members("__class__"), id="A40-class"),
    pytest.param(members("$where"), id="A4-operator"),
    pytest.param(members("a.b"), id="A4-dot"),
    pytest.param(members("a\0"), id="A4-nul"),
    pytest.param(members("n" * 256), id="A4-long-name"),
    pytest.param(members("id"), id="A37-id"),
    pytest.param(members("_owner"), id="A5-system-field"),
]  # fmt: skip


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("schema", SCHEMAS)
async def test_hostile_schema_returns_400_quickly(
    attacked: AttackedService, schema: dict[str, Any], method: str
) -> None:
    path = "/api/collections" if method == "POST" else "/api/collections/free"
    body = {"schema": schema} | ({"name": "hostile"} if method == "POST" else {})
    before = attacked.stored()
    with within(LONG_S):
        answer = await attacked.client.request(method, path, json=body, headers=attacked.people["admin"])
    assert (answer.status_code, answer.json()["code"]) == (400, "definition.invalid"), answer.text[:500]
    assert attacked.stored() == before


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "items"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a44_schema_nested_10000_levels_returns_400(
    attacked: AttackedService, method: str, keyword: str
) -> None:
    opening, closing = (f'{{"{keyword}":[', "]}") if keyword != "items" else ('{"items":', "}")
    text = '{"name":"hostile","schema":{"type":"object","properties":{"a":%s{}%s}}}'
    path = "/api/collections" if method == "POST" else "/api/collections/free"
    headers = attacked.people["admin"] | {"Content-Type": "application/json"}
    before = attacked.stored()
    content = text % (opening * 10_000, closing * 10_000)
    answer = await attacked.client.request(method, path, content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "json.invalid")
    assert attacked.stored() == before


INDEXES: list[Any] = [
    pytest.param({"fields": ["$**"]}, id="A41-wildcard"),
    pytest.param({"text": ["$**"]}, id="A41-wildcard-text"),
    pytest.param({"fields": ["a\0b"]}, id="A41-nul"),
    pytest.param({"fields": ["_secret"]}, id="A41-underscore"),
    pytest.param({"fields": ["a.$b"]}, id="A41-operator"),
    pytest.param({"fields": ["a", "a"]}, id="A41-repeated"),
    pytest.param({"geo": "a", "unique": True}, id="A41-unique-place"),
    pytest.param({"fields": ["a"], "where": {"$where": "1"}}, id="A3-where-of-an-index"),
    pytest.param({"fields": ["a"], "where": {"a": {"contains": "x"}}}, id="A41-where-that-no-index-has"),
    pytest.param({"fields": ["a"], "where": {"not": {"a": 1}}}, id="A41-not-in-an-index"),
    pytest.param({"fields": ["a"], "collation": {"locale": "zz"}}, id="A41-collation"),
    pytest.param({"fields": ["a"], "ttl_s": 1e9}, id="A41-ttl-of-no-date"),
]


@pytest.mark.parametrize("index", INDEXES)
async def test_invalid_index_returns_400_without_driver_details(
    attacked: AttackedService, index: Any
) -> None:
    body = {"name": "hostile", "schema": {"type": "object"}, "indexes": [index]}
    before = attacked.stored()
    for method, path in (("POST", "/api/collections"), ("PATCH", "/api/collections/free")):
        sent = body if method == "POST" else {"indexes": [index]}
        answer = await attacked.client.request(method, path, json=sent, headers=attacked.people["admin"])
        assert (answer.status_code, answer.json()["code"]) == (400, "definition.invalid"), answer.text
        for word in ("pymongo", "Traceback", "errmsg", "127.0.0.1", "createIndexes"):
            assert word not in json.dumps(answer.json())
    now = attacked.stored()
    for stored in (before, now):  # MongoDB keeps an empty collection of what an index could not be built on
        stored.pop("hostile", None)
    assert now == before


NO_ID_TYPES: list[Any] = [[], {}, 1, 0, True, "INTEGER"]
MISTYPED: dict[str, list[Any]] = {
    "options": [*({"id_type": each} for each in NO_ID_TYPES), [], "x", 1, None],
    "rules": [[], "anyone", None, {"read": None}, {"read": [[]]}, {"read": {}}],
    "indexes": [{}, None, [None], [[]], [{"fields": [[]]}], [{"geo": {}}]],
    "name": [{}, [], None, 1, "", "a" * 64, "a\n", "users", "-a", "\u0430bc"],
    "__class__": [{}],
    "schema": [None, [], True, "object"],
}


@pytest.mark.parametrize(
    ("member", "value"),
    [pytest.param(name, each, id=f"A4-{name}-{each}") for name in MISTYPED for each in MISTYPED[name]],
)
async def test_definition_member_of_wrong_type_returns_400_with_pointer(
    attacked: AttackedService, member: str, value: Any
) -> None:
    before = attacked.stored()
    body = {"name": "hostile", "schema": {"type": "object"}, member: value}
    answer = await attacked.client.post("/api/collections", json=body, headers=attacked.people["admin"])
    assert (answer.status_code, answer.json()["code"]) == (400, "definition.invalid"), answer.text
    assert answer.json()["errors"][0]["pointer"].startswith(f"/{member}")
    assert attacked.stored() == before
