"""JSON text to documents that can be stored: strict, with plain member names and plain values."""

import json
import re
from typing import Any, NoReturn

from service.kit import strict_json
from service.kit.strict_json import MAXIMUM_DEPTH
from service.query.kinds import INT64_MAXIMUM, INT64_MINIMUM
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
            parse_float=strict_json.finite,
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
        return strict_json.finite(text)


def _refuse_constant(name: str) -> NoReturn:
    raise _Constant(name)
