import copy
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from bson import Binary, Decimal128, Int64, ObjectId

from service.kit.errors import DocumentInvalid, Violation
from service.schema import Schema
from service.schema import compile as compile_schema

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = datetime(2026, 11, 22, tzinfo=UTC)
NOON_TEXT = "2026-11-22T12:00:00Z"
TIME = {"type": "string", "format": "date-time"}
ID_TEXT = "5eb7cf5a86d9755df3a6c593"


def schema_with(member: Any, **more: Any) -> Schema:
    return compile_schema({"type": "object", "properties": {"a": member}, **more})


@pytest.mark.parametrize(
    ("member", "value", "stored"),
    [
        (TIME, NOON_TEXT, NOON),
        ({"type": "string", "format": "date"}, "2026-11-22", DAY),
        ({"type": "string", "format": "objectid"}, ID_TEXT, ObjectId(ID_TEXT)),
        (
            {"type": "string", "format": "uuid"},
            "2eb8aa08-aa98-11ea-b4aa-73b441d16380",
            UUID("2eb8aa08-aa98-11ea-b4aa-73b441d16380"),
        ),
        ({"type": "integer", "format": "int64"}, 5, Int64(5)),
        ({"type": ["string", "integer"], "format": "int64"}, "9007199254740993", Int64(9007199254740993)),
        ({"type": "string", "format": "decimal"}, "12.50", Decimal128("12.50")),
        ({"type": "string", "format": "binary"}, "aGk=", Binary(b"hi")),
        ({"type": ["string", "null"], "format": "date"}, None, None),
        ({"type": "string", "format": "email"}, "a@example.com", "a@example.com"),
        ({"anyOf": [TIME, {"type": "string"}]}, NOON_TEXT, NOON),
        ({"anyOf": [TIME, {"type": "string"}]}, "soon", "soon"),
        ({"anyOf": [TIME, {"type": "string", "format": "date"}]}, "2026-11-22", DAY),
        ({"anyOf": [TIME, {"type": "number"}]}, 5, 5),
        (
            {"anyOf": [{"properties": {"b": TIME}}, {"required": ["c"]}]},
            {"b": "soon", "c": 1},
            {"b": "soon", "c": 1},
        ),
        ({"type": "array", "items": TIME}, [NOON_TEXT, NOON_TEXT], [NOON, NOON]),
        ({"type": "array", "items": {"type": "array", "items": TIME}}, [[NOON_TEXT], []], [[NOON], []]),
        ({"prefixItems": [{"type": "number"}, TIME], "items": False}, [1, NOON_TEXT], [1, NOON]),
        ({"type": "array", "contains": TIME}, ["x", NOON_TEXT], ["x", NOON]),
        ({"properties": {"b": {"properties": {"c": TIME}}}}, {"b": {"c": NOON_TEXT}}, {"b": {"c": NOON}}),
        ({"additionalProperties": TIME}, {"x": NOON_TEXT}, {"x": NOON}),
        (
            {"patternProperties": {"_at$": TIME}},
            {"made_at": NOON_TEXT, "by": "me"},
            {"made_at": NOON, "by": "me"},
        ),
        ({"anyOf": [{"additionalProperties": TIME}, True]}, {"x": "soon"}, {"x": "soon"}),
        ({"allOf": [{"properties": {"b": True}}], "unevaluatedProperties": TIME}, {"b": "x"}, {"b": "x"}),
        ({"anyOf": [{"unevaluatedItems": TIME}, {"maxItems": 1}]}, ["soon"], ["soon"]),
        ({"$ref": "#/$defs/moment"}, {"at": NOON_TEXT}, {"at": NOON}),
    ],
)
def test_value_is_encoded_by_its_format(member: Any, value: Any, stored: Any) -> None:
    schema = schema_with(member, **{"$defs": {"moment": {"type": "object", "properties": {"at": TIME}}}})
    document = {"a": value, "z": NOON_TEXT}
    before = copy.deepcopy(document)

    assert schema.violations(document) == []
    encoded = schema.encode(document)

    assert encoded == {"a": stored, "z": NOON_TEXT}
    assert type(encoded["a"]) is type(stored)
    assert document == before


def test_document_without_formats_is_encoded_as_same_object() -> None:
    document = {"a": {"b": [1, "2026-11-22"]}}

    assert schema_with({"type": "object"}).encode(document) is document


