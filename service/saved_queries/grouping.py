"""The stage `group`: one document for each combination of values, with accumulators."""

from typing import Any

from service.kit.errors import suggestion
from service.query.problems import shown
from service.saved_queries.accumulators import ACCUMULATORS, Accumulator
from service.saved_queries.expressions import Expression, ExpressionReader
from service.saved_queries.faults import Faults
from service.saved_queries.functions import ALL
from service.saved_queries.limits import MAXIMUM_MEMBERS
from service.saved_queries.shapes import Shape, of_members, stored
from service.schema.pointers import escape

BY = "by"


def read_group(
    faults: Faults, expressions: ExpressionReader, value: Any, shape: Shape, pointer: str
) -> tuple[list[dict[str, Any]], Shape]:
    """Compile `{"by": …, name: {accumulator: expression}}`; gives the stages and the shape after them."""
    if not isinstance(value, dict):
        faults.add("`group` is an object of `by` and accumulators", "type", pointer)
        return [], shape
    if len(value) > MAXIMUM_MEMBERS:
        faults.add(f"`group` has at most {MAXIMUM_MEMBERS} members", "too_complex", pointer)
        return [], shape
    by = _by(faults, expressions, value.get(BY), shape, pointer + escape(BY))
    outcomes: dict[str, tuple[Accumulator, Expression]] = {}
    for name, described in value.items():
        if name == BY or not expressions.can_be_named(name, pointer):
            continue
        if name in by:
            detail = f"`{shown(name)}` is what the documents are grouped by already"
            faults.add(detail, "repeated", pointer + escape(name))
        read = _accumulator(faults, expressions, described, shape, pointer + escape(name))
        if read is not None:
            outcomes[name] = read
    return _compiled(by, outcomes)


def _by(
    faults: Faults, expressions: ExpressionReader, value: Any, shape: Shape, pointer: str
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
    faults: Faults, expressions: ExpressionReader, value: Any, shape: Shape, pointer: str
) -> tuple[Accumulator, Expression] | None:
    if not isinstance(value, dict) or len(value) != 1:
        detail = 'an accumulator is an object of one member, such as {"sum": "price"}'
        faults.add(detail, "type", pointer)
        return None
    ((name, operand),) = value.items()
    at = pointer + escape(name)
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
    """Give the two stages: MongoDB's own names while it groups, the definition's afterwards.

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
