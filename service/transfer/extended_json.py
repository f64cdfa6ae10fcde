"""MongoDB's Extended JSON (as mongoexport writes it), turned into the plain JSON that Sheaf stores."""

import base64
import binascii
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

UUID_SUBTYPES = ("03", "04", "3", "4")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not a string")  # noqa: TRY004  # one kind of error for every form
    return value


def _date(value: Any) -> str:
    if isinstance(value, int):  # milliseconds: `{"$numberLong": …}` inside has become an integer already
        moment = _EPOCH + timedelta(milliseconds=value)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return _text(value)


def _decimal(value: Any) -> float | str:
    """Give a number where a double is exactly what is written, else the text: no digit is lost."""
    text = _text(value)
    number = float(text)
    return number if math.isfinite(number) and Decimal(repr(number)) == Decimal(text) else text


def _double(value: Any) -> float:
    number = float(_text(value))
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


def _binary(value: Any) -> str:
    text, subtype = _text(value["base64"]), value["subType"]
    if subtype in UUID_SUBTYPES:
        return str(UUID(bytes=base64.b64decode(text, validate=True)))
    return text


_FORMS: dict[str, Callable[[Any], Any]] = {
    "$oid": _text,
    "$uuid": _text,
    "$date": _date,
    "$numberInt": lambda value: int(_text(value)),
    "$numberLong": lambda value: int(_text(value)),
    "$numberDouble": _double,
    "$numberDecimal": _decimal,
    "$binary": _binary,
}


def plain_value(members: dict[str, Any]) -> Any:
    """Give the plain value of an object that is one Extended JSON value, and any other object as it is.

    >>> plain_value({"$oid": "5f0c6b2e9d1e8a0001a1b2c3"})
    '5f0c6b2e9d1e8a0001a1b2c3'
    >>> plain_value({"$date": 1700000000000}), plain_value({"$numberDecimal": "12.50"})
    ('2023-11-14T22:13:20.000Z', 12.5)
    >>> plain_value({"$ref": "a"})
    {'$ref': 'a'}
    """
    if len(members) != 1:
        return members
    ((name, value),) = members.items()
    if name not in _FORMS:
        return members
    try:
        return _FORMS[name](value)
    except (ValueError, TypeError, KeyError, OverflowError, InvalidOperation, binascii.Error):
        return members
