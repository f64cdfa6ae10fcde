"""The compiled validators: which formats they enforce, and the engine their patterns run in."""

import re
from collections.abc import Callable
from typing import Any

from jsonschema_rs import Draft202012Validator, RegexOptions

from service.query.kinds import INT64_MAXIMUM, INT64_MINIMUM, Kind, to_bson

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAXIMUM_PATTERN_BYTES = 1024 * 1024

# Rust's `regex` engine: time linear in the text whatever the pattern (no look-around, no backreference).
_LINEAR = RegexOptions(size_limit=MAXIMUM_PATTERN_BYTES)


def _accepts(kind: Kind) -> Callable[[str], bool]:
    def is_of_kind(text: str) -> bool:
        try:
            to_bson(kind, text)
        except ValueError:
            return False
        return True

    return is_of_kind


# The other formats that choose a BSON type are JSON Schema's own: the validator knows them.
_FORMATS = {kind.value: _accepts(kind) for kind in (Kind.OBJECT_ID, Kind.INT64, Kind.DECIMAL, Kind.BINARY)}


def build(schema: dict[str, Any]) -> Draft202012Validator:
    """Build the validator of a schema; never fetches anything. ValueError for what is not a schema."""
    return Draft202012Validator(
        schema, formats=_FORMATS, validate_formats=True, pattern_options=_LINEAR, offline=True
    )


def pattern_fault(pattern: str) -> str | None:
    """Say why a regular expression cannot be used, None when it can.

    >>> pattern_fault("^[a-z]+$") is None
    True
    >>> pattern_fault("(?=a)b")
    'uses look-around or a backreference, which take unbounded time'
    """
    try:
        build({"pattern": pattern})
    except ValueError:
        if re.search(r"\(\?<?[=!]|\\[1-9]|\\k<|\(\?P=", pattern):
            return "uses look-around or a backreference, which take unbounded time"
        return "is not a regular expression, or is too large a one"
    return None


META = build({"$ref": DIALECT})
"""Judges schemas themselves."""

STORABLE = build(
    {
        "anyOf": [{"not": {"type": "integer"}}, {"minimum": INT64_MINIMUM, "maximum": INT64_MAXIMUM}],
        "additionalProperties": {"$ref": "#"},
        "items": {"$ref": "#"},
    }
)
"""Says quickly that no integer is beyond 64 bits; its refusal may be wrong, for large floats."""
