from typing import Any

import pytest

from service.kit.errors import MAXIMUM_VIOLATIONS, Violation
from service.schema import Schema
from service.schema import compile as compile_schema
from service.schema.explain import MAXIMUM_VALUES
from service.schema.sentences import SENTENCES, snake_case
from tests.pace import within
from tests.schema.examples import EXAMPLES


def schema_with(member: Any, **more: Any) -> Schema:
    return compile_schema({"type": "object", "properties": {"a": member}, **more})


def told(schema: Schema, document: dict[str, Any]) -> list[tuple[str | None, str]]:
    return [(violation.pointer, violation.code) for violation in schema.violations(document)]


@pytest.mark.parametrize("code", EXAMPLES)
def test_violation_has_pointer_and_detail_for_every_code(code: str) -> None:
    schema, document, pointer, detail, hint = EXAMPLES[code]

    assert schema_with(schema).violations(document) == [Violation(detail, code, pointer=pointer, hint=hint)]


def test_every_keyword_with_message_has_example() -> None:
    assert {snake_case(keyword) for keyword in SENTENCES} <= EXAMPLES.keys()


SEMANTICS: list[tuple[Any, list[Any], list[Any]]] = [
    ({"type": "integer"}, [1, 1.0, -3], [1.5, "1", True, None]),
    ({"type": "number"}, [1, 1.5], ["1", False]),
    ({"type": ["string", "null"]}, ["", None], [0, []]),
    ({"enum": [{"x": [1]}, None]}, [{"x": [1]}, {"x": [1.0]}, None], [{"x": 1}, 0]),
    ({"const": False}, [False], [0, None]),
    ({"minLength": 2, "maxLength": 2}, ["ab", "💩💩", 5], ["a", "abc"]),
    ({"pattern": "b+"}, ["abc", 1], ["ac"]),
    ({"multipleOf": 0.01}, [0.07, 4], [0.075]),
    ({"uniqueItems": True}, [[1, "1"], [True, 1]], [[1, 1.0], [{"a": 1}, {"a": 1}]]),
    ({"prefixItems": [{"type": "string"}], "items": {"type": "number"}}, [[], ["a", 1]], [[1], ["a", "b"]]),
    ({"contains": {"type": "string"}, "minContains": 0}, [[], [1]], []),
    ({"properties": {"x": {"type": "number"}}}, [{}, {"x": 1, "y": "?"}], [{"x": "1"}]),
    (
        {"patternProperties": {"^n_": {"type": "number"}}, "additionalProperties": False},
        [{"n_a": 1}],
        [{"b": 1}],
    ),
    ({"dependentSchemas": {"x": {"required": ["y"]}}}, [{}, {"x": 1, "y": 2}], [{"x": 1}]),
    ({"if": {"minimum": 10}, "then": {"multipleOf": 10}, "else": {"maximum": 5}}, [20, 3], [15, 7]),
    ({"oneOf": [{"type": "integer"}, {"minimum": 2}]}, [1, 2.5], [3, 1.5]),
    ({"not": {"required": ["x"]}}, [{}], [{"x": 1}, 1]),
    ({"allOf": [{"properties": {"x": True}}], "unevaluatedProperties": False}, [{"x": 1}], [{"y": 1}]),
    ({"$ref": "#/$defs/positive"}, [1], [0]),
    ({"$dynamicRef": "#positive"}, [1], [0]),
    ({"format": "date-time"}, ["2026-11-22T12:00:00Z", 5], ["2026-11-22", "2026-11-22T12:00:00"]),
    ({"format": "date"}, ["2024-02-29"], ["2026-02-29", "22.11.2026"]),
    ({"format": "time"}, ["12:00:00Z"], ["noon"]),
    ({"format": "duration"}, ["P3DT4H"], ["3 days"]),
    ({"format": "uuid"}, ["2eb8aa08-aa98-11ea-b4aa-73b441d16380"], ["2eb8aa08aa9811eab4aa73b441d16380"]),
    ({"format": "email"}, ["a@example.com"], ["a@", "a"]),
    ({"format": "hostname"}, ["example.com"], ["-x-"]),
    ({"format": "ipv4"}, ["127.0.0.1"], ["127.0.0.256", "127.1"]),
    ({"format": "ipv6"}, ["::1"], ["::g"]),
    ({"format": "uri"}, ["https://example.com/?q#f"], ["/x", "x y"]),
    ({"format": "uri-reference"}, ["/x"], ["\\x"]),
    ({"format": "json-pointer"}, ["/a~1b"], ["a"]),
    ({"format": "regex"}, ["^a$"], ["("]),
    ({"format": "objectid"}, ["0" * 24, 1], ["0" * 23, "x" * 24]),
    ({"format": "int64"}, ["-9223372036854775808", 5], ["9223372036854775808", "1.0"]),
    ({"format": "decimal"}, ["-12.50", "1e3"], ["1,5", "x", "1e6145", "1e-9999"]),
    ({"format": "binary"}, ["aGk=", ""], ["?", "a"]),
    ({"format": "colour"}, ["anything"], []),
]


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"), SEMANTICS, ids=[str(row[0])[:60] for row in SEMANTICS]
)
def test_validation_follows_json_schema(schema: Any, valid: list[Any], invalid: list[Any]) -> None:
    compiled = schema_with(
        schema, **{"$defs": {"positive": {"$dynamicAnchor": "positive", "exclusiveMinimum": 0}}}
    )

    assert [value for value in valid if compiled.violations({"a": value})] == []
    assert [value for value in invalid if not compiled.violations({"a": value})] == []


