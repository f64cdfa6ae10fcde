"""A list request, read into a ListQuery: from the parameters of a URL, or from a JSON body."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from service.kit.errors import JsonInvalid, ParameterInvalid, Violation, suggestion
from service.kit.strict_json import parse as parse_json
from service.kit.violations import Violations, shown
from service.query.comparisons import Unfit, compare_text, described
from service.query.expansions import FieldsOf, no_fields, read_expand
from service.query.fields import Field, find_field, report_unknown_field
from service.query.json_filters import FilterReader, report_operator
from service.query.kinds import Kind
from service.query.limits import (
    DEFAULT_LIMIT,
    MAXIMUM_CURSOR_CHARACTERS,
    MAXIMUM_FILTER_BYTES,
    MAXIMUM_LIMIT,
    MAXIMUM_PARAMETERS,
    MAXIMUM_QUERY_BYTES,
    MAXIMUM_SEARCH_CHARACTERS,
    MAXIMUM_SKIP,
)
from service.query.operators import OPERATORS, Takes
from service.query.ordering import read_selection, read_sort
from service.query.parameters import Problems
from service.query.tree import EVERYTHING, Count, ListQuery, Node, Path, Selection, all_of
from service.query.values import comparable_kinds

BRACKET = "filter["
_FIELD_AND_OPERATOR = 2
_BRACKET_FORM = (
    "a filter is `filter[field]=value` or `filter[field][operator]=value`, with dots in nested fields"
)
_LONGEST_HINT = 200


def read_bracket(problems: Problems, filters: FilterReader, fields: Field, name: str, text: str) -> Node:
    """Read one parameter whose name begins with `filter[`; what is wrong goes to `problems`.

    What it costs is counted by `filters`.
    """
    filters.count()
    names = name.removeprefix(BRACKET).removesuffix("]").split("][")
    if not name.endswith("]") or any("[" in part or "]" in part for part in names):
        return _malformed_bracket(problems, name, None)
    if len(names) > _FIELD_AND_OPERATOR:
        return _malformed_bracket(problems, name, f"Write `filter[{'.'.join(names[:-1])}][{names[-1]}]`.")
    found = find_field(fields, names[0])
    if found is None:
        report_unknown_field(problems, fields, names[0], parameter=name)
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


def _malformed_bracket(problems: Problems, name: str, hint: str | None) -> Node:
    problems.add(_BRACKET_FORM, "form", parameter=name, hint=hint and shown(hint, _LONGEST_HINT))
    return EVERYTHING


PARAMETERS = ("filter", "q", "sort", "fields", "expand", "page", "limit", "cursor", "count")
"""The parameters of a list request, which are the members of a query's body too."""

COUNTS: Mapping[str, Count] = {word: word for word in get_args(Count)}
"""The ways to count, by their names."""

_NUMBERS = ("page", "limit")
_LONGEST_NUMBER = len(str(MAXIMUM_SKIP + 1))


def parse_list(
    parameters: Sequence[tuple[str, str]], fields: Field, fields_of: FieldsOf = no_fields
) -> ListQuery:
    """Read a list request's parameters, percent-decoded and in their order, against a collection's fields.

    `fields_of` knows the fields of the collections that references lead to, for `expand`.
    Raises ParameterInvalid with every violation, each naming its parameter.
    """
    problems = Problems()
    if len(parameters) > MAXIMUM_PARAMETERS:
        detail = f"a request may have {MAXIMUM_PARAMETERS} parameters at the most"
        problems.stop(detail, "too_complex", parameter=parameters[MAXIMUM_PARAMETERS][0])
    filters = FilterReader(problems)
    conditions: list[Node] = []
    given: dict[str, Any] = {}
    for name, text in parameters:
        if name.startswith(BRACKET):
            conditions.append(read_bracket(problems, filters, fields, name, text))
        elif name not in PARAMETERS:
            hint = f"Did you mean `filter[{name}]`?" if find_field(fields, name) else None
            _report_unknown(problems, name, hint)
        elif name in given:
            problems.add(f"`{name}` is given twice", "repeated", parameter=name)
        else:
            given[name] = _number(text) if name in _NUMBERS else text
    if "filter" in given:
        conditions.append(_read_filter_text(problems, filters, fields, given["filter"]))
    expand = read_expand(problems, fields, given["expand"], fields_of) if "expand" in given else ()
    return _read(problems, fields, given, conditions, expand)


