"""JSON text to documents that can be stored: strict, with plain member names and plain values."""

import base64
import binascii
import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn
from uuid import UUID

from service.kit import strict_json
from service.kit.strict_json import MAXIMUM_DEPTH
from service.query.kinds import INT64_MAXIMUM, INT64_MINIMUM
from service.transfer.names import MemberNames

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
    """Return a number where a double is exactly what is written, else the text: no digit is lost."""
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
    """Return the plain value of an object that is one Extended JSON value; any other object as it is.

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


SURELY_INT64_CHARACTERS = 18
MAXIMUM_DIGITS = 400

_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|(NaN|-?Infinity)')


class Refused(ValueError):
    """Text that Python's reader takes and Sheaf does not: `position` is where in the text, if known."""

    def __init__(self, reason: str, position: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position


class _Constant(Exception):
    """A literal that JSON does not have."""


class Decoder:
    """Reads JSON values, renaming members as `names` says; `doubled` counts integers read as doubles."""

    def __init__(self, names: MemberNames) -> None:
        self.names = names
        self.doubled = 0
        self._json = json.JSONDecoder(
            object_pairs_hook=self._members,
            parse_int=self._whole,
            parse_float=strict_json.finite,
            parse_constant=_refuse_constant,
        )

    def decode(self, text: str, start: int = 0) -> tuple[Any, int]:
        """Read the value that begins at `start`; returns where it ends too.

        Raises Refused, and json.JSONDecodeError for what is not JSON.
        """
        try:
            value, end = self._json.raw_decode(text, start)
        except _Constant as error:
            match = next((each for each in _CONSTANT.finditer(text, start) if each[1]), None)
            place = match.start() if match else start
            raise Refused(f"{error} is not JSON (write null)", place) from None
        except strict_json.RefusedJson as error:
            raise Refused(str(error)) from None
        except RecursionError:
            raise Refused(f"a document is nested more than {MAXIMUM_DEPTH} levels deep", start) from None
        brackets = text.count("{", start, end) + text.count("[", start, end)
        if brackets > MAXIMUM_DEPTH and strict_json.depth(value) > MAXIMUM_DEPTH:
            raise Refused(f"a document is nested more than {MAXIMUM_DEPTH} levels deep", start)
        is_escaped = text.find("\\ud", start, end) >= 0 or text.find("\\uD", start, end) >= 0
        if is_escaped and strict_json.has_half_characters(value):
            raise Refused(strict_json.HALF_CHARACTER, start)
        return value, end

    def _members(self, pairs: list[tuple[str, Any]]) -> Any:
        members = strict_json.without_duplicates(pairs)
        if self.names.are_plain(members):
            return members
        value = plain_value(members)
        return self.names.apply(members) if value is members else value

    def _whole(self, text: str) -> int | float:
        if len(text) <= SURELY_INT64_CHARACTERS:
            return int(text)
        if len(text) > MAXIMUM_DIGITS:
            raise Refused(f"a number has {len(text)} digits")
        number = int(text)
        if INT64_MINIMUM <= number <= INT64_MAXIMUM:
            return number
        self.doubled += 1
        return strict_json.finite(text)


def _refuse_constant(name: str) -> NoReturn:
    raise _Constant(name)
