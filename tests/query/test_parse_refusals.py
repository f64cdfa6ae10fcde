"""List requests that are refused: every kind of mistake, asserted whole."""

import json

import pytest

from service.query.operators import OPERATORS
from tests.query.shop import refused

REFUSALS = [
    ("limit", "0", "range", "`limit` goes from 1 to 100", None),
    ("limit", "101", "range", "`limit` goes from 1 to 100", None),
    ("limit", "9" * 5000, "range", "`limit` goes from 1 to 100", None),
    ("limit", "abc", "type", "`abc` is not a whole number", None),
    ("limit", "\u0663", "type", "`\u0663` is not a whole number", None),
    ("page", "-1", "type", "`-1` is not a whole number", None),
    (
        "page",
        "502",
        "range",
        "pages end after 10000 documents: page 502 of 20 lies beyond",
        "Narrow the filter to see other documents.",
    ),
    ("lmit", "5", "unknown_parameter", "there is no parameter `lmit`", "Did you mean `limit`?"),
    ("price", "5", "unknown_parameter", "there is no parameter `price`", "Did you mean `filter[price]`?"),
    (
        "where[x][$startsWith]",
        "a",
        "unknown_parameter",
        "there is no parameter `where[x][$startsWith]`",
        None,
    ),
    ("filter[prise]", "5", "unknown_field", "there is no field `prise`", "Did you mean `price`?"),
    (
        "filter[address.citi]",
        "5",
        "unknown_field",
        "there is no field `address.citi`",
        "Did you mean `address.city`?",
    ),
    ("filter[price][gtt]", "5", "unknown_operator", "there is no operator `gtt`", "Did you mean `gt`?"),
    ("filter[price][$gte]", "5", "unknown_operator", "there is no operator `$gte`", "Did you mean `gte`?"),
    (
        "filter[address][city]",
        "5",
        "unknown_operator",
        "there is no operator `city`",
        "Did you mean `address.city`?",
    ),
    (
        "filter[a][b][gte]",
        "5",
        "form",
        "a filter is `filter[field]=value` or `filter[field][operator]=value`, with dots in nested fields",
        "Write `filter[a.b][gte]`.",
    ),
    (
        "filter[price",
        "5",
        "form",
        "a filter is `filter[field]=value` or `filter[field][operator]=value`, with dots in nested fields",
        None,
    ),
    ("filter[price][gte]", "abc", "type", "`abc` is not a number", None),
    ("filter[price]", "NaN", "type", "`NaN` is not a number", None),
    ("filter[price]", "1e400", "type", "`1e400` is not a finite number", None),
    ("filter[price]", "9" * 19, "type", "`9999999999999999999` is not within 64 bits", None),
    ("filter[price]", "9" * 9999, "type", f"`{'9' * 64}…` is not within 64 bits", None),
    ("filter[stock]", "x", "type", "`x` is not a number and not `null`", None),
    ("filter[name]", "\udc80", "type", "`?` is not Unicode text", None),
    (
        "filter[_created_at]",
        "2026-11-22T00:00:00 02:00",
        "type",
        "`2026-11-22T00:00:00 02:00` is not a date-time such as 2026-11-22T12:00:00Z",
        "In a URL, write `+` as `%2B`.",
    ),
    ("filter[id]", "7", "type", "`7` is not an id of 24 hexadecimal digits", None),
    ("filter[tags][size]", "-1", "type", "`-1` is not a whole number from 0", None),
    ("filter[tags][exists]", "yes", "type", "`yes` is not `true` or `false`", None),
    (
        "filter[tags][elem]",
        "x",
        "form",
        "`elem` is written in JSON, such as " + OPERATORS["elem"].example,
        None,
    ),
    ("filter[price][contains]", "1", "operator", "`contains` does not apply to `price`", None),
    ("filter[price][size]", "1", "operator", "`size` needs an array, and `price` is none", None),
    ("filter[on_sale][gt]", "true", "operator", "`gt` does not apply to `on_sale`", None),
    (
        "filter[address]",
        "x",
        "operator",
        "`address` is an object; compare its members, as `object.member`",
        None,
    ),
    (
        "filter[name][contains]",
        "a" * 1001,
        "too_complex",
        "the text of `contains` may have 1000 characters at the most",
        None,
    ),
    (
        "filter[price][in]",
        ",".join(["1"] * 1001),
        "too_complex",
        "a list may have 1000 values at the most",
        None,
    ),
    ("filter", "{", "json", None, None),
    (
        "filter",
        '{"price":1,"price":2}',
        "json",
        'the filter is not valid JSON: the member "price" appears twice in one object',
        None,
    ),
    ("filter", '{"price":NaN}', "json", "the filter is not valid JSON: NaN is not a JSON value", None),
    ("filter", '{"name":"\\ud800"}', "json", None, None),
    ("filter", '{"name":"\udc80"}', "json", None, None),
    ("filter", "[]", "type", "a filter is an object", None),
    ("filter", " " * 32769, "too_complex", "a filter may have 32768 bytes at the most", None),
    ("sort", "", "unknown_field", "there is no field ``", None),
    ("sort", "-prise", "unknown_field", "there is no field `prise`", "Did you mean `price`?"),
    ("sort", "price,-price", "repeated", "`price` is named twice", None),
    (
        "sort",
        "address",
        "type",
        "documents cannot be sorted by `address`, which is an object",
        "Sort by one of its members.",
    ),
    (
        "sort",
        "note",
        "type",
        "documents cannot be sorted by `note`, which is an object",
        "Sort by one of its members.",
    ),
    ("sort", ",".join(["name"] * 9), "too_complex", "`sort` may name 8 fields at the most", None),
    ("fields", "name,-price", "form", "name the fields to give or those to leave out, not both", None),
    ("fields", "-id", "form", "`id` is always given", None),
    ("q", "", "form", "`q` is empty", None),
    ("q", "a" * 201, "too_complex", "`q` may have 200 characters at the most", None),
    ("q", "\udc80", "type", "`q` is not Unicode text", None),
    ("cursor", "", "form", "`cursor` is empty", None),
    ("cursor", "a" * 4097, "too_complex", "`cursor` may have 4096 characters at the most", None),
    ("count", "all", "type", "`all` is not `exact` or `estimated`", None),
    ("count", "estimate", "type", "`estimate` is not `exact` or `estimated`", "Did you mean `estimated`?"),
    ("expand", "nam", "unknown_field", "there is no field `nam`", None),
]


