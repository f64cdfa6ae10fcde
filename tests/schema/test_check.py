from typing import Any

import pytest

from service.kit.errors import DefinitionInvalid
from service.schema import check
from service.schema.check import (
    MAXIMUM_BYTES,
    MAXIMUM_DEPTH,
    MAXIMUM_EVALUATIONS,
    MAXIMUM_NAME_BYTES,
    MAXIMUM_PATTERNS,
    MAXIMUM_SUBSCHEMAS,
)


def with_field(schema: Any, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}, **more}


def nested_all_of(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"allOf": [schema]}
    return schema


def faults(schema: Any) -> list[tuple[str | None, str]]:
    with pytest.raises(DefinitionInvalid) as raised:
        check(schema)
    return [(error.pointer, error.code) for error in raised.value.errors]


DOUBLING = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)} | {"d40": {}}

ACCEPTED: dict[str, dict[str, Any]] = {
    "no fields": {"type": "object"},
    "the dialect named": {"type": "object", "$schema": "https://json-schema.org/draft/2020-12/schema"},
    "a name of its own": {"type": "object", "$id": "https://example.com/product.json", "$comment": "x"},
    "a reference within": with_field({"$ref": "#/$defs/b"}, **{"$defs": {"b": {"type": "string"}}}),
    "a reference to an escaped name": with_field({"$ref": "#/$defs/b~1c%20d"}, **{"$defs": {"b/c d": {}}}),
    "an anchor": with_field({"$ref": "#b"}, **{"$defs": {"b": {"$anchor": "b"}}}),
    "a dynamic anchor": with_field({"$dynamicRef": "#b"}, **{"$defs": {"b": {"$dynamicAnchor": "b"}}}),
    "recursion through data": with_field({"type": "array", "items": {"$ref": "#"}}),
    "recursion through a member": with_field({"anyOf": [{"$ref": "#"}, {"type": "null"}]}),
    "a reference that is only data": with_field({"const": {"$ref": "http://127.0.0.1/x"}}),
    "an unknown format": with_field({"type": "string", "format": "colour"}),
    "an unknown keyword": with_field({"widget": {"$ref": 3}}),
    "a reference to a collection": with_field({"type": ["string", "null"], "x-collection": "authors"}),
    "references in an array": with_field({"type": "array", "items": {"x-collection": "authors"}}),
    "a reference by an integer": with_field({"anyOf": [{"type": "integer"}], "x-collection": "authors"}),
    "a field with the name of the keyword": {"type": "object", "properties": {"x-collection": {"const": 1}}},
    "an id below the root": with_field({"type": "object", "properties": {"id": {"type": "string"}}}),
    "a default that fits": with_field({"type": "integer", "default": 3}),
    "a pattern": with_field({"type": "string", "pattern": r"^[\p{L}\d]+(-\w+)*$"}),
}


@pytest.mark.parametrize("schema", ACCEPTED.values(), ids=ACCEPTED)
def test_valid_schema_is_accepted(schema: dict[str, Any]) -> None:
    check(schema)


