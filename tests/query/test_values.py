"""Values take the types of the schema: combinations, nothing at all, formats, arrays within arrays."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from bson import Binary, Decimal128, ObjectId

from service import schema as schemas
from service.query import parse_filter, parse_list, to_mongo

DAY = datetime(2026, 1, 1, tzinfo=UTC)
UNIQUE = UUID(int=7)
FORMATS = ("date-time", "date", "objectid", "uuid", "int64", "decimal", "binary")
OF = {name: {"type": "string", "format": name} for name in FORMATS}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "$defs": {"money": {"allOf": [OF["decimal"], {"minLength": 1}]}},
    "properties": {
        **OF,
        "any": {"anyOf": [OF["date-time"], OF["int64"], {"type": "null"}]},
        "one": {"oneOf": [{"type": "integer"}, {"type": "array", "items": OF["uuid"]}]},
        "ref": {"$ref": "#/$defs/money"},
        "nullable": {"type": ["string", "null"], "format": "decimal"},
        "forms": {
            "anyOf": [
                {"type": "object", "properties": {"a": OF["date"]}},
                {"type": "object", "properties": {"a": {"type": "boolean"}, "b": {"type": "integer"}}},
            ]
        },
        "deep": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "in": {
                        "type": "array",
                        "items": {"type": "object", "properties": {"when": OF["date-time"]}},
                    }
                },
            },
        },
        "grid": {"type": "array", "items": {"type": "array", "items": OF["decimal"]}},
        "enum": {"enum": [1, "a", None, [1]]},
        "tuple": {"type": "array", "prefixItems": [OF["date"], {"type": "integer"}], "items": False},
        "maybe": {"type": ["array", "null"], "items": {"type": ["string", "null"], "format": "date-time"}},
    },
}
ROOT = schemas.compile(SCHEMA).root


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("date-time", "2026-01-01T01:00:00+01:00", {"$eq": DAY}),
        ("date", "2026-01-01", {"$eq": DAY}),
        ("objectid", "5f" * 12, {"$eq": ObjectId("5f" * 12)}),
        ("uuid", str(UNIQUE), {"$eq": UNIQUE}),
        ("int64", "9007199254740993", {"$eq": 9007199254740993}),
        ("decimal", "1.50", {"$eq": Decimal128("1.50")}),
        ("binary", "AAEC", {"$eq": Binary(b"\x00\x01\x02")}),
        ("any", "2026-01-01", {"$eq": DAY}),
        ("any", "12", {"$eq": 12}),
        ("any", "null", {"$eq": None}),
        ("one", "5", {"$eq": 5}),
        ("one", str(UNIQUE), {"$eq": UNIQUE}),
        ("ref", "1.50", {"$eq": Decimal128("1.50")}),
        ("nullable", "null", {"$eq": None}),
        ("forms.a", "2026-01-01", {"$eq": DAY}),
        ("forms.a", "true", {"$eq": True}),
        ("forms.b", "1", {"$eq": 1}),
        ("deep.in.when", "2026-01-01", {"$eq": DAY}),
        ("deep.0.in.1.when", "2026-01-01", {"$eq": DAY}),
        ("grid.0.1", "1.50", {"$eq": Decimal128("1.50")}),
        ("enum", "1", {"$in": [1, "1"]}),
        ("tuple.0", "2026-01-01", {"$eq": DAY}),
        ("tuple.1", "3", {"$eq": 3}),
        ("maybe", "2026-01-01", {"$eq": DAY}),
        ("maybe", "null", {"$eq": None}),
    ],
)
def test_filter_text_takes_type_of_schema(name: str, text: str, expected: dict[str, Any]) -> None:
    where = parse_list([(f"filter[{name}]", text)], ROOT).where
    assert where is not None
    assert to_mongo(where) == {name: expected}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("any", 12, {"$eq": 12}),
        ("one", [str(UNIQUE)], {"$eq": [UNIQUE]}),
        ("nullable", 1.5, {"$eq": Decimal128("1.5")}),
        ("enum", [1], {"$eq": [1]}),
        ("tuple", ["2026-01-01", 3], {"$eq": [DAY, 3]}),
        ("maybe", [None, "2026-01-01"], {"$eq": [None, DAY]}),
        ("grid", [["1.50"], []], {"$eq": [[Decimal128("1.50")], []]}),
        ("grid", ["1.50"], {"$eq": [Decimal128("1.50")]}),
        ("grid", [], {"$eq": []}),
        ("grid", {"ne": ["1"]}, {"$ne": [Decimal128("1")]}),
        ("grid", {"in": [["1"], [["2"]]]}, {"$in": [[Decimal128("1")], [[Decimal128("2")]]]}),
        ("grid.0", ["1"], {"$eq": [Decimal128("1")]}),
        ("grid", {"elem": {"elem": {"gt": "1"}}}, {"$elemMatch": {"$elemMatch": {"$gt": Decimal128("1")}}}),
        (
            "deep",
            {"elem": {"in": {"elem": {"when": {"lt": "2026-01-01"}}}}},
            {"$elemMatch": {"in": {"$elemMatch": {"when": {"$lt": DAY}}}}},
        ),
    ],
)
def test_filter_json_takes_type_of_schema(name: str, value: Any, expected: dict[str, Any]) -> None:
    assert to_mongo(parse_filter({name: value}, ROOT)) == {name: expected}
