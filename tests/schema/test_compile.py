from typing import Any

import pytest

from models.product import Product
from service.kit.errors import DefinitionInvalid
from service.query.fields import Field
from service.query.kinds import Kind
from service.schema import compile as compile_schema
from service.schema import of_model
from service.schema.shapes import JSON_KINDS
from tests.pace import within

TEXT = {"type": "string"}
TIME = {"type": "string", "format": "date-time"}
NUMBER = {"type": "number"}
NULL = {"type": "null"}


def compiled(schema: dict[str, Any]) -> Field:
    return compile_schema({"type": "object", **schema}).root


def kinds(schema: Any, **more: Any) -> set[str]:
    field = compiled({"properties": {"a": schema}, **more}).fields["a"]
    return {kind.value for kind in field.kinds}


ANYTHING = {kind.value for kind in JSON_KINDS}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, ANYTHING),
        (True, ANYTHING),
        (TEXT, {"string"}),
        (NUMBER, {"number"}),
        ({"type": ["integer", "null"]}, {"integer", "null"}),
        (TIME, {"date-time"}),
        ({"type": "string", "format": "email"}, {"string"}),
        ({"type": ["string", "null"], "format": "date"}, {"date", "null"}),
        ({"type": "string", "format": "objectid"}, {"objectid"}),
        ({"type": "string", "format": "uuid"}, {"uuid"}),
        ({"type": "string", "format": "decimal"}, {"decimal"}),
        ({"type": "string", "format": "binary"}, {"binary"}),
        ({"type": "integer", "format": "int64"}, {"int64", "integer"}),
        ({"type": "string", "format": "int64"}, {"int64"}),
        ({"type": ["integer", "string", "null"], "format": "int64"}, {"int64", "null"}),
        ({"type": "number", "format": "date"}, {"number"}),
        ({"format": "date"}, ANYTHING - {"string"} | {"date"}),
        ({"enum": ["a", None]}, {"string", "null"}),
        ({"const": 1}, {"integer"}),
        ({"enum": [True, 1.5, [], {}]}, {"boolean", "number", "array", "object"}),
        ({"anyOf": [TEXT, NULL]}, {"string", "null"}),
        ({"oneOf": [TIME, NUMBER]}, {"date-time", "number"}),
        ({"anyOf": [TEXT, TIME]}, {"string", "date-time"}),
        ({"allOf": [TEXT, {"minLength": 1}]}, {"string"}),
        ({"allOf": [{"type": ["string", "number"]}, {"type": ["number", "null"]}]}, {"number"}),
        ({"allOf": [NUMBER, {"type": "integer"}]}, {"integer"}),
        ({"type": "string", "allOf": [{"format": "date-time"}]}, {"date-time"}),
        ({"type": "string", "if": {"minLength": 9}, "then": TIME}, {"string", "date-time"}),
        ({"if": {"minLength": 9}, "then": TIME, "else": NULL}, {"date-time", "null"}),
        ({"type": "string", "not": {"const": "x"}}, {"string"}),
        ({"$ref": "#/$defs/t"}, {"date-time"}),
        ({"$ref": "#t"}, {"date-time"}),
        ({"anyOf": [{"$ref": "#/$defs/t"}, NULL]}, {"date-time", "null"}),
    ],
)
def test_field_has_kinds_of_its_schema(schema: Any, expected: set[str]) -> None:
    assert kinds(schema, **{"$defs": {"t": {"$anchor": "t", **TIME}}}) == expected


