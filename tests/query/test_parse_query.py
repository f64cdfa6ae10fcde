"""The JSON body of a query: it means what the parameters of a URL mean, and is refused by pointers."""

import json
from typing import Any

import pytest

from service.kit.errors import ParameterInvalid
from service.query import ListQuery, Selection, SortKey, parse_list, parse_query
from service.query.limits import MAXIMUM_QUERY_BYTES
from tests.query.shop import SHOP


def refusals(body: Any) -> list[dict[str, str]]:
    with pytest.raises(ParameterInvalid) as caught:
        parse_query(body, SHOP)
    problem = caught.value.problem(instance="/", request_id="1")
    json.dumps(problem, ensure_ascii=False).encode()
    errors: list[dict[str, str]] = problem["errors"]
    return errors


def test_empty_body_requests_first_page_of_everything() -> None:
    assert parse_query({}, SHOP) == ListQuery()


@pytest.mark.parametrize(
    ("body", "parameters"),
    [
        ({"filter": {"price": {"gte": 10}}}, [("filter[price][gte]", "10")]),
        ({"filter": {}}, [("filter", "{}")]),
        ({"q": "oak desk"}, [("q", "oak desk")]),
        ({"sort": "-price,name"}, [("sort", "-price,name")]),
        ({"sort": ["-price", "name"]}, [("sort", "-price,name")]),
        ({"fields": "name,price"}, [("fields", "name,price")]),
        ({"fields": ["-tags"]}, [("fields", "-tags")]),
        ({"page": 3, "limit": 50}, [("page", "3"), ("limit", "50")]),
        ({"cursor": "abc"}, [("cursor", "abc")]),
        ({"cursor": "abc", "q": "oak", "sort": "name"}, [("cursor", "abc"), ("q", "oak"), ("sort", "name")]),
        ({"count": "exact"}, [("count", "exact")]),
        ({"count": "estimated"}, [("count", "estimated")]),
    ],
)
def test_query_in_body_equals_query_in_url(body: dict[str, Any], parameters: list[tuple[str, str]]) -> None:
    assert parse_query(body, SHOP) == parse_list(parameters, SHOP)


