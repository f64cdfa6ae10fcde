"""Filters as query parameters: `filter[price][gte]=10`."""

from service.query.comparisons import Unfit, compare_text
from service.query.fields import Field
from service.query.json_filters import FilterReader, report_operator
from service.query.kinds import Kind
from service.query.operators import OPERATORS, Takes
from service.query.paths import find, report_unknown
from service.query.problems import Problems, shown
from service.query.tree import EVERYTHING, Node
from service.query.values import comparable_kinds

PREFIX = "filter["
_FIELD_AND_OPERATOR = 2
_FORM = "a filter is `filter[field]=value` or `filter[field][operator]=value`, with dots in nested fields"
_LONGEST_HINT = 200


def read_bracket(problems: Problems, filters: FilterReader, fields: Field, name: str, text: str) -> Node:
    """Read one parameter whose name begins with `filter[`; what is wrong goes to `problems`.

    What it costs is counted by `filters`.
    """
    filters.count()
    names = name.removeprefix(PREFIX).removesuffix("]").split("][")
    if not name.endswith("]") or any("[" in part or "]" in part for part in names):
        return _malformed(problems, name, None)
    if len(names) > _FIELD_AND_OPERATOR:
        return _malformed(problems, name, f"Write `filter[{'.'.join(names[:-1])}][{names[-1]}]`.")
    found = find(fields, names[0])
    if found is None:
        report_unknown(problems, fields, names[0], parameter=name)
        return EVERYTHING
    path, field = found
    operator = OPERATORS.get(names[1] if len(names) == _FIELD_AND_OPERATOR else "eq")
    if operator is None:
        report_operator(problems, path, field, names[1], parameter=name)
        return EVERYTHING
    if operator.takes is Takes.LIST:
        filters.count_values(text.count(",") + 1)
    try:
        return compare_text(path, field, operator, text)
    except Unfit as problem:
        is_plus_lost = " " in text and Kind.DATE_TIME in comparable_kinds(field)
        hint = "In a URL, write `+` as `%2B`." if is_plus_lost else None
        problems.add(str(problem), problem.code, parameter=name, hint=hint)
        return EVERYTHING


def _malformed(problems: Problems, name: str, hint: str | None) -> Node:
    problems.add(_FORM, "form", parameter=name, hint=hint and shown(hint, _LONGEST_HINT))
    return EVERYTHING
