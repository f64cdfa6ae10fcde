"""Filters of a collection as a schema, from its fields and the table of operators."""

from collections.abc import Iterator
from typing import Any

from service.http.contract.schemas import reference
from service.query.fields import Field
from service.query.kinds import Kind
from service.query.limits import MAXIMUM_CONDITIONS, MAXIMUM_LIST_LENGTH, MAXIMUM_TEXT_CHARACTERS
from service.query.operators import OPERATORS, Operator, Takes
from service.query.values import comparable_kinds

Schema = dict[str, Any]

SHARED_PREFIX = "Where."
"""Begins the names of the schemas of conditions, which collections share."""

MAXIMUM_NESTED_NAMES = 100
"""Dotted names that a filter's schema has; others are allowed without being listed."""

_TYPES: dict[Kind, tuple[str, ...]] = {
    Kind.NULL: (),
    Kind.BOOLEAN: ("boolean",),
    Kind.INTEGER: ("number",),
    Kind.NUMBER: ("number",),
    Kind.STRING: ("string",),
    Kind.OBJECT: (),
    Kind.ARRAY: ("array",),
    Kind.INT64: ("number", "string"),
    Kind.DECIMAL: ("number", "string"),
}
"""The JSON types in which a value of each kind is written in a filter; the formats' are strings."""


def filter_schemas(base: str, root: Field) -> dict[str, Schema]:
    """Return the schema of a collection's filters, and those of conditions that it refers to, by name."""
    schemas: dict[str, Schema] = {}
    own = f"{base}Filter"
    members = {name: _condition(field, schemas) for name, field in _fields(root)}
    for word in ("and", "or"):
        filters: Schema = {
            "type": "array",
            "items": reference(own),
            "minItems": 1,
            "maxItems": MAXIMUM_CONDITIONS,
        }
        members[word] = {"anyOf": [filters, members[word]]} if word in members else filters
    negated = reference(own)
    members["not"] = {"anyOf": [negated, members["not"]]} if "not" in members else negated
    is_open = root.others is not None
    schemas[own] = {
        "type": "object",
        "description": "Conditions that must all hold: fields, `and`, `or`, `not`. Nested fields have dots.",
        "properties": members,
        "patternProperties": {"\\.": {}},
        "additionalProperties": is_open,
    }
    return schemas


def nested_names(root: Field) -> list[str]:
    """Return the names of the fields that a query may use, with dots, as far as they are listed."""
    return [name for name, _ in _fields(root)]


def _fields(root: Field) -> Iterator[tuple[str, Field]]:
    """Return the visible fields by dotted names, nearest first, to a bound: schemas may be recursive."""
    level = [(name, root.fields[name]) for name in root.names()]
    yield from level
    remaining = MAXIMUM_NESTED_NAMES
    while level and remaining > 0:
        below = [
            (f"{name}.{each}", place.fields[each])
            for name, field in level
            for place in (field, field.items)
            if place is not None and not place.write_only
            for each in place.names()
        ]
        level = list(dict(below).items())[:remaining]
        remaining -= len(level)
        yield from level


def _condition(field: Field, schemas: dict[str, Schema]) -> Schema:
    """Refer to the schema of the conditions on a field, which all fields of its kinds share."""
    kinds = comparable_kinds(field)
    name = SHARED_PREFIX + ("_".join(sorted(kind.value for kind in kinds)) or "nothing")
    if name not in schemas:
        value = _value(kinds)
        schemas[name] = {
            "description": "A value that the field is equal to, or operators that must all hold.",
            "anyOf": [
                value,
                {
                    "type": "object",
                    "minProperties": 1,
                    "additionalProperties": False,
                    "properties": dict(_operators(kinds, value)),
                },
            ],
        }
    return reference(name)


def _value(kinds: frozenset[Kind]) -> Schema:
    types = {each for kind in kinds for each in _TYPES.get(kind, ("string",))}
    # Where it can only be null, nothing is said: openapi-fetch takes members of that type for forbidden ones.
    return {"type": sorted({"null", *types})} if types else {}


def _operators(kinds: frozenset[Kind], value: Schema) -> Iterator[tuple[str, Schema]]:
    for operator in OPERATORS.values():
        if operator.kinds & kinds or operator.takes is Takes.FLAG or operator.takes_null:
            yield operator.name, {**_operand(operator, value), "description": operator.help}


def _operand(operator: Operator, value: Schema) -> Schema:
    operands: dict[Takes, Schema] = {
        Takes.VALUE: value,
        Takes.TEXT: {"type": "string", "maxLength": MAXIMUM_TEXT_CHARACTERS},
        Takes.LIST: {"type": "array", "items": value, "maxItems": MAXIMUM_LIST_LENGTH},
        Takes.FLAG: {"type": "boolean"},
        Takes.COUNT: {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
        Takes.CONDITION: {"type": "object", "minProperties": 1},
    }
    return operands.get(operator.takes, {})
