"""The parameters of a list request, read into a ListQuery."""

from collections.abc import Sequence

from service.errors import JsonInvalid
from service.query.brackets import PREFIX, read_bracket
from service.query.fields import Field
from service.query.json_filters import FilterReader
from service.query.limits import (
    DEFAULT_LIMIT,
    MAXIMUM_FILTER_BYTES,
    MAXIMUM_LIMIT,
    MAXIMUM_PARAMETERS,
    MAXIMUM_SKIP,
)
from service.query.lists import ListQuery
from service.query.ordering import read_selection, read_sort
from service.query.paths import find
from service.query.problems import Problems, shown
from service.query.tree import EVERYTHING, Node, all_of
from service.strict_json import parse as parse_json

PARAMETERS = ("filter", "limit", "page", "sort", "fields")

_LONGEST_NUMBER = len(str(MAXIMUM_SKIP + 1))


def parse_list(parameters: Sequence[tuple[str, str]], fields: Field) -> ListQuery:
    """Read a list request's parameters, percent-decoded and in their order, against a collection's fields.

    Raises ParameterInvalid with every violation, each naming its parameter.
    """
    problems = Problems()
    if len(parameters) > MAXIMUM_PARAMETERS:
        detail = f"a request may have {MAXIMUM_PARAMETERS} parameters at the most"
        problems.stop(detail, "too_complex", parameter=parameters[MAXIMUM_PARAMETERS][0])
    filters = FilterReader(problems)
    parts: list[Node] = []
    given: dict[str, str] = {}
    for name, text in parameters:
        if name.startswith(PREFIX):
            filters.count()
            parts.append(read_bracket(problems, fields, name, text))
        elif name not in PARAMETERS:
            _report_unknown_parameter(problems, fields, name)
        elif name in given:
            problems.add(f"`{name}` is given twice", "repeated", parameter=name)
        else:
            given[name] = text
    if "filter" in given:
        parts.append(_json_filter(problems, filters, fields, given["filter"]))
    sort = read_sort(problems, fields, given["sort"]) if "sort" in given else ()
    selection = read_selection(problems, fields, given["fields"]) if "fields" in given else None
    page, limit = _page(problems, given)
    problems.raise_if_any()
    where = all_of(parts)
    return ListQuery(None if where == EVERYTHING else where, sort, page, limit, selection)


def _json_filter(problems: Problems, filters: FilterReader, fields: Field, text: str) -> Node:
    raw = text.encode(errors="surrogatepass")  # lone surrogates are then refused as not being UTF-8
    if len(raw) > MAXIMUM_FILTER_BYTES:
        detail = f"a filter may have {MAXIMUM_FILTER_BYTES} bytes at the most"
        problems.stop(detail, "too_complex", parameter="filter")
    try:
        value = parse_json(raw)
    except JsonInvalid as error:
        problems.add(f"the filter is not valid JSON: {error.detail}", "json", parameter="filter")
        return EVERYTHING
    return filters.read(value, fields)


def _page(problems: Problems, given: dict[str, str]) -> tuple[int, int]:
    limit = _whole(problems, "limit", given, DEFAULT_LIMIT, MAXIMUM_LIMIT)
    page = _whole(problems, "page", given, 1, MAXIMUM_SKIP + 1)
    if (page - 1) * limit > MAXIMUM_SKIP:
        detail = f"pages end after {MAXIMUM_SKIP} documents: page {page} of {limit} lies beyond"
        problems.add(detail, "range", parameter="page", hint="Narrow the filter to see other documents.")
    return page, limit


def _whole(problems: Problems, name: str, given: dict[str, str], default: int, maximum: int) -> int:
    text = given.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdecimal():
        number = int(text) if len(text) <= _LONGEST_NUMBER else maximum + 1
        if 1 <= number <= maximum:
            return number
        problems.add(f"`{name}` goes from 1 to {maximum}", "range", parameter=name)
    else:
        problems.add(f"`{shown(text)}` is not a whole number", "type", parameter=name)
    return default


def _report_unknown_parameter(problems: Problems, fields: Field, name: str) -> None:
    hint = f"Did you mean `filter[{name}]`?" if find(fields, name) else problems.suggest(name, PARAMETERS)
    problems.add(f"there is no parameter `{shown(name)}`", "unknown_parameter", parameter=name, hint=hint)