AUTHOR = {"type": "string", "x-collection": "authors"}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (AUTHOR, "authors"),
        ({"x-collection": "authors"}, "authors"),
        ({"anyOf": [TEXT, NULL], "x-collection": "authors"}, "authors"),
        ({"anyOf": [AUTHOR, NULL]}, "authors"),
        ({"anyOf": [AUTHOR, {**AUTHOR, "format": "objectid"}]}, "authors"),
        ({"allOf": [TEXT, {"x-collection": "authors"}]}, "authors"),
        ({"$ref": "#/$defs/author"}, "authors"),
        ({"type": "array", "items": {"$ref": "#/$defs/author"}}, None),
        ({"const": AUTHOR}, None),
        (TEXT, None),
    ],
)
def test_field_references_collection_of_its_schema(schema: Any, expected: str | None) -> None:
    root = compiled({"properties": {"a": schema}, "$defs": {"author": AUTHOR}})
    assert root.fields["a"].collection == expected
    items = root.fields["a"].items
    if isinstance(schema.get("items"), dict):
        assert items is not None
        assert items.collection == "authors"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"allOf": [{"properties": {"a": TEXT}}]}, {"string"}),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"properties": {"a": TEXT}}}}, {"string"}),
        ({"properties": {"a": TEXT}, "anyOf": [{"properties": {"a": TIME}}, {}]}, {"string", "date-time"}),
        ({"oneOf": [{"properties": {"a": TIME}}, {"properties": {"a": TIME}}]}, {"date-time"}),
        ({"oneOf": [{"properties": {"a": TIME}}, {"properties": {"b": TEXT}}]}, {"date-time", "string"}),
        (
            {
                "oneOf": [
                    {"properties": {"a": TIME}},
                    {"properties": {"b": TEXT}, "additionalProperties": False},
                ]
            },
            {"date-time"},
        ),
        ({"dependentSchemas": {"b": {"properties": {"a": NUMBER}}}}, {"number"}),
        (
            {"if": {}, "then": {"properties": {"a": NUMBER}}, "else": {"properties": {"a": TEXT}}},
            {"number", "string"},
        ),
        (
            {"properties": {"a": NUMBER}, "allOf": [{"additionalProperties": {"type": "integer"}}]},
            {"integer"},
        ),
    ],
)
def test_member_declared_by_several_subschemas_combines_their_kinds(
    schema: dict[str, Any], expected: set[str]
) -> None:
    assert {kind.value for kind in compiled(schema).fields["a"].kinds} == expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, ANYTHING),
        ({"properties": {"a": TEXT}}, None),
        ({"properties": {"a": TEXT}, "additionalProperties": True}, ANYTHING),
        ({"properties": {"a": TEXT}, "additionalProperties": NUMBER}, {"number"}),
        ({"properties": {"a": TEXT}, "additionalProperties": False}, None),
        ({"additionalProperties": False}, None),
        ({"unevaluatedProperties": False}, None),
        ({"properties": {"a": TEXT}, "unevaluatedProperties": NUMBER}, {"number"}),
        ({"patternProperties": {"^x": TIME}, "additionalProperties": False}, {"date-time"}),
        ({"patternProperties": {"^x": TIME, "^y": NUMBER}}, {"date-time", "number", "string"}),
        ({"patternProperties": {"^x": TIME}, "additionalProperties": NUMBER}, {"date-time", "number"}),
        ({"allOf": [{"additionalProperties": NUMBER}, {"properties": {"a": NUMBER}}]}, {"number"}),
        ({"anyOf": [{"required": ["a"]}, {"required": ["b"]}], "properties": {"a": TEXT}}, None),
    ],
)
def test_undeclared_members_are_queryable_only_if_schema_allows(
    schema: dict[str, Any], expected: set[str] | None
) -> None:
    others = compiled(schema).others

    assert (None if others is None else {kind.value for kind in others.kinds}) == expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "array"}, ANYTHING),
        ({"type": "array", "items": TIME}, {"date-time"}),
        ({"type": "array", "prefixItems": [NUMBER, TEXT], "items": False}, {"number", "string"}),
        ({"type": "array", "prefixItems": [NUMBER], "items": NULL}, {"number", "null"}),
        ({"type": "array", "prefixItems": [TIME]}, {"date-time", "string"}),
        ({"type": "array", "items": TEXT, "contains": TIME}, {"string", "date-time"}),
        ({"type": "array", "unevaluatedItems": NUMBER}, {"number"}),
        ({"anyOf": [{"type": "array", "items": TIME}, NULL]}, {"date-time"}),
        ({"anyOf": [{"type": "array", "items": TIME}, {"type": "array"}]}, {"date-time", "string"}),
        (TEXT, None),
    ],
)
def test_array_items_have_kinds_of_schema(schema: dict[str, Any], expected: set[str] | None) -> None:
    items = compiled({"properties": {"a": schema}}).fields["a"].items

    assert (None if items is None else {kind.value for kind in items.kinds}) == expected


