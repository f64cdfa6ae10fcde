"""The values of a filter: text of a URL and values of JSON, read as what the field may hold."""

import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from bson import Decimal128

from service.query.fields import Field
from service.query.kinds import INT64_MAXIMUM, INT64_MINIMUM, Kind, to_bson
from service.query.limits import MAXIMUM_DEPTH, MAXIMUM_LIST_LENGTH

NUMBERS = frozenset({Kind.INTEGER, Kind.NUMBER, Kind.INT64})

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_BOOLEANS = {"true": True, "false": False}
_LONGEST_INTEGER = 20

_PHRASES = {
    Kind.NULL: "not `null`",
    Kind.BOOLEAN: "not `true` or `false`",
    Kind.STRING: "not text",
    Kind.OBJECT: "not an object",
    Kind.ARRAY: "not an array",
    Kind.DATE_TIME: "not a date-time such as 2026-11-22T12:00:00Z",
    Kind.DATE: "not a date such as 2026-11-22",
    Kind.OBJECT_ID: "not an id of 24 hexadecimal digits",
    Kind.UUID: "not a UUID",
    Kind.DECIMAL: "not a decimal number of at most 34 digits",
    Kind.BINARY: "not base64",
} | dict.fromkeys(NUMBERS, "not a number")

_ORDER = (
    Kind.NUMBER,
    Kind.DECIMAL,
    Kind.BOOLEAN,
    Kind.NULL,
    Kind.DATE_TIME,
    Kind.DATE,
    Kind.OBJECT_ID,
    Kind.UUID,
    Kind.BINARY,
    Kind.STRING,
)

Reader = Callable[[Any], Any]


class Unreadable(ValueError):
    """A value that is none of the kinds asked for; says what it is not, as in "not a number"."""


def comparable_kinds(field: Field) -> frozenset[Kind]:
    """Return the kinds compared at a field: its own, and of an array those of its elements."""
    if Kind.ARRAY not in field.kinds:
        return field.kinds
    if field.items is None:
        return field.kinds | {Kind.BOOLEAN, Kind.INTEGER, Kind.NUMBER, Kind.STRING}
    return field.kinds if field.items.write_only else field.kinds | field.items.kinds


def from_text(kinds: frozenset[Kind], text: str) -> list[Any]:
    """Read a URL's text as every kind that it can be; Unreadable says what it is not.

    >>> from_text(frozenset({Kind.INTEGER, Kind.STRING}), "1776")
    [1776, '1776']
    >>> from_text(frozenset({Kind.INTEGER}), "abc")
    Traceback (most recent call last):
    service.query.values.Unreadable: not a number
    """
    return _readings(_readers_of_text(kinds), kinds, text)


def from_json(kinds: frozenset[Kind], value: Any) -> list[Any]:
    """Read a JSON string, number or boolean as every kind that it can be; Unreadable says what it is not.

    >>> from_json(frozenset({Kind.DECIMAL}), 12.5)
    [Decimal128('12.5')]
    """
    return _readings(_readers_of_json(kinds), kinds, value)


def arrays_from_json(field: Field, elements: list[Any]) -> list[tuple[Any, ...]]:
    """Read a JSON array as all that it can be at a field: the whole value, or one element of it.

    Unreadable says what it is not.
    """
    found: list[tuple[Any, ...]] = []
    problem: Unreadable | None = None
    for place in (field, field.items):
        try:
            if place is not None and not place.write_only and Kind.ARRAY in place.kinds:
                found.append(_array(place, elements))
        except Unreadable as error:
            problem = error
    if not found:
        raise problem or Unreadable(phrase(comparable_kinds(field)))
    return found[:1] if found[0] == found[-1] else found


def _array(field: Field, elements: list[Any], depth: int = 0) -> tuple[Any, ...]:
    if Kind.ARRAY not in field.kinds or (field.items is not None and field.items.write_only):
        raise Unreadable("not an array that this field can hold")
    if len(elements) > MAXIMUM_LIST_LENGTH or depth > MAXIMUM_DEPTH:
        raise Unreadable("not an array within the limits")
    return tuple(_element(field, element, depth) for element in elements)