REFUSED: dict[str, tuple[Any, list[tuple[str, str]]]] = {
    "not an object": (True, [("", "type")]),
    "a list": ([], [("", "type")]),
    "no type at the root": ({"properties": {}}, [("", "type")]),
    "another type at the root": ({"type": ["object", "null"]}, [("/type", "type")]),
    "a reference by what is no id": (
        with_field({"type": "boolean", "x-collection": "authors"}),
        [("/properties/a/x-collection", "reference")],
    ),
    "a reference by an array": (
        with_field({"type": "array", "items": {"type": "string"}, "x-collection": "authors"}),
        [("/properties/a/x-collection", "reference")],
    ),
    "a reference by the document": (
        {"type": "object", "x-collection": "authors"},
        [("/x-collection", "reference")],
    ),
    "a reference by a definition that is no id": (
        with_field({"$ref": "#/$defs/b", "x-collection": "a"}, **{"$defs": {"b": {"type": "object"}}}),
        [("/properties/a/x-collection", "reference")],
    ),
    "a reference to no name": (with_field({"x-collection": ["a"]}), [("/properties/a/x-collection", "type")]),
    "a reference to two collections": (
        with_field({"anyOf": [{"x-collection": "a", "type": "string"}, {"x-collection": "b"}]}),
        [("/properties/a", "reference")],
    ),
    "an older dialect": (
        {"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"},
        [("/$schema", "schema")],
    ),
    "a type that is none": (with_field({"type": "text"}), [("/properties/a/type", "any_of")]),
    "a keyword of the wrong type": (with_field({"minimum": "3"}), [("/properties/a/minimum", "type")]),
    "required names beside what are no fields": (
        {"type": "object", "properties": True, "required": ["a"]},
        [("/properties", "type")],
    ),
    "a default of the whole": ({"type": "object", "default": []}, [("/default", "default")]),
    "several faults at once": (
        with_field({"maxLength": -1}, required="a"),
        [("/properties/a/maxLength", "minimum"), ("/required", "type")],
    ),
    "a remote reference": (with_field({"$ref": "http://127.0.0.1:9/x"}), [("/properties/a/$ref", "ref")]),
    "a reference to a file": (with_field({"$ref": "file:///etc/passwd"}), [("/properties/a/$ref", "ref")]),
    "a relative reference": (with_field({"$ref": "other.json"}), [("/properties/a/$ref", "ref")]),
    "a remote dynamic reference": (
        with_field({"$dynamicRef": "https://x.io/y#z"}),
        [("/properties/a/$dynamicRef", "ref")],
    ),
    "a dead reference": (with_field({"$ref": "#/$defs/b"}), [("/properties/a/$ref", "ref")]),
    "a reference to what is no schema": (
        with_field({"$ref": "#/x-parts/b"}, **{"x-parts": {"b": {"$ref": "http://127.0.0.1/"}}}),
        [("/properties/a/$ref", "ref")],
    ),
    "a base of a part": (with_field({"$id": "http://127.0.0.1/x"}), [("/properties/a/$id", "id")]),
    "a file as its name": ({"type": "object", "$id": "file:///etc/x"}, [("/$id", "id")]),
    "two anchors of a name": (
        with_field({"$anchor": "x"}, **{"$defs": {"b": {"$anchor": "x"}}}),
        [("/$defs/b/$anchor", "anchor")],
    ),
    "a reference to itself": ({"type": "object", "$ref": "#"}, [("/$ref", "ref")]),
    "a circle of references": (
        with_field(
            {"$ref": "#/$defs/b"},
            **{"$defs": {"b": {"allOf": [{"$ref": "#/$defs/c"}]}, "c": {"$ref": "#/$defs/b"}}},
        ),
        [("/$defs/b/allOf/0/$ref", "ref")],
    ),
    "ten thousand nested allOf": ({"type": "object", **nested_all_of(10_000)}, [("", "too_deep")]),
    "doubling references": (
        {"type": "object", "$ref": "#/$defs/d0", "$defs": DOUBLING},
        [("/$defs/d28", "too_complex")],
    ),
    "look-ahead": (with_field({"pattern": "(?=a)b"}), [("/properties/a/pattern", "pattern")]),
    "a backreference": (with_field({"pattern": r"(a)\1"}), [("/properties/a/pattern", "pattern")]),
    "a pattern that is none": (with_field({"pattern": "("}), [("/properties/a/pattern", "pattern")]),
    "an enormous pattern": (
        with_field({"pattern": "(a{1000}){1000}"}),
        [("/properties/a/pattern", "pattern")],
    ),
    "a name pattern": (
        {"type": "object", "patternProperties": {"(?!a)": {}}},
        [("/patternProperties/(?!a)", "pattern")],
    ),
    "an underscore": ({"type": "object", "properties": {"_id": {}}}, [("/properties/_id", "name")]),
    "a dollar below": (with_field({"properties": {"$set": {}}}), [("/properties/a/properties/$set", "name")]),
    "a dot": ({"type": "object", "properties": {"a.b": {}}}, [("/properties/a.b", "name")]),
    "NUL": ({"type": "object", "properties": {"a\0": {}}}, [("/properties/a\0", "name")]),
    "no name": ({"type": "object", "properties": {"": {}}}, [("/properties/", "name")]),
    "a name too long": (
        {"type": "object", "properties": {"ä" * 128: {}}},
        [("/properties/" + "ä" * 128, "name")],
    ),
    "an id": ({"type": "object", "properties": {"id": {}}}, [("/properties/id", "name")]),
    "a required id": ({"type": "object", "required": ["id"]}, [("/required/0", "name")]),
    "an id by reference": (
        {"type": "object", "$ref": "#/$defs/b", "$defs": {"b": {"properties": {"id": {}}}}},
        [("/$defs/b/properties/id", "name")],
    ),
    "a default of another type": (
        with_field({"type": "integer", "default": "x"}),
        [("/properties/a/default", "default")],
    ),
    "a default against its reference": (
        with_field({"$ref": "#/$defs/b", "default": 1}, **{"$defs": {"b": {"minimum": 2}}}),
        [("/properties/a/default", "default")],
    ),
    "a default against its format": (
        with_field({"format": "objectid", "default": "x"}),
        [("/properties/a/default", "default")],
    ),
}


