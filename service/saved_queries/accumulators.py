"""The accumulators of `group`: the table that its reader and the documentation share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.query.fields import Field
from service.query.kinds import Kind
from service.saved_queries.functions import ALL, NUMBERS, number
from service.saved_queries.limits import MAXIMUM_GATHERED


@dataclass(frozen=True, slots=True)
class Accumulator:
    """One row: the name, how MongoDB is told, what is made of its outcome, its line of documentation."""

    name: str
    takes: frozenset[Kind]
    build: Callable[[Any], Any]
    finish: Callable[[Any], Any]
    gives: Callable[[Field], Field]
    help: str
    example: str


def _plain(operator: str) -> Callable[[Any], Any]:
    return lambda expression: {operator: expression}


def _as_is(outcome: Any) -> Any:
    return outcome


def _bounded(outcome: Any) -> Any:
    return {"$slice": [outcome, MAXIMUM_GATHERED]}


def _same(field: Field) -> Field:
    return field


def _many(field: Field) -> Field:
    return Field(frozenset({Kind.ARRAY}), items=field)


def _number(field: Field) -> Field:
    return number([field])


_WHOLE = Field(frozenset({Kind.INTEGER}))

_ROWS = (
    Accumulator(
        "sum", NUMBERS, _plain("$sum"), _as_is, _number, "the sum of the numbers", '{"sum": "price"}'
    ),
    Accumulator(
        "avg", NUMBERS, _plain("$avg"), _as_is, _number, "their average; null without any", '{"avg": "price"}'
    ),
    Accumulator("min", ALL, _plain("$min"), _as_is, _same, "the least value", '{"min": "_created_at"}'),
    Accumulator("max", ALL, _plain("$max"), _as_is, _same, "the greatest value", '{"max": "price"}'),
    Accumulator(
        "count", ALL, lambda _: {"$sum": 1}, _as_is, lambda _: _WHOLE, "how many documents", '{"count": true}'
    ),
    Accumulator(
        "count_distinct",
        ALL,
        _plain("$addToSet"),
        lambda outcome: {"$size": {"$setDifference": [outcome, [None]]}},
        lambda _: _WHOLE,
        "how many different values that are not null",
        '{"count_distinct": "_owner"}',
    ),
    Accumulator(
        "first",
        ALL,
        _plain("$first"),
        _as_is,
        _same,
        "the value of the first document; `sort` before",
        '{"first": "name"}',
    ),
    Accumulator(
        "last",
        ALL,
        _plain("$last"),
        _as_is,
        _same,
        "the value of the last document; `sort` before",
        '{"last": "name"}',
    ),
    Accumulator(
        "push",
        ALL,
        _plain("$push"),
        _bounded,
        _many,
        f"an array of the first {MAXIMUM_GATHERED} values",
        '{"push": "name"}',
    ),
    Accumulator(
        "add_to_set",
        ALL,
        _plain("$addToSet"),
        _bounded,
        _many,
        f"an array of {MAXIMUM_GATHERED} different values at the most, in no order",
        '{"add_to_set": "category"}',
    ),
)

ACCUMULATORS: Mapping[str, Accumulator] = {row.name: row for row in _ROWS}
"""Every accumulator by its name."""


def as_markdown() -> str:
    """Give the table of accumulators for docs/reference/saved-queries.md."""
    rows = [f"| `{row.name}` | {row.help} | `{row.example}` |" for row in _ROWS]
    return "\n".join(["| accumulator | gives | example |", "|---|---|---|", *rows])
