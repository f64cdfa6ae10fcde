"""The query language: parse text or JSON, build MongoDB filters, match in memory."""

from service.query.json_filters import parse_filter
from service.query.match import matches
from service.query.mongo import projection, sort_keys, to_mongo
from service.query.operators import OPERATORS, Operator
from service.query.parse import ViewQuery, parse_list, parse_query, parse_view
from service.query.tree import (
    EVERYTHING,
    NOTHING,
    And,
    Compare,
    Elem,
    ListQuery,
    Node,
    Not,
    Or,
    Path,
    Selection,
    SortKey,
    conjoin,
)

__all__ = [
    "EVERYTHING",
    "NOTHING",
    "OPERATORS",
    "And",
    "Compare",
    "Elem",
    "ListQuery",
    "Node",
    "Not",
    "Operator",
    "Or",
    "Path",
    "Selection",
    "SortKey",
    "ViewQuery",
    "conjoin",
    "matches",
    "parse_filter",
    "parse_list",
    "parse_query",
    "parse_view",
    "projection",
    "sort_keys",
    "to_mongo",
]
