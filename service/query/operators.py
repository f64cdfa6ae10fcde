"""The operator table: parser, MongoDB filter, in-memory match and documentation all read it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from service.query.geometry import Region
from service.query.kinds import Kind


def contains(text: str) -> str:
    r"""Return the pattern of values that hold the text.

    >>> contains("a.b*")
    'a\\.b\\*'
    """
    return re.escape(text).replace("\0", r"\x00")  # MongoDB refuses a NUL in a pattern, not its escape


def startswith(text: str) -> str:
    """Return the pattern of values that begin with the text, in the form that lets MongoDB use an index."""
    return "^" + contains(text)


def icontains(text: str) -> str:
    """Return the pattern of values that hold the text in any letter case.

    >>> icontains("Ab1")
    '[Aa][Bb]1'
    """
    return "".join(map(_any_case, text))


PATTERNS: Mapping[str, Callable[[str], str]] = {
    "contains": contains,
    "icontains": icontains,
    "startswith": startswith,
}


@lru_cache(maxsize=256)
def compiled_pattern(operator: str, text: str) -> re.Pattern[str]:
    """Return the compiled pattern of a text operator, one of PATTERNS."""
    return re.compile(PATTERNS[operator](text))


def _any_case(letter: str) -> str:
    folded = letter.casefold()
    variants = {letter, letter.lower(), letter.upper(), letter.title(), folded, folded.upper()}
    single = sorted(variant for variant in variants if len(variant) == 1)
    return contains(letter) if len(single) == 1 else f"[{''.join(single)}]"


class Takes(StrEnum):
    """What an operator's right side is, as the documentation calls it."""

    VALUE = "a value"
    TEXT = "text"
    LIST = "a list of values"
    FLAG = "`true` or `false`"
    COUNT = "a whole number"
    CONDITION = "an object of conditions"
    CIRCLE = "a position and metres"
    REGION = "a box or a polygon"


SCALARS = frozenset(Kind) - {Kind.OBJECT, Kind.ARRAY}
ORDERED = SCALARS - {Kind.NULL, Kind.BOOLEAN, Kind.BINARY}
ANYTHING = frozenset(Kind)


def _plain(operand: Any) -> Any:
    """Turn the tree's tuples into lists."""
    return [_plain(part) for part in operand] if isinstance(operand, tuple) else operand


def _region(region: Region) -> dict[str, Any]:
    """Return what `$geoWithin` takes."""
    return region.as_mongo()


@dataclass(frozen=True, slots=True)
class Operator:
    """One row: the name, MongoDB's operator, what it takes, for which kinds, and its line of documentation.

    `operand` turns a value into what MongoDB's operator takes. `any_of` names the operator that takes all
    readings of a value at once (`or`: the readings are or-ed), for text that can be read in several ways.
    """

    name: str
    mongo: str
    takes: Takes
    kinds: frozenset[Kind]
    help: str
    example: str
    operand: Callable[[Any], Any] = _plain
    any_of: str = "or"

    @property
    def takes_null(self) -> bool:
        """Return whether null is a value for it, whatever the field's kinds."""
        return Kind.NULL in self.kinds and self.takes in (Takes.VALUE, Takes.LIST)

    @property
    def takes_arrays(self) -> bool:
        """Return whether a whole array is a value for it."""
        return Kind.ARRAY in self.kinds and self.takes in (Takes.VALUE, Takes.LIST)


_COMPARABLE = SCALARS | {Kind.ARRAY}
_TEXT = frozenset({Kind.STRING})
_ARRAY = frozenset({Kind.ARRAY})
_OBJECT = frozenset({Kind.OBJECT})

_ROWS = (
    Operator(
        "eq",
        "$eq",
        Takes.VALUE,
        _COMPARABLE,
        "is the value; `null` is also a missing field",
        "filter[name]=Desk",
        any_of="in",
    ),
    Operator(
        "ne",
        "$ne",
        Takes.VALUE,
        _COMPARABLE,
        "is not the value; a missing field is not",
        "filter[name][ne]=Desk",
        any_of="nin",
    ),
    Operator("gt", "$gt", Takes.VALUE, ORDERED, "is greater or later", "filter[price][gt]=10"),
    Operator("gte", "$gte", Takes.VALUE, ORDERED, "is greater, later or equal", "filter[price][gte]=10"),
    Operator("lt", "$lt", Takes.VALUE, ORDERED, "is less or earlier", "filter[price][lt]=99.5"),
    Operator("lte", "$lte", Takes.VALUE, ORDERED, "is less, earlier or equal", "filter[price][lte]=99.5"),
    Operator(
        "in",
        "$in",
        Takes.LIST,
        _COMPARABLE,
        "is one of the values",
        "filter[category][in]=books,games",
    ),
    Operator(
        "nin",
        "$nin",
        Takes.LIST,
        _COMPARABLE,
        "is none of the values; a missing field is none",
        "filter[category][nin]=books,games",
    ),
    Operator(
        "exists", "$exists", Takes.FLAG, ANYTHING, "is there, be it `null`", "filter[category][exists]=true"
    ),
    Operator(
        "contains",
        "$regex",
        Takes.TEXT,
        _TEXT,
        "holds the text, literally",
        "filter[name][contains]=a*b",
        operand=contains,
    ),
    Operator(
        "icontains",
        "$regex",
        Takes.TEXT,
        _TEXT,
        "holds the text, whatever the letter case",
        "filter[name][icontains]=desk",
        operand=icontains,
    ),
    Operator(
        "startswith",
        "$regex",
        Takes.TEXT,
        _TEXT,
        "begins with the text; can use an index",
        "filter[name][startswith]=De",
        operand=startswith,
    ),
    Operator(
        "all",
        "$all",
        Takes.LIST,
        _COMPARABLE,
        "is an array with all of the values",
        "filter[tags][all]=new,sale",
    ),
    Operator("size", "$size", Takes.COUNT, _ARRAY, "is an array of so many elements", "filter[tags][size]=2"),
    Operator(
        "elem",
        "$elemMatch",
        Takes.CONDITION,
        _ARRAY,
        "is an array of which one element fulfils all conditions",
        'filter={"parts":{"elem":{"name":"leg","count":{"gte":4}}}}',
    ),
    Operator(
        "near",
        "$geoWithin",
        Takes.CIRCLE,
        _OBJECT,
        "is a place no farther away: longitude, latitude, metres",
        "filter[place][near]=8.55,47.37,5000",
        operand=_region,
    ),
    Operator(
        "within",
        "$geoWithin",
        Takes.REGION,
        _OBJECT,
        "is a place in the box: west, south, east, north; in JSON also in a polygon",
        "filter[place][within]=8.4,47.3,8.6,47.5",
        operand=_region,
    ),
)

OPERATORS: Mapping[str, Operator] = {row.name: row for row in _ROWS}
"""Every operator by its name."""

PLACES = frozenset(row.name for row in _ROWS if row.takes in (Takes.CIRCLE, Takes.REGION))
"""The operators on places."""


def as_markdown() -> str:
    """Return the table of operators for docs/reference/queries.md."""
    rows = [f"| `{row.name}` | {row.help} | {row.takes} | `{row.example}` |" for row in _ROWS]
    return "\n".join(["| operator | holds when the field | takes | example |", "|---|---|---|---|", *rows])