def test_root_includes_system_fields() -> None:
    root = compile_schema(of_model(Product), Kind.UUID).root

    assert {
        name: (sorted(field.kinds), field.read_only, field.has_formats) for name, field in root.fields.items()
    } == {
        "id": (["uuid"], True, True),
        "name": (["string"], False, False),
        "price": (["number"], False, False),
        "description": (["null", "string"], False, False),
        "category": (["null", "string"], False, False),
        "tags": (["array"], False, False),
        "_version": (["integer"], True, False),
        "_created_at": (["date-time"], True, True),
        "_updated_at": (["date-time"], True, True),
        "_owner": (["null", "string"], True, False),
    }
    assert root.others is None


def test_member_with_false_schema_is_left_out() -> None:
    assert "a" not in compiled({"properties": {"a": False, "b": True}}).fields


def test_recursive_schema_resolves_at_any_depth() -> None:
    root = compiled(
        {
            "properties": {
                "at": TIME,
                "note": TEXT,
                "replies": {"type": "array", "items": {"$ref": "#"}},
                "plain": {"$ref": "#/$defs/plain"},
            },
            "$defs": {
                "plain": {"type": "object", "properties": {"below": {"$ref": "#/$defs/plain"}, "x": TEXT}}
            },
        }
    )
    times = root.resolve(("replies", "3", "replies", "at"))
    texts = root.resolve(("plain", "below", "below", "below", "x"))
    plain = root.resolve(("plain",))
    replies = root.resolve(("replies",))

    assert times is not None
    assert times.kinds == {Kind.DATE_TIME}
    assert texts is not None
    assert texts.kinds == {Kind.STRING}
    assert plain is not None
    assert not plain.has_formats
    assert replies is not None
    assert replies.has_formats
    assert root.resolve(("replies", "_version")) is None  # system fields are the root's alone


def test_annotations_apply_through_references_and_alternatives() -> None:
    root = compiled(
        {
            "properties": {
                "a": {"readOnly": True},
                "b": {"$ref": "#/$defs/secret"},
                "c": {"anyOf": [{"$ref": "#/$defs/secret"}, NULL]},
                "d": {"$ref": "#/$defs/plain", "readOnly": True},
                "e": {"$ref": "#/$defs/plain"},
            },
            "$defs": {"secret": {"type": "string", "writeOnly": True}, "plain": TEXT},
        }
    )

    assert {
        name: (root.fields[name].read_only, root.fields[name].write_only)
        for name in ("a", "b", "c", "d", "e")
    } == {
        "a": (True, False),
        "b": (False, True),
        "c": (False, True),
        "d": (True, False),
        "e": (False, False),
    }


def test_declared_member_includes_matching_pattern_properties() -> None:
    root = compiled(
        {
            "properties": {"key_of_door": TEXT, "day": TEXT, "name": TEXT},
            "patternProperties": {"^key_": {"writeOnly": True}, "day$": {"format": "date"}},
        }
    )

    assert root.fields["key_of_door"].write_only
    assert root.fields["day"].kinds == {Kind.DATE}
    assert root.fields["name"].kinds == {Kind.STRING}
    assert not root.fields["name"].write_only


def test_recursive_schema_with_alternatives_terminates() -> None:
    node = {
        "type": "object",
        "properties": {"next": {"$ref": "#/$defs/node"}, "at": TIME},
        "anyOf": [{"properties": {"next": {"$ref": "#/$defs/node"}}}, {"required": ["at"]}],
        "if": {"required": ["at"]},
        "then": {"properties": {"next": {"properties": {"at": TIME}}}},
    }
    root = compiled({"properties": {"a": {"$ref": "#/$defs/node"}}, "$defs": {"node": node}})
    found = root.resolve(("a", *["next"] * 30, "at"))

    assert found is not None
    assert found.kinds == {Kind.DATE_TIME}


def test_multiplying_alternatives_are_refused_quickly() -> None:
    names = range(12)
    parts = {
        f"n{one}": {
            "properties": {
                f"p{other}": {
                    "allOf": [
                        {"$ref": f"#/$defs/n{(one * other + 1) % 12}"},
                        {
                            "anyOf": [
                                {"$ref": f"#/$defs/n{(one + other) % 12}"},
                                {"$ref": f"#/$defs/n{other}"},
                            ]
                        },
                    ]
                }
                for other in range(6)
            }
        }
        for one in names
    }

    with within(2), pytest.raises(DefinitionInvalid) as raised:
        compiled({"properties": {"a": {"$ref": "#/$defs/n0"}}, "$defs": parts})

    assert [violation.code for violation in raised.value.errors] == ["too_complex"]
