"""Collections of every form that the contract must describe: their definitions, and documents that fit."""

from typing import Any

OPEN = {"read": "anyone", "write": "anyone"}

KINDS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": 100},
        "number": {"type": "number", "minimum": 0},
        "whole": {"type": "integer"},
        "flag": {"type": "boolean"},
        "perhaps": {"type": ["string", "null"]},
        "choice": {"enum": ["small", "large"]},
        "at": {"type": "string", "format": "date-time"},
        "day": {"type": "string", "format": "date"},
        "reference": {"type": "string", "format": "objectid"},
        "key": {"type": "string", "format": "uuid"},
        "big": {"type": ["string", "integer"], "format": "int64"},
        "amount": {"type": "string", "format": "decimal"},
        "bytes": {"type": "string", "format": "binary"},
        "either": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer"}]},
        "one": {"oneOf": [{"type": "boolean"}, {"type": "integer", "minimum": 10}]},
        "labels": {"type": "array", "items": {"type": "string"}, "default": []},
        "days": {"type": "array", "items": {"type": "string", "format": "date"}, "maxItems": 5},
        "nested": {
            "type": "object",
            "properties": {
                "a": {"type": "integer"},
                "deeper": {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]},
            },
            "required": ["a"],
            "additionalProperties": False,
        },
        "secret": {"type": "string", "writeOnly": True},
        "score": {"type": "integer", "readOnly": True, "default": 0},
    },
    "required": ["text", "score"],
    "additionalProperties": False,
}
KINDS_DOCUMENT: dict[str, Any] = {
    "text": "hello",
    "number": 1.5,
    "whole": 7,
    "flag": True,
    "perhaps": None,
    "choice": "small",
    "at": "2026-11-22T12:30:00.123Z",
    "day": "2026-11-22",
    "reference": "0123456789abcdef01234567",
    "key": "12345678-1234-4678-9234-567812345678",
    "big": "9007199254740993",
    "amount": "12.50",
    "bytes": "aGVsbG8=",
    "either": "2026-01-01T00:00:00.000Z",
    "one": True,
    "labels": ["a", "b"],
    "days": ["2026-01-01"],
    "nested": {"a": 1, "deeper": {"b": "x"}},
}
TREE: dict[str, Any] = {
    "type": "object",
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 3},
                "pin": {"type": "string", "writeOnly": True},
                "made": {"type": "integer", "readOnly": True},
            },
            "required": ["value"],
            "additionalProperties": False,
        }
    },
}
SHAPES: dict[str, Any] = {
    "type": "object",
    "$id": "https://example.com/shapes",
    "$defs": {"short": {"$anchor": "short", "type": "string", "maxLength": 3, "x-own": True}},
    "properties": {
        "kind": {"enum": ["circle", "square"]},
        "name": {"$ref": "#short", "description": "Three letters"},
        "again": {"$ref": "#/properties/name"},
        "author": {"type": "string", "format": "objectid", "x-collection": "kinds"},
        "inner": {
            "type": "object",
            "properties": {"by": {"type": "string", "format": "objectid", "x-collection": "kinds"}},
            "additionalProperties": False,
        },
        "and": {"type": "string"},
        "nothing": {"type": "null"},
        "coded": {"type": "string", "pattern": "(?i)^[a-z]+$"},
        "pair": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False},
    },
    "allOf": [
        {
            "if": {"properties": {"kind": {"const": "circle"}}},
            "then": {"properties": {"radius": {"type": "number"}}},
        },
        {"patternProperties": {"^x-": {"type": "string"}}},
    ],
    "dependentRequired": {"inner": ["name"]},
    "required": ["kind"],
    "minProperties": 1,
    "unevaluatedProperties": False,
    "discriminator": "not OpenAPI's",
}
LOOSE: dict[str, Any] = {
    "type": "object",
    "anyOf": [
        {
            "properties": {"a": {"type": "string"}, "hidden": {"type": "string", "writeOnly": True}},
            "required": ["hidden"],
        },
        {"properties": {"a": {"type": "string"}, "open": {"type": "string"}}, "required": ["open"]},
    ],
}

DEFINITIONS: list[dict[str, Any]] = [
    {
        "name": "kinds",
        "schema": KINDS,
        "rules": OPEN,
        "indexes": [{"text": ["text"]}],
        "queries": {
            "by-choice": {
                "description": "How many there are of each choice.",
                "parameters": {
                    "least": {"type": "integer", "minimum": 0, "default": 0},
                    "choices": {"type": "array", "items": {"type": "string"}, "default": []},
                },
                "pipeline": [{"group": {"by": {"choice": "choice"}, "count": {"count": True}}}],
            }
        },
    },
    {"name": "trees", "schema": TREE, "rules": OPEN, "options": {"id_type": "uuid"}},
    {"name": "shapes", "schema": SHAPES, "rules": OPEN, "options": {"id_type": "string"}},
    {
        "name": "loose-ends",
        "schema": LOOSE,
        "rules": {"read": "user", "create": "anyone", "update": "owner"},
        "options": {"id_type": "integer", "concurrency": "required"},
    },
    {"name": "loose_ends", "schema": {"type": "object"}, "rules": {"read": "role:keeper"}},
]
