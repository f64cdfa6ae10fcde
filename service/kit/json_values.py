"""When two JSON values are one, for unlike in Python `true` is not 1; and pointers into them (RFC 6901)."""

import json
from collections.abc import Hashable, Iterable
from typing import Any

import orjson
from bson import Decimal128
from bson.decimal128 import create_decimal128_context


def escape_pointer(part: str | int) -> str:
    """Return one step of a pointer, with its leading slash.

    >>> escape_pointer("a/b~c")
    '/a~1b~0c'
    """
    return "/" + str(part).replace("~", "~0").replace("/", "~1")


def join_pointer(parts: Iterable[str | int]) -> str:
    """Return the pointer to a place; the empty text is the whole document.

    >>> join_pointer(["tags", 0])
    '/tags/0'
    """
    return "".join(map(escape_pointer, parts))


def split_pointer(pointer: str) -> list[str]:
    """Return the steps of a well-formed pointer: what `join` was given, numbers as texts.

    >>> split_pointer("/a~1b/m~0n/0"), split_pointer("")
    (['a/b', 'm~n', '0'], [])
    """
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


_EXACT = create_decimal128_context()


def are_equal(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal (RFC 6902, 4.6), for the price of the smaller one.

    >>> are_equal(1, 1.0), are_equal(1, True), are_equal({"a": [0]}, {"a": [False]})
    (True, False, False)
    """
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and len(one) == len(other)
            and all(name in other and are_equal(part, other[name]) for name, part in one.items())
        )
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(are_equal, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def are_written_alike(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal and have the same text: 1 is not 1.0 then.

    >>> are_written_alike(1, 1.0), are_written_alike({"a": 1, "b": 2}, {"b": 2, "a": 1})
    (False, False)
    """
    return bool(one == other) and orjson.dumps(one, default=str) == orjson.dumps(other, default=str)


def equality_key(value: Any) -> Hashable:
    """Return what is equal for equal values and for no others; values may be BSON's.

    Objects and arrays become text: tuples of numbers that all have one hash are easily made, texts are not.

    >>> equality_key([1]) == equality_key([1.0]), equality_key(1) == equality_key(True)
    (True, False)
    """
    if isinstance(value, dict | list):
        return (list, _text(value))
    if isinstance(value, Decimal128):
        return (Decimal128, value.to_decimal())
    return (bool, value) if isinstance(value, bool) else value


def _text(value: Any) -> str:
    """Write a value so that equal ones, and no others, are written alike."""
    if isinstance(value, dict):
        members = sorted(f"{json.dumps(name)}:{_text(part)}" for name, part in value.items())
        return f"{{{','.join(members)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, Decimal128):
        return f"decimal {_EXACT.normalize(value.to_decimal()) or 0}"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value) if isinstance(value, str) else repr(value)
