"""Values of formats as the wire has them: what JSON Schema's validators elsewhere cannot know of ours."""

import re
from typing import Any

import orjson

from service.documents.encoding import dump
from service.query.kinds import FORMATS, MAXIMUM_SAFE_INTEGER, Kind, to_bson
from service.schema.shapes import kind_of as kind_of_json

PATTERNS: dict[Kind, str] = {
    Kind.OBJECT_ID: "^[0-9a-fA-F]{24}$",
    Kind.INT64: "^-?(?:0|[1-9][0-9]{0,18})$",
    Kind.DECIMAL: r"^-?[0-9]{1,34}(?:\.[0-9]{1,34})?(?:[eE][+-]?[0-9]{1,4})?$",
    Kind.BINARY: "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
}
"""What texts of the formats look like that only Sheaf has; the other formats are known everywhere."""

UUID_PATTERN = "^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"

IDS: dict[Kind, dict[str, Any]] = {
    Kind.OBJECT_ID: {"type": "string", "format": "objectid", "pattern": PATTERNS[Kind.OBJECT_ID]},
    Kind.UUID: {"type": "string", "format": "uuid", "pattern": UUID_PATTERN},
    Kind.STRING: {"type": "string", "minLength": 1, "maxLength": 200},
    Kind.INTEGER: {"type": "integer", "minimum": -MAXIMUM_SAFE_INTEGER, "maximum": MAXIMUM_SAFE_INTEGER},
}
"""The schema of an id of each kind that ids can have."""

_OURS_ALONE = re.compile(r"\(\?(?![:=!<])|\(\?P|\[\[:|\\[AzZ]|\\[pP]")
"""What our regular expressions know, and not those of ECMA 262, which OpenAPI means, or of Python."""

_OF_TEXTS = ("pattern", "minLength", "maxLength")

Schema = dict[str, Any]


def kind_of(schema: Schema) -> Kind | None:
    """Return the kind that a schema's own `format` chooses, None when it chooses none."""
    return FORMATS.get(str(schema.get("format")))


def is_pattern_of_all(pattern: str) -> bool:
    """Return whether other regular expression engines read a pattern as ours does.

    >>> is_pattern_of_all("^[a-z]+$"), is_pattern_of_all("(?i)a")
    (True, False)
    """
    return _OURS_ALONE.search(pattern) is None


def as_written(schema: Schema, kind: Kind) -> Schema:
    """Return a schema with its format as others know it: bytes are base64, and ours have a pattern."""
    written = dict(schema)
    if kind is Kind.BINARY and "format" in written:
        written |= {"format": "byte", "contentEncoding": "base64"}
    pattern = PATTERNS.get(kind)
    if pattern is None:
        return written
    if "pattern" in written:
        written["allOf"] = [*written.get("allOf", ()), {"pattern": pattern}]
    else:
        written["pattern"] = pattern
    return written


def as_read(schema: Schema, kind: Kind) -> Schema:
    """Return the schema of what is read where a schema with a format was written.

    The text may have another spelling then, and an `int64` that may be both is a number as long as a double
    holds it.
    """
    written = {name: part for name, part in schema.items() if name not in _OF_TEXTS}
    is_one_form = kind is Kind.INT64 and len(_types(written) & {"string", "integer"}) == 1
    if "const" in written and not is_one_form:
        written["const"] = _stored(kind, written["const"])
    if "enum" in written and not is_one_form:
        written["enum"] = [_stored(kind, value) for value in written["enum"]]
    return as_written(written, kind) if kind_of(schema) else written


def _types(schema: Schema) -> set[str]:
    """Return the types that a schema states, in words or by its values."""
    if "type" in schema:
        return {schema["type"]} if isinstance(schema["type"], str) else set(schema["type"])
    return {kind_of_json(value).value for value in schema.get("enum", [schema.get("const")])}


def _stored(kind: Kind, value: Any) -> Any:
    """Return a value as it comes back after it was stored.

    >>> _stored(Kind.INT64, "5"), _stored(Kind.DATE_TIME, "2026-11-22T12:00:00+02:00")
    (5, '2026-11-22T10:00:00.000Z')
    """
    is_number = kind is Kind.INT64 and type(value) is int
    if kind is Kind.DATE or not (isinstance(value, str) or is_number):
        return value
    try:
        stored = to_bson(kind, value)
    except ValueError:
        return value
    if isinstance(stored, int) and abs(stored) > MAXIMUM_SAFE_INTEGER:
        return str(stored)
    return orjson.loads(dump(stored))