def test_parts_without_formats_are_shared_with_input() -> None:
    schema = compile_schema({"type": "object", "properties": {"at": TIME, "tags": {"type": "array"}}})
    document = {"at": NOON_TEXT, "tags": ["x"]}

    assert schema.encode(document)["tags"] is document["tags"]


def test_recursive_document_is_encoded_at_every_level() -> None:
    schema = schema_with(TIME, additionalProperties={"$ref": "#"})

    assert schema.encode({"x": {"y": {"a": NOON_TEXT, "z": {}}}}) == {"x": {"y": {"a": NOON, "z": {}}}}


@pytest.mark.parametrize(
    ("member", "value", "detail"),
    [
        ({"format": "date"}, "0000-01-01", '"0000-01-01" cannot be stored: year 0 is out of range'),
        (TIME, "0000-01-01T00:00:00Z", '"0000-01-01T00:00:00Z" cannot be stored: year 0 is out of range'),
    ],
)
def test_value_outside_bson_range_is_refused(member: Any, value: str, detail: str) -> None:
    schema = schema_with({"type": "array", "items": member})

    with pytest.raises(DocumentInvalid) as raised:
        schema.encode({"a": [value]})

    assert raised.value.errors == (Violation(detail, "format", pointer="/a/0"),)


def test_dates_are_decoded_as_days_and_datetimes_unchanged() -> None:
    date = {"type": "string", "format": "date"}
    schema = compile_schema(
        {
            "type": "object",
            "properties": {
                "day": date,
                "time": TIME,
                "either": {"anyOf": [date, TIME]},
                "days": {"type": "array", "items": date},
                "below": {"type": "object", "properties": {"day": {"anyOf": [date, {"type": "null"}]}}},
            },
            "additionalProperties": date,
        }
    )
    stored = {
        "_id": 1,
        "_created_at": NOON,
        "day": DAY,
        "time": DAY,
        "either": DAY,
        "days": [DAY, None],
        "below": {"day": DAY},
        "other": DAY,
    }
    before = copy.deepcopy(stored)

    assert schema.has_text_forms
    assert schema.with_text_forms(stored) == {
        "_id": 1,
        "_created_at": NOON,
        "day": "2026-11-22",
        "time": DAY,
        "either": DAY,
        "days": ["2026-11-22", None],
        "below": {"day": "2026-11-22"},
        "other": "2026-11-22",
    }
    assert stored == before


def test_document_without_dates_is_decoded_as_same_object() -> None:
    schema = schema_with(TIME)
    stored = {"a": DAY}

    assert not schema.has_text_forms
    assert schema.with_text_forms(stored) is stored


@pytest.mark.parametrize(
    ("type_", "stored", "told"),
    [
        (["integer", "string"], 2**53 - 1, 2**53 - 1),
        (["integer", "string"], 2**53, str(2**53)),
        (["integer", "string"], -(2**63), str(-(2**63))),
        ("string", 5, "5"),
        ("string", 2**62, str(2**62)),
        (["string", "null"], 5, "5"),
        (["string", "null"], None, None),
        ("integer", 5, 5),
        ("integer", 2**62, 2**62),
    ],
    ids=str,
)
def test_int64_is_decoded_by_declared_type(type_: str | list[str], stored: Any, told: Any) -> None:
    schema = schema_with({"type": type_, "format": "int64"})
    shown = schema.with_text_forms({"a": stored})
    assert shown == {"a": told}
    assert schema.violations(shown) == []


@pytest.mark.parametrize(
    ("described", "told"),
    [
        ({"allOf": [{"type": ["integer", "string"], "format": "int64"}, {"type": "string"}]}, "5"),
        ({"allOf": [{"type": ["integer", "string"], "format": "int64"}, {"type": "integer"}]}, 5),
        ({"anyOf": [{"type": "string", "format": "int64"}, {"type": "integer"}]}, 5),
        ({"anyOf": [{"type": "string", "format": "int64"}, {"type": "null"}]}, "5"),
        ({"anyOf": [{"type": "string", "format": "int64"}, {"type": "string"}]}, "5"),
        ({"format": "int64", "enum": ["5", "6"]}, "5"),
        ({"format": "int64", "enum": [5, 6]}, 5),
        ({"format": "int64"}, 5),
    ],
    ids=str,
)
def test_int64_is_decoded_by_whole_schema(described: dict[str, Any], told: Any) -> None:
    schema = schema_with(described)
    shown = schema.with_text_forms({"a": 5})
    assert shown == {"a": told}
    assert schema.violations(shown) == []