def parse_query(body: Any, fields: Field, fields_of: FieldsOf = no_fields) -> ListQuery:
    """Read a query's JSON body, such as `{"filter": {"price": {"gte": 10}}, "sort": ["-price", "name"]}`.

    Its members are PARAMETERS. Raises ParameterInvalid with every violation, each with its pointer.
    """
    problems = Problems(is_body=True)
    if not isinstance(body, Mapping):
        problems.stop("a query is an object", "type", parameter="")
    if len(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()) > MAXIMUM_QUERY_BYTES:
        detail = f"a query may have {MAXIMUM_QUERY_BYTES} bytes at the most"
        problems.stop(detail, "too_complex", parameter="")
    if len(body) > MAXIMUM_PARAMETERS:
        detail = f"a query may have {MAXIMUM_PARAMETERS} members at the most"
        problems.stop(detail, "too_complex", parameter="")
    for name in body:
        if name not in PARAMETERS:
            is_field = find_field(fields, name) is not None
            hint = (
                f"Conditions on fields stand within `filter`: `filter.{shown(name)}`." if is_field else None
            )
            _report_unknown(problems, name, hint)
    conditions = [FilterReader(problems).read(body["filter"], fields)] if "filter" in body else []
    expand = read_expand(problems, fields, body["expand"], fields_of) if "expand" in body else ()
    return _read(problems, fields, body, conditions, expand)


def _read(
    problems: Problems,
    fields: Field,
    given: Mapping[str, Any],
    conditions: list[Node],
    expand: tuple[Path, ...],
) -> ListQuery:
    """Read all but the filter and the expansions, which are read already; raise whatever is wrong."""
    sort = read_sort(problems, fields, given["sort"]) if "sort" in given else ()
    selection = read_selection(problems, fields, given["fields"]) if "fields" in given else None
    search = _text(problems, given, "q", MAXIMUM_SEARCH_CHARACTERS)
    cursor = _text(problems, given, "cursor", MAXIMUM_CURSOR_CHARACTERS)
    page, limit = _page(problems, given)
    count = _count(problems, given)
    if "cursor" in given and "page" in given:
        hint = "Leave `page` out: the cursor says where to go on."
        problems.add("`cursor` and `page` exclude each other", "form", parameter="cursor", hint=hint)
    if "cursor" in given and "q" in given and "sort" not in given:
        hint = "Give a `sort`: the order by best match has pages, but no cursor."
        problems.add("`q` without `sort` has no cursor", "form", parameter="cursor", hint=hint)
    problems.raise_if_any()
    where = all_of(conditions)
    return ListQuery(
        where=None if where == EVERYTHING else where,
        sort=sort,
        page=page,
        limit=limit,
        selection=selection,
        search=search,
        cursor=cursor,
        count=count,
        expand=expand,
    )


def _read_filter_text(problems: Problems, filters: FilterReader, fields: Field, text: str) -> Node:
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


def _text(problems: Problems, given: Mapping[str, Any], name: str, maximum: int) -> str | None:
    if name not in given:
        return None
    text = given[name]
    if not isinstance(text, str):
        problems.add(f"{described(text)} is not text", "type", parameter=name)
        return None
    if not text.strip():
        problems.add(f"`{name}` is empty", "form", parameter=name)
    elif len(text) > maximum:
        detail = f"`{name}` may have {maximum} characters at the most"
        problems.add(detail, "too_complex", parameter=name)
    elif not _is_unicode(text):
        problems.add(f"`{name}` is not Unicode text", "type", parameter=name)
    return text


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _count(problems: Problems, given: Mapping[str, Any]) -> Count | None:
    if "count" not in given:
        return None
    word = given["count"]
    if isinstance(word, str) and word in COUNTS:
        return COUNTS[word]
    hint = problems.suggest(word, COUNTS) if isinstance(word, str) else None
    choices = " or ".join(f"`{each}`" for each in COUNTS)
    problems.add(f"{described(word)} is not {choices}", "type", parameter="count", hint=hint)
    return None


def _page(problems: Problems, given: Mapping[str, Any]) -> tuple[int, int]:
    limit = _whole(problems, "limit", given, DEFAULT_LIMIT, MAXIMUM_LIMIT)
    page = _whole(problems, "page", given, 1, MAXIMUM_SKIP + 1)
    if (page - 1) * limit > MAXIMUM_SKIP:
        detail = f"pages end after {MAXIMUM_SKIP} documents: page {page} of {limit} lies beyond"
        problems.add(detail, "range", parameter="page", hint="Narrow the filter to see other documents.")
    return page, limit


def _number(text: str) -> int | str:
    """Return the number that a URL's text is, the text itself when it is none; one too long is too large."""
    if not (text.isascii() and text.isdecimal()):
        return text
    return int(text) if len(text) <= _LONGEST_NUMBER else MAXIMUM_SKIP + 2


def _whole(problems: Problems, name: str, given: Mapping[str, Any], default: int, maximum: int) -> int:
    number = given.get(name, default)
    if isinstance(number, bool) or not isinstance(number, int):
        problems.add(f"{described(number)} is not a whole number", "type", parameter=name)
    elif 1 <= number <= maximum:
        return number
    else:
        problems.add(f"`{name}` goes from 1 to {maximum}", "range", parameter=name)
    return default


