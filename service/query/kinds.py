"""The kinds of value that a field may hold, and how each is written in JSON and stored in BSON."""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from bson import Binary, Decimal128, Int64, ObjectId

MAXIMUM_SAFE_INTEGER = 2**53 - 1
INT64_MINIMUM, INT64_MAXIMUM = -(2**63), 2**63 - 1

_DATE_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INT64 = re.compile(r"-?(?:0|[1-9]\d{0,18})", re.ASCII)
_OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,34}(?:\.\d{1,34})?(?:[eE][+-]?\d{1,4})?", re.ASCII)


class Kind(StrEnum):
    """What a value is; the kinds from DATE_TIME on are JSON strings that BSON has a type for."""

    NULL = "null"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    STRING = "string"
    OBJECT = "object"
    ARRAY = "array"
    DATE_TIME = "date-time"
    DATE = "date"
    OBJECT_ID = "objectid"
    UUID = "uuid"
    INT64 = "int64"
    DECIMAL = "decimal"
    BINARY = "binary"


FORMATS: dict[str, Kind] = {
    kind.value: kind
    for kind in (Kind.DATE_TIME, Kind.DATE, Kind.OBJECT_ID, Kind.UUID, Kind.INT64, Kind.DECIMAL, Kind.BINARY)
}
"""JSON Schema `format`s that choose the BSON type."""


def date_time(text: str) -> datetime:
    """Read an RFC 3339 date-time as UTC at BSON's precision (milliseconds, finer digits cut off).

    >>> date_time("2026-11-22T12:00:00.123456+02:00").isoformat()
    '2026-11-22T10:00:00.123000+00:00'
    >>> date_time("2026-11-22")
    Traceback (most recent call last):
    ValueError: not an RFC 3339 date-time
    """
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 date-time")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    milliseconds = int((match[7] or "0").ljust(3, "0")[:3])
    leap = second == 60  # noqa: PLR2004  # RFC 3339 allows leap seconds; BSON counts without them
    local = datetime(year, month, day, hour, minute, 59 if leap else second, milliseconds * 1000, UTC)
    if match[8] in "Zz":
        return local
    hours, minutes = int(match[8][1:3]), int(match[8][4:6])
    if hours > 23 or minutes > 59:  # noqa: PLR2004  # a day has 24 hours, an hour 60 minutes
        raise ValueError("not an RFC 3339 date-time")
    offset = timedelta(hours=hours, minutes=minutes)
    try:
        return local + offset if match[8][0] == "-" else local - offset
    except OverflowError:
        raise ValueError("not a date-time that can be stored") from None


def _date(text: str) -> datetime:
    if not _DATE.fullmatch(text):
        raise ValueError("not a date such as 2026-11-22")
    day = date.fromisoformat(text)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _object_id(text: str) -> ObjectId:
    if not _OBJECT_ID.fullmatch(text):
        raise ValueError("not 24 hexadecimal digits")
    return ObjectId(text)


def _uuid(text: str) -> UUID:
    if not _UUID.fullmatch(text):
        raise ValueError("not a UUID")
    return UUID(text)


def _int64(value: str | int) -> Int64:
    if isinstance(value, str) and not _INT64.fullmatch(value):
        raise ValueError("not an integer")
    number = int(value)
    if not INT64_MINIMUM <= number <= INT64_MAXIMUM:
        raise ValueError("not within 64 bits")
    return Int64(number)


def _decimal(text: str) -> Decimal128:
    if not _DECIMAL.fullmatch(text):
        raise ValueError("not a decimal number such as 12.50")
    try:
        stored = Decimal128(text)
        exact = stored.to_decimal() == Decimal(text)
    except (ArithmeticError, ValueError):
        exact = False
    if not exact:
        raise ValueError("not a decimal of at most 34 digits")
    return stored


def _binary(text: str) -> Binary:
    try:
        return Binary(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise ValueError("not base64") from None


_TO_BSON: dict[Kind, Callable[[Any], Any]] = {
    Kind.DATE_TIME: date_time,
    Kind.DATE: _date,
    Kind.OBJECT_ID: _object_id,
    Kind.UUID: _uuid,
    Kind.INT64: _int64,
    Kind.DECIMAL: _decimal,
    Kind.BINARY: _binary,
}


def to_bson(kind: Kind, value: str | int) -> Any:
    """Turn a JSON value of a format's kind into its BSON value; ValueError says what it is not.

    Strings for every kind; INT64 takes JSON integers too.

    >>> to_bson(Kind.DECIMAL, "12.50")
    Decimal128('12.50')
    >>> to_bson(Kind.UUID, "nope")
    Traceback (most recent call last):
    ValueError: not a UUID
    """
    if not isinstance(value, str) and not (kind is Kind.INT64 and isinstance(value, int)):
        raise ValueError("not a string")  # one kind of error for all of them
    return _TO_BSON[kind](value)
