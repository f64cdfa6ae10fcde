"""JSON text to documents that can be stored: strict, with plain member names and plain values."""

import json
import math
import re
from typing import Any, NoReturn

from service.query.kinds import INT64_MAXIMUM, INT64_MINIMUM
from service.strict_json import MAXIMUM_DEPTH
from service.transfer import extended_json
from service.transfer.names import MemberNames

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
            parse_float=_finite,
            parse_constant=_refuse_constant,
        )

    def decode(self, text: str, start: int = 0) -> tuple[Any, int]:
        """Read the value that begins at `start`, and tell where it ends.

        Raises Refused, and json.JSONDecodeError for what is not JSON.
        """
        try:
            value, end = self._json.raw_decode(text, start)
        except _Constant as error:
            match = next((each for each in _CONSTANT.finditer(text, start) if each[1]), None)
            place = match.start() if match else start
            raise Refused(f"{error} is not JSON (write null)", place) from None
        except RecursionError:
            raise Refused(f"a document is nested more than {MAXIMUM_DEPTH} levels deep", start) from None
        brackets = text.count("{", start, end) + text.count("[", start, end)
        if brackets > MAXIMUM_DEPTH and _depth(value) > MAXIMUM_DEPTH:
            raise Refused(f"a document is nested more than {MAXIMUM_DEPTH} levels deep", start)
        if text.find("\\ud", start, end) >= 0 or text.find("\\uD", start, end) >= 0:
            _refuse_half_characters(value, start)
        return value, end

    def _members(self, pairs: list[tuple[str, Any]]) -> Any:
        members = dict(pairs)
        if len(members) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise Refused(f"the member {json.dumps(twice[:80])} appears twice in one object")
        if self.names.are_plain(members):
            return members
        value = extended_json.plain_value(members)
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
        return _finite(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Refused(f"the number {text[:40]} is too large")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise _Constant(name)


def _depth(value: Any) -> int:
    """Count the levels of nesting, one level of the text at a time: recursion is what is guarded against."""
    depth, level = 0, [value]
    while level:
        nested = [each for each in level if isinstance(each, dict | list)]
        level = [part for each in nested for part in (each.values() if isinstance(each, dict) else each)]
        depth += bool(nested)
    return depth


def _refuse_half_characters(value: Any, start: int) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Refused("an escape such as \\ud800 is half a character", start) from None