def test_every_member_of_query_in_body_is_parsed() -> None:
    body = {
        "filter": {"name": "Desk"},
        "q": "oak",
        "sort": ["-price"],
        "fields": ["name"],
        "limit": 5,
        "cursor": "abc",
        "count": "exact",
    }
    asked = parse_query(body, SHOP)
    assert (asked.search, asked.cursor, asked.count, asked.limit) == ("oak", "abc", "exact", 5)
    assert (asked.sort, asked.selection) == (
        (SortKey(("price",), is_descending=True),),
        Selection((("name",),)),
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([], ("", "type", "a query is an object", None)),
        (None, ("", "type", "a query is an object", None)),
        (
            {"q": "x" * MAXIMUM_QUERY_BYTES},
            ("", "too_complex", "a query may have 262144 bytes at the most", None),
        ),
        (
            dict.fromkeys(map(str, range(201))),
            ("", "too_complex", "a query may have 200 members at the most", None),
        ),
        (
            {"lmit": 5},
            ("/lmit", "unknown_parameter", "there is no parameter `lmit`", "Did you mean `limit`?"),
        ),
        (
            {"price": 5},
            (
                "/price",
                "unknown_parameter",
                "there is no parameter `price`",
                "Conditions on fields stand within `filter`: `filter.price`.",
            ),
        ),
        ({"a/b": 5}, ("/a~1b", "unknown_parameter", "there is no parameter `a/b`", None)),
        ({"filter": []}, ("/filter", "type", "a filter is an object", None)),
        ({"filter": None}, ("/filter", "type", "a filter is an object", None)),
        ({"filter": "{}"}, ("/filter", "type", "a filter is an object", None)),
        (
            {"filter": {"or": [{"price": {"gte": "x"}}]}},
            ("/filter/or/0/price/gte", "type", "`x` is not a number", None),
        ),
        (
            {"filter": {"prise": 1}},
            ("/filter/prise", "unknown_field", "there is no field `prise`", "Did you mean `price`?"),
        ),
        ({"sort": 1}, ("/sort", "type", "`sort` is text or an array of texts", None)),
        ({"sort": ["name", 1]}, ("/sort/1", "type", "the name of a field is text", None)),
        (
            {"sort": ["name", "-prise"]},
            ("/sort/1", "unknown_field", "there is no field `prise`", "Did you mean `price`?"),
        ),
        (
            {"sort": ["name,price"]},
            ("/sort/0", "unknown_field", "there is no field `name,price`", "Did you mean `price`?"),
        ),
        ({"sort": ["name", "name"]}, ("/sort/1", "repeated", "`name` is named twice", None)),
        (
            {"fields": ["name", "-price"]},
            ("/fields", "form", "name the fields to give or those to leave out, not both", None),
        ),
        ({"fields": None}, ("/fields", "type", "`fields` is text or an array of texts", None)),
        ({"expand": 5}, ("/expand", "type", "`expand` is text or an array of texts", None)),
        ({"limit": "5"}, ("/limit", "type", "`5` is not a whole number", None)),
        ({"limit": 5.0}, ("/limit", "type", "`5.0` is not a whole number", None)),
        ({"limit": True}, ("/limit", "type", "`true` is not a whole number", None)),
        ({"limit": None}, ("/limit", "type", "`null` is not a whole number", None)),
        ({"limit": 10**400}, ("/limit", "range", "`limit` goes from 1 to 100", None)),
        ({"page": 0}, ("/page", "range", "`page` goes from 1 to 10001", None)),
        ({"q": 5}, ("/q", "type", "`5` is not text", None)),
        ({"q": " "}, ("/q", "form", "`q` is empty", None)),
        ({"q": "x" * 201}, ("/q", "too_complex", "`q` may have 200 characters at the most", None)),
        ({"cursor": {}}, ("/cursor", "type", "the object is not text", None)),
        (
            {"cursor": "x" * 4097},
            ("/cursor", "too_complex", "`cursor` may have 4096 characters at the most", None),
        ),
        (
            {"cursor": "x", "page": 1},
            (
                "/cursor",
                "form",
                "`cursor` and `page` exclude each other",
                "Leave `page` out: the cursor says where to go on.",
            ),
        ),
        (
            {"cursor": "x", "q": "oak"},
            (
                "/cursor",
                "form",
                "`q` without `sort` has no cursor",
                "Give a `sort`: the order by best match has pages, but no cursor.",
            ),
        ),
        (
            {"count": "exct"},
            ("/count", "type", "`exct` is not `exact` or `estimated`", "Did you mean `exact`?"),
        ),
        ({"count": True}, ("/count", "type", "`true` is not `exact` or `estimated`", None)),
        ({"count": ["exact"]}, ("/count", "type", "the list is not `exact` or `estimated`", None)),
    ],
)
def test_invalid_query_in_body_is_refused_with_pointer(
    body: Any, expected: tuple[str, str, str, str | None]
) -> None:
    (error,) = refusals(body)
    names = ("pointer", "code", "detail", "hint")
    assert error == {name: told for name, told in zip(names, expected, strict=True) if told is not None}


def test_all_invalid_parameters_are_reported() -> None:
    body = {"filter": {"prise": 1}, "sort": ["nam"], "limit": 0, "count": "x", "q": "", "more": 1}
    assert [error["pointer"] for error in refusals(body)] == [
        "/more",
        "/filter/prise",
        "/sort/0",
        "/q",
        "/limit",
        "/count",
    ]
    with pytest.raises(ParameterInvalid, match="6 parts of the query are invalid"):
        parse_query(body, SHOP)
