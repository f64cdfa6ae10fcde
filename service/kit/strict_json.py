"""JSON as RFC 8259 means it, without what its readers disagree on."""

import json
import math
from collections import Counter
from typing import Any, NoReturn

from service.kit.errors import JsonInvalid

MAXIMUM_DEPTH = 100
HALF_CHARACTER = "an escape such as \\ud800 is half a character"


class RefusedJson(ValueError):
    """Why text that Python's reader would take is not taken here."""


def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of an object; raises RefusedJson for a name that is there twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        (twice, _) = Counter(name for name, _ in pairs).most_common(1)[0]
        raise RefusedJson(f"the member {json.dumps(twice[:80])} appears twice in one object")
    return members


def finite(text: str) -> float:
    """Read a number as a double; raises RefusedJson when it is beyond one."""
    number = float(text)
    if not math.isfinite(number):
        raise RefusedJson(f"the number {text[:40]} is too large")
    return number


def _no_constant(name: str) -> NoReturn:
    raise RefusedJson(f"{name} is not a JSON value")


_DECODER = json.JSONDecoder(
    object_pairs_hook=without_duplicates, parse_float=finite, parse_constant=_no_constant
)


def parse(raw: bytes) -> Any:
    """Read one JSON text: UTF-8, no duplicate members, no NaN, finite numbers, at most 100 levels deep.

    Raises JsonInvalid, saying where.

    >>> parse(b'{"a": [1, null]}')
    {'a': [1, None]}
    >>> parse(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
    service.kit.errors.JsonInvalid: the member "a" appears twice in one object
    """
    try:
        value = _DECODER.decode(raw.decode("utf-8"))
    except json.JSONDecodeError as error:
        raise JsonInvalid(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except RefusedJson as error:
        raise JsonInvalid(str(error)) from None
    except UnicodeDecodeError as error:
        raise JsonInvalid(f"byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise JsonInvalid("a number has too many digits") from None
    if raw.count(b"[") + raw.count(b"{") > MAXIMUM_DEPTH and depth(value) > MAXIMUM_DEPTH:
        raise _too_deep()
    if b"\\u" in raw and has_half_characters(value):
        raise JsonInvalid(HALF_CHARACTER)
    return value


def _too_deep() -> JsonInvalid:
    return JsonInvalid(f"the text is nested more than {MAXIMUM_DEPTH} levels deep")


def depth(value: Any) -> int:
    """Count the levels of nesting, one level of the text at a time: recursion is what is guarded against."""
    count, level = 0, [value]
    while level:
        nested = [each for each in level if isinstance(each, dict | list)]
        level = [part for each in nested for part in (each.values() if isinstance(each, dict) else each)]
        count += bool(nested)
    return count


def has_half_characters(value: Any) -> bool:
    """Return whether a text within a value has a lone surrogate, which UTF-8 cannot hold."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False
