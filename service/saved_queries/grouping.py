"""The stage `group`: one document for each combination of values, with accumulators."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.kit.errors import suggestion
from service.kit.json_values import escape_pointer
from service.kit.violations import Violations, shown
from service.query.fields import Field
from service.query.kinds import Kind
from service.saved_queries.expressions import Expression, ExpressionReader
from service.saved_queries.functions import ALL, NUMBERS, number
from service.saved_queries.limits import MAXIMUM_GATHERED, MAXIMUM_MEMBERS
from service.saved_queries.shapes import Shape, of_members, stored


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


def _number_result(field: Field) -> Field:
    return number([field])


_WHOLE = Field(frozenset({Kind.INTEGER}))

_ROWS = (
    Accumulator(
        "sum", NUMBERS, _plain("$sum"), _as_is, _number_result, "the sum of the numbers", '{"sum": "price"}'
    ),
    Accumulator(
        "avg",
        NUMBERS,
        _plain("$avg"),
        _as_is,
        _number_result,
        "their average; null without any",
        '{"avg": "price"}',
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


def accumulators_as_markdown() -> str:
    """Return the table of accumulators for docs/reference/saved-queries.md."""
    rows = [f"| `{row.name}` | {row.help} | `{row.example}` |" for row in _ROWS]
    return "\n".join(["| accumulator | gives | example |", "|---|---|---|", *rows])


BY = "by"


def read_group(
    faults: Violations, expressions: ExpressionReader, value: Any, shape: Shape, pointer: str
) -> tuple[list[dict[str, Any]], Shape]:
    """Compile `{"by": …, name: {accumulator: expression}}`; returns the stages and the shape after them."""
    if not isinstance(value, dict):
        faults.add("`group` is an object of `by` and accumulators", "type", pointer)
        return [], shape
    if len(value) > MAXIMUM_MEMBERS:
        faults.add(f"`group` has at most {MAXIMUM_MEMBERS} members", "too_complex", pointer)
        return [], shape
    by = _by(faults, expressions, value.get(BY), shape, pointer + escape_pointer(BY))
    outcomes: dict[str, tuple[Accumulator, Expression]] = {}
    for name, described in value.items():
        if name == BY or not expressions.can_be_named(name, pointer):
            continue
        if name in by:
            detail = f"`{shown(name)}` is what the documents are grouped by already"
            faults.add(detail, "repeated", pointer + escape_pointer(name))
        read = _accumulator(faults, expressions, described, shape, pointer + escape_pointer(name))
        if read is not None:
            outcomes[name] = read
    return _compiled(by, outcomes)


def _by(
    faults: Violations, expressions: ExpressionReader, value: Any, shape: Shape, pointer: str
) -> dict[str, Expression]:
    """Read what to group by: nothing, a field, several, or an object of names and expressions."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return expressions.members(value, shape, pointer)
    if isinstance(value, str):
        return {value.rsplit(".", maxsplit=1)[-1]: expressions.path(value, shape, pointer)}
    if not isinstance(value, list) or not value:
        detail = "`by` is a field's name, an array of such, or an object of names and expressions"
        faults.add(detail, "type", pointer)
        return {}
    return expressions.named(value, shape, pointer)


def _accumulator(
    faults: Violations, expressions: ExpressionReader, value: Any, shape: Shape, pointer: str
) -> tuple[Accumulator, Expression] | None:
    if not isinstance(value, dict) or len(value) != 1:
        detail = 'an accumulator is an object of one member, such as {"sum": "price"}'
        faults.add(detail, "type", pointer)
        return None
    ((name, operand),) = value.items()
    at = pointer + escape_pointer(name)
    accumulator = ACCUMULATORS.get(name)
    if accumulator is None:
        hint = suggestion(name[:64], ACCUMULATORS)
        faults.add(f"there is no accumulator `{shown(name)}`", "unknown_accumulator", at, hint)
        return None
    if name == "count" and operand is not True:
        faults.add('`count` is written {"count": true}', "form", at)
        return None
    expression = expressions.read(operand, shape, at)
    if accumulator.takes != ALL and not expression.field.kinds & accumulator.takes:
        had = ", ".join(sorted(expression.field.kinds)) or "nothing"
        hint = "`unwind` gives the elements of an array one by one." if "array" in had else None
        faults.add(f"`{name}` takes numbers, and this is {had}", "type", at, hint)
    return accumulator, expression


def _compiled(
    by: dict[str, Expression], outcomes: dict[str, tuple[Accumulator, Expression]]
) -> tuple[list[dict[str, Any]], Shape]:
    """Return the two stages: MongoDB's own names while it groups, the definition's afterwards.

    Missing is null, so that both make one group and every document of the answer has the same members.
    """
    keys = {f"k{index}": {"$ifNull": [each.mongo, None]} for index, each in enumerate(by.values())}
    group = {"_id": keys or None} | {
        f"a{index}": accumulator.build(expression.mongo)
        for index, (accumulator, expression) in enumerate(outcomes.values())
    }
    members = {stored((name,)): f"$_id.k{index}" for index, name in enumerate(by)} | {
        stored((name,)): accumulator.finish(f"$a{index}")
        for index, (name, (accumulator, _)) in enumerate(outcomes.items())
    }
    fields = {name: each.field for name, each in by.items()} | {
        name: accumulator.gives(expression.field) for name, (accumulator, expression) in outcomes.items()
    }
    return [{"$group": group}, {"$replaceWith": members}], of_members(fields, tuple(by))