NAMED = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "maxLength": 3}}}
PETS = {
    "oneOf": [
        {"type": "object", "properties": {"kind": {"const": "cat"}, "lives": {"maximum": 9}}},
        {"type": "object", "properties": {"kind": {"const": "dog"}, "tail": {"type": "string"}}},
    ]
}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"anyOf": [NAMED, {"type": "null"}]}, {"name": "four"}, [("/a/name", "max_length")]),
        ({"anyOf": [NAMED, {"type": "null"}]}, {}, [("/a/name", "required")]),
        ({"anyOf": [NAMED, {"type": "null"}]}, 5, [("/a", "type")]),
        (PETS, {"kind": "cat", "lives": 10}, [("/a/lives", "maximum")]),
        (PETS, {"kind": "dog", "tail": 1}, [("/a/tail", "type")]),
        (PETS, {"kind": "cow"}, [("/a", "one_of")]),
        (PETS, {}, [("/a", "one_of")]),
    ],
)
def test_violations_are_those_of_intended_alternative(
    schema: Any, value: Any, expected: list[tuple[str, str]]
) -> None:
    assert told(schema_with(schema), {"a": value}) == expected


def test_violations_are_reported_once() -> None:
    schema = schema_with({"type": "integer", "minimum": 3}, required=["b", "c"], allOf=[{"required": ["b"]}])

    assert sorted(schema.violations({"a": 2.5}), key=str) == [
        Violation("2.5 is less than the minimum of 3", "minimum", pointer="/a"),
        Violation("2.5 is not an integer", "type", pointer="/a"),
        Violation("`b` is required", "required", pointer="/b"),
        Violation("`c` is required", "required", pointer="/c"),
    ]


def test_pointer_is_escaped() -> None:
    schema = compile_schema({"type": "object", "additionalProperties": {"items": {"type": "string"}}})

    assert told(schema, {"a~b/c": ["", 1]}) == [("/a~0b~1c/1", "type")]


def test_closed_object_reports_each_additional_member() -> None:
    assert told(schema_with({"additionalProperties": False}), {"a": {"x": 1, "y": 2}}) == [
        ("/a/x", "additional_properties"),
        ("/a/y", "additional_properties"),
    ]


def test_system_fields_are_not_suggested() -> None:
    schema = compile_schema({"type": "object", "additionalProperties": False})

    assert [violation.hint for violation in schema.violations({"versions": 1, "idd": 2})] == [None, None]


def test_long_value_is_shortened_in_detail() -> None:
    [violation] = schema_with({"type": "string", "maxLength": 3}).violations({"a": "x" * 100_000})

    assert violation.detail == '"' + "x" * 78 + "… is longer than 3 characters"


def test_write_only_value_is_not_repeated_in_detail() -> None:
    secret = schema_with({"writeOnly": True, "properties": {"code": {"maxLength": 2}}})

    assert [violation.detail for violation in secret.violations({"a": {"code": "hunter2"}})] == [
        "the value is longer than 2 characters"
    ]


def test_integer_beyond_64_bits_is_refused_at_any_depth() -> None:
    schema = compile_schema({"type": "object"})

    assert told(schema, {"a": [{"b": -(2**63) - 1}], "c": 2**200}) == [
        ("/a/0/b", "int64_range"),
        ("/c", "int64_range"),
    ]
    assert told(schema, {"a": [-(2**63), 2**63 - 1, 1e300, True]}) == []


def test_number_of_violations_is_bounded() -> None:
    schema = schema_with({"items": {"type": "string"}})

    assert len(schema.violations({"a": list(range(MAXIMUM_VIOLATIONS + 50))})) == MAXIMUM_VIOLATIONS
    assert len(schema.violations({"b": [2**64] * (MAXIMUM_VIOLATIONS + 50)})) == MAXIMUM_VIOLATIONS


def test_large_document_reports_first_violation_quickly() -> None:
    schema = schema_with({"items": {"type": "string"}})

    with within(2):
        assert told(schema, {"a": list(range(MAXIMUM_VALUES * 20))}) == [("/a/0", "type")]


def test_nested_alternatives_are_refused_quickly() -> None:
    branches = [{"properties": {"a": {"$ref": "#"}}, "required": [name]} for name in ("x", "y")]
    schema = compile_schema({"type": "object", "anyOf": branches})
    document: dict[str, Any] = {}
    for _ in range(40):
        document = {"a": document, "x": 1, "y": 1}

    with within(2):
        assert schema.violations(document) == [
            Violation(
                "the document does not match the schema, and is too deep to say where", "schema", pointer=""
            )
        ]
    assert told(schema, {"a": {}, "x": 1}) == [("", "any_of")]


def test_catastrophic_pattern_is_matched_quickly() -> None:
    schema = schema_with({"pattern": "^(a+)+$"})

    with within(1):
        assert told(schema, {"a": "a" * 50_000 + "b"}) == [("/a", "pattern")]