@pytest.mark.parametrize(("name", "text", "code", "detail", "hint"), REFUSALS)
def test_invalid_parameter_is_refused_with_code_detail_and_hint(
    name: str, text: str, code: str, detail: str | None, hint: str | None
) -> None:
    failure = refused((name, text))
    (violation,) = failure.errors
    assert (violation.parameter, violation.code, violation.hint) == (name, code, hint)
    assert detail is None or violation.detail == detail
    assert failure.detail == violation.detail
    json.dumps(failure.problem(instance="/", request_id="1"), ensure_ascii=False).encode()


@pytest.mark.parametrize("name", ["limit", "page", "sort", "fields", "filter", "q", "cursor", "count"])
def test_repeated_parameter_is_refused(name: str) -> None:
    text = {"sort": "name", "fields": "name", "filter": "{}", "count": "exact"}.get(name, "1")
    (violation,) = refused((name, text), (name, text)).errors
    assert (violation.parameter, violation.code, violation.detail) == (
        name,
        "repeated",
        f"`{name}` is given twice",
    )


def test_all_invalid_parameters_are_reported() -> None:
    failure = refused(("filter[prise]", "1"), ("limit", "0"), ("filter[price]", "x"), ("sort", "nam"))
    assert failure.detail == "4 parameters are invalid"
    assert [violation.parameter for violation in failure.errors] == [
        "filter[prise]",
        "filter[price]",
        "sort",
        "limit",
    ]