def phrase(kinds: frozenset[Kind]) -> str:
    """Say what a value is not that is of none of the kinds."""
    phrases = [_PHRASES[kind] for kind in Kind if kind in kinds and kind not in (Kind.NULL, Kind.OBJECT)]
    return " and ".join(dict.fromkeys(phrases)) or "not comparable with this field"


def _element(field: Field, element: Any, depth: int) -> Any:
    items = field.items
    kinds = comparable_kinds(field) - field.kinds if items is None else items.kinds
    if isinstance(element, list):
        if items is None:
            raise Unreadable("not an array of simple values")
        return _array(items, element, depth + 1)
    if element is None and Kind.NULL in kinds:
        return None
    return from_json(kinds, element)[0]


def _readings(readers: tuple[Reader, ...], kinds: frozenset[Kind], value: Any) -> list[Any]:
    found, problems = [], []
    for read in readers:
        try:
            found.append(read(value))
        except Unreadable as problem:
            problems.append(str(problem))
    if not found:
        raise Unreadable(" and ".join(dict.fromkeys(problems)) or phrase(kinds))
    return found


def _readers(kinds: frozenset[Kind], special: dict[Kind, Reader]) -> tuple[Reader, ...]:
    if kinds & NUMBERS:
        kinds = kinds - NUMBERS | {Kind.NUMBER}
    return tuple(special.get(kind) or _reader_of_format(kind) for kind in _ORDER if kind in kinds)


@lru_cache(maxsize=256)
def _readers_of_text(kinds: frozenset[Kind]) -> tuple[Reader, ...]:
    if Kind.STRING in kinds:
        kinds -= {Kind.NULL}  # "null" is then a word like any other
    special: dict[Kind, Reader] = {
        Kind.NUMBER: _number_of_text,
        Kind.BOOLEAN: _boolean_of_text,
        Kind.NULL: _null_of_text,
        Kind.STRING: _string,
    }
    return _readers(kinds, special)


@lru_cache(maxsize=256)
def _readers_of_json(kinds: frozenset[Kind]) -> tuple[Reader, ...]:
    special: dict[Kind, Reader] = {
        Kind.NUMBER: _int64_or_number if Kind.INT64 in kinds else _number,
        Kind.DECIMAL: _decimal,
        Kind.BOOLEAN: _boolean,
        Kind.STRING: _string,
    }
    return _readers(kinds - {Kind.NULL}, special)


def _reader_of_format(kind: Kind) -> Reader:
    def read(value: Any) -> Any:
        if kind is Kind.DATE_TIME and isinstance(value, str) and _DATE.fullmatch(value):
            value += "T00:00:00Z"  # a day alone is its first moment
        try:
            return to_bson(kind, value)
        except ValueError:
            raise Unreadable(_PHRASES[kind]) from None

    return read


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise Unreadable(_PHRASES[Kind.STRING])
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unreadable("not Unicode text") from None
    return value


def _number_of_text(text: str) -> int | float:
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise Unreadable(_PHRASES[Kind.NUMBER])
    if match[1] or match[2]:
        return _number(float(text))
    if len(text) > _LONGEST_INTEGER:
        raise Unreadable("not within 64 bits")
    return _number(int(text))


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unreadable(_PHRASES[Kind.NUMBER])
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Unreadable("not a finite number")
    elif not INT64_MINIMUM <= value <= INT64_MAXIMUM:
        raise Unreadable("not within 64 bits")
    return value


def _int64_or_number(value: Any) -> int | float:
    return _number_of_text(value) if isinstance(value, str) else _number(value)


def _decimal(value: Any) -> Decimal128:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Unreadable(_PHRASES[Kind.DECIMAL])
    text = value if isinstance(value, str) else str(_number(value))
    try:
        stored: Decimal128 = to_bson(Kind.DECIMAL, text)
    except ValueError:
        raise Unreadable(_PHRASES[Kind.DECIMAL]) from None
    return stored


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Unreadable(_PHRASES[Kind.BOOLEAN])
    return value


def _boolean_of_text(text: str) -> bool:
    if text not in _BOOLEANS:
        raise Unreadable(_PHRASES[Kind.BOOLEAN])
    return _BOOLEANS[text]


def _null_of_text(text: str) -> None:
    if text != "null":
        raise Unreadable(_PHRASES[Kind.NULL])