def _report_unknown(problems: Problems, name: str, hint: str | None) -> None:
    detail = f"there is no parameter `{shown(name)}`"
    hint = hint or problems.suggest(name, PARAMETERS)
    problems.add(detail, "unknown_parameter", parameter=name, hint=hint)


VIEW_PARAMETERS = ("fields", "expand")


@dataclass(frozen=True, slots=True)
class ViewQuery:
    """What to show of a document: the fields of a selection, with references expanded."""

    selection: Selection | None = None
    expand: tuple[Path, ...] = ()


WHOLE = ViewQuery()
"""All that may be seen of a document."""


def parse_view(
    parameters: Sequence[tuple[str, str]], fields: Field, fields_of: FieldsOf = no_fields
) -> ViewQuery:
    """Read the parameters of a request for one document, percent-decoded, against its collection's fields.

    Raises ParameterInvalid with every violation, each naming its parameter, and what `fields_of` raises.
    """
    if not parameters:
        return WHOLE
    problems = Problems()
    given: dict[str, str] = {}
    for name, text in parameters:
        if name not in VIEW_PARAMETERS:
            detail = f"`{shown(name)}` is not a parameter here"
            hint = problems.suggest(name, VIEW_PARAMETERS)
            problems.add(detail, "unknown_parameter", parameter=name, hint=hint)
        elif name in given:
            problems.add(f"`{name}` is given twice", "repeated", parameter=name)
        else:
            given[name] = text
    selection = read_selection(problems, fields, given["fields"]) if "fields" in given else None
    expand = read_expand(problems, fields, given["expand"], fields_of) if "expand" in given else ()
    problems.raise_if_any()
    return ViewQuery(selection, expand)


CHANGE_PARAMETERS = ("filter", "q", "max_affected")

EVERYTHING_HINT = "If all documents are meant, say so: `filter[id][exists]=true`."


@dataclass(frozen=True, slots=True)
class ChangeQuery:
    """Which documents to change: those that fulfil `where` and hold the text `search`, `maximum` at most."""

    where: Node | None
    search: str | None
    maximum: int


def parse_change(parameters: Sequence[tuple[str, str]], fields: Field, largest: int) -> ChangeQuery:
    """Read `filter`, `filter[…]`, `q` and `max_affected`, which goes from 1 to `largest`.

    A filter or a text to search is needed, and so is `max_affected`: a change of everything by mistake cannot
    be taken back. Raises ParameterInvalid with every violation, each naming its parameter.

    >>> parse_change([("q", "oak"), ("max_affected", "9")], Field(), 1000)
    ChangeQuery(where=None, search='oak', maximum=9)
    """
    others = [(name, text) for name, text in parameters if name != "max_affected"]
    violations = Violations()
    violations.extend(_unknown_change_parameter(name) for name, _ in others if not _is_change_parameter(name))
    maximum, wrong = _maximum([text for name, text in parameters if name == "max_affected"], largest)
    violations.extend(wrong)
    where, search = None, None
    try:
        query = parse_list([(name, text) for name, text in others if _is_change_parameter(name)], fields)
    except ParameterInvalid as failure:
        violations.extend(failure.errors)
    else:
        where, search = query.where, query.search
        if where is None and search is None:
            violations.add("a filter is needed", "required", None, EVERYTHING_HINT, parameter="filter")
    violations.raise_if_any(ParameterInvalid, "parameters are invalid")
    return ChangeQuery(where, search, maximum)


def _is_change_parameter(name: str) -> bool:
    return name in CHANGE_PARAMETERS or name.startswith(BRACKET)


def _unknown_change_parameter(name: str) -> Violation:
    detail = f"`{shown(name)}` is not a parameter of a change by filter"
    hint = suggestion(shown(name), CHANGE_PARAMETERS)
    return Violation(detail, "unknown_parameter", parameter=shown(name), hint=hint)


def _maximum(texts: list[str], largest: int) -> tuple[int, list[Violation]]:
    """Read `max_affected`; returns it, and what is wrong with it."""
    detail, code = f"`max_affected` says how many documents may be affected, 1 to {largest}", "required"
    if len(texts) == 1:
        text = texts[0] if texts[0].isascii() and texts[0].isdecimal() else "0"
        number = int(text) if len(text) <= len(str(largest)) else 0
        if 1 <= number <= largest:
            return number, []
        detail, code = f"`max_affected` goes from 1 to {largest}", "range"
    elif texts:
        detail, code = "`max_affected` is there more than once", "repeated"
    return 1, [Violation(detail, code, parameter="max_affected")]