@pytest.mark.parametrize(("schema", "expected"), REFUSED.values(), ids=REFUSED)
def test_invalid_schema_is_refused_with_pointer(schema: Any, expected: list[tuple[str, str]]) -> None:
    assert faults(schema) == expected


def test_refusal_of_remote_reference_has_detail_and_hint() -> None:
    with pytest.raises(DefinitionInvalid) as raised:
        check(with_field({"$ref": "http://127.0.0.1:9/x"}))

    assert [error.as_json() for error in raised.value.errors] == [
        {
            "pointer": "/properties/a/$ref",
            "code": "ref",
            "detail": "`http://127.0.0.1:9/x` is outside this schema, and Sheaf fetches none: "
            "copy it into `$defs`",
            "hint": "Refer to it by `#/$defs/…`",
        }
    ]
    assert raised.value.detail == f"The schema is invalid: {raised.value.errors[0].detail}"


@pytest.mark.parametrize(
    ("largest", "beyond", "code"),
    [
        (
            {"type": "object", "title": "x" * (MAXIMUM_BYTES - 31)},
            {"type": "object", "title": "x" * MAXIMUM_BYTES},
            "too_large",
        ),
        (
            {"type": "object", **nested_all_of(MAXIMUM_DEPTH // 2 - 1)},
            {"type": "object", **nested_all_of(MAXIMUM_DEPTH // 2 + 1)},
            "too_deep",
        ),
        (
            {"type": "object", "$defs": {str(n): True for n in range(MAXIMUM_SUBSCHEMAS - 1)}},
            {"type": "object", "$defs": {str(n): True for n in range(MAXIMUM_SUBSCHEMAS)}},
            "too_complex",
        ),
        (
            {"type": "object", "patternProperties": {f"^{n}$": True for n in range(MAXIMUM_PATTERNS)}},
            {"type": "object", "patternProperties": {f"^{n}$": True for n in range(MAXIMUM_PATTERNS + 1)}},
            "too_complex",
        ),
        (
            {"type": "object", "properties": {"x" * MAXIMUM_NAME_BYTES: True}},
            {"type": "object", "properties": {"x" * (MAXIMUM_NAME_BYTES + 1): True}},
            "name",
        ),
    ],
    ids=["bytes", "depth", "subschemas", "patterns", "names"],
)
def test_limits_are_exact(largest: dict[str, Any], beyond: dict[str, Any], code: str) -> None:
    check(largest)
    assert [found for _, found in faults(beyond)] == [code]


def test_schema_above_evaluation_limit_is_refused() -> None:
    def doubled(levels: int) -> dict[str, Any]:
        parts = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)}
        return {"type": "object", "$ref": "#/$defs/d0", "$defs": parts | {f"d{levels}": {}}}

    check(doubled(11))
    assert 2**13 < MAXIMUM_EVALUATIONS < 2**14
    assert faults(doubled(13)) == [("/$defs/d1", "too_complex")]
