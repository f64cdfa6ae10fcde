"""The limits of the query language: what is beyond them is refused before any database hears of it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

DEFAULT_LIMIT = 20
MAXIMUM_LIMIT = 100
MAXIMUM_SKIP = 10_000
MAXIMUM_PARAMETERS = 200
MAXIMUM_FILTER_BYTES = 32_768
MAXIMUM_QUERY_BYTES = 262_144
MAXIMUM_DEPTH = 10
MAXIMUM_CONDITIONS = 100
MAXIMUM_LIST_LENGTH = 1000
VALUES_OF_A_CONDITION = 100
MAXIMUM_TEXT_CHARACTERS = 1000
MAXIMUM_SEARCH_CHARACTERS = 200
MAXIMUM_CURSOR_CHARACTERS = 4096
MAXIMUM_CURSOR_VALUES_BYTES = 1024
MAXIMUM_ESTIMATED = 10_000
MAXIMUM_POLYGON_POSITIONS = 100
POSITIONS_OF_A_CONDITION = 5
MAXIMUM_DISTANCE_M = 10_000_000
MAXIMUM_PATH_NAMES = 32
MAXIMUM_SORT_KEYS = 8
MAXIMUM_SELECTED_FIELDS = 100
MAXIMUM_EXPANDED_PATHS = 10
MAXIMUM_EXPANDED_DEPTH = 3
MAXIMUM_EXPANDED_REFERENCES = 10_000
MAXIMUM_EXPANDED_DOCUMENTS = 1000
MAXIMUM_EXPANDED_BYTES = 16_777_216

MEANINGS = MappingProxyType(
    {
        "DEFAULT_LIMIT": "documents of a page when `limit` is not given",
        "MAXIMUM_LIMIT": "documents of a page at the most",
        "MAXIMUM_SKIP": "documents that pages before the asked one may hold, `(page - 1) * limit`",
        "MAXIMUM_PARAMETERS": "query parameters of one request",
        "MAXIMUM_FILTER_BYTES": "bytes of the JSON in `filter=`",
        "MAXIMUM_QUERY_BYTES": "bytes of the JSON body of `POST /api/{collection}/query`",
        "MAXIMUM_DEPTH": "levels of `and`, `or`, `not`, `elem` and arrays within each other",
        "MAXIMUM_CONDITIONS": "conditions of one request, each `and`, `or`, `not` counted too",
        "MAXIMUM_LIST_LENGTH": "values of one list, such as that of `in`",
        "VALUES_OF_A_CONDITION": "values of lists that count as one more condition",
        "MAXIMUM_TEXT_CHARACTERS": "characters of the text of `contains`, `icontains`, `startswith`",
        "MAXIMUM_SEARCH_CHARACTERS": "characters of `q`",
        "MAXIMUM_CURSOR_CHARACTERS": "characters of `cursor`",
        "MAXIMUM_CURSOR_VALUES_BYTES": "bytes of the values to sort by that a cursor carries",
        "MAXIMUM_ESTIMATED": "documents that `count=estimated` counts when there is a filter or a rule",
        "MAXIMUM_POLYGON_POSITIONS": "positions of all rings of a polygon of `within`",
        "POSITIONS_OF_A_CONDITION": "positions of a polygon that count as one condition",
        "MAXIMUM_DISTANCE_M": "metres of `near`, a quarter of the way around the globe",
        "MAXIMUM_PATH_NAMES": "names of one dotted path",
        "MAXIMUM_SORT_KEYS": "fields of `sort`",
        "MAXIMUM_SELECTED_FIELDS": "fields of `fields`",
        "MAXIMUM_EXPANDED_PATHS": "references named in `expand`",
        "MAXIMUM_EXPANDED_DEPTH": "references that one path of `expand` follows, one after the other",
        "MAXIMUM_EXPANDED_REFERENCES": "references that one request expands, in all documents together",
        "MAXIMUM_EXPANDED_DOCUMENTS": "documents that one request reads for `expand`",
        "MAXIMUM_EXPANDED_BYTES": "bytes of JSON that `expand` reads, and that it puts into an answer",
    }
)
"""What each limit bounds, for the documentation."""


def as_markdown() -> str:
    """Return the table of limits for docs/reference/queries.md."""
    return table(MEANINGS, globals())


def table(meanings: Mapping[str, str], values: Mapping[str, Any]) -> str:
    """Return the Markdown table of limits, by name what they bound and what they are."""
    rows = [f"| `{name}` | {values[name]} | {meaning} |" for name, meaning in meanings.items()]
    return "\n".join(["| limit | value | what it bounds |", "|---|---|---|", *rows])
