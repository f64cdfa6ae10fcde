"""Filters in JSON: what they mean, what is refused and where."""

from typing import Any
from uuid import UUID

import pytest
from bson import Decimal128

from service.kit.errors import ParameterInvalid
from service.query import EVERYTHING, parse_filter, to_mongo
from service.query.kinds import Kind
from tests.query.shop import SHOP, an_array, an_object, of

UNIQUE = "00000000-0000-0000-0000-000000000007"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({}, {}),
        ({"price": 5}, {"price": {"$eq": 5}}),
        ({"price": {"gte": 1, "lt": 5.5}}, {"price": {"$gte": 1, "$lt": 5.5}}),
        ({"price": None}, {"price": {"$eq": None}}),
        ({"price": {"in": [1, None]}}, {"price": {"$in": [1, None]}}),
        ({"price": {"nin": []}}, {"price": {"$nin": []}}),
        ({"name": "1776"}, {"name": {"$eq": "1776"}}),
        ({"title": 1776}, {"title": {"$eq": 1776}}),
        ({"code": UNIQUE}, {"code": {"$in": [UUID(UNIQUE), UNIQUE]}}),
        ({"cost": 12.5}, {"cost": {"$eq": Decimal128("12.5")}}),
        ({"serial": "7"}, {"serial": {"$eq": 7}}),
        ({"serial": {"gt": 7}}, {"serial": {"$gt": 7}}),
        ({"address": None}, {"address": {"$eq": None}}),
        ({"tags": ["new", "sale"]}, {"tags": {"$eq": ["new", "sale"]}}),
        ({"tags": {"all": ["new"]}}, {"tags": {"$all": ["new"]}}),
        ({"matrix": [[1, 2], []]}, {"matrix": {"$eq": [[1, 2], []]}}),
        (
            {"or": [{"price": 1}, {"and": [{"name": "a"}, {"not": {"stock": 3}}]}]},
            {"$or": [{"price": {"$eq": 1}}, {"name": {"$eq": "a"}, "$nor": [{"stock": {"$eq": 3}}]}]},
        ),
        ({"or": 1}, {"or": {"$eq": 1}}),
        ({"or": {"gte": 1}, "not": 2}, {"or": {"$gte": 1}, "not": {"$eq": 2}}),
        (
            {"parts": {"elem": {"name": "leg", "count": {"gte": 4}}}},
            {"parts": {"$elemMatch": {"name": {"$eq": "leg"}, "count": {"$gte": 4}}}},
        ),
        ({"scores": {"elem": {"gt": 1, "lt": 5}}}, {"scores": {"$elemMatch": {"$gt": 1, "$lt": 5}}}),
        (
            {"tags": {"elem": {"contains": "a", "startswith": "b"}}},
            {"tags": {"$elemMatch": {"$regex": "a", "$not": {"$not": {"$regex": "^b"}}}}},
        ),
        (
            {"matrix": {"elem": {"elem": {"gt": 1}, "size": 2}}},
            {"matrix": {"$elemMatch": {"$elemMatch": {"$gt": 1}, "$size": 2}}},
        ),
        (
            {"name": {"contains": "a", "startswith": "b"}},
            {"$and": [{"name": {"$regex": "a"}}, {"name": {"$regex": "^b"}}]},
        ),
    ],
)
def test_json_filter_compiles_to_mongodb_filter(value: dict[str, Any], expected: dict[str, Any]) -> None:
    assert to_mongo(parse_filter(value, SHOP)) == expected


def test_empty_filter_matches_everything() -> None:
    assert parse_filter({}, SHOP) == EVERYTHING


def test_id_within_array_element_is_ordinary_field() -> None:
    fields = an_object(lines=an_array(an_object(id=of(Kind.INTEGER))))
    assert to_mongo(parse_filter({"lines": {"elem": {"id": 1}}}, fields)) == {
        "lines": {"$elemMatch": {"id": {"$eq": 1}}}
    }


@pytest.mark.parametrize(
    ("value", "code", "pointer", "detail"),
    [
        ([], "type", "", "a filter is an object"),
        ({"price": "abc"}, "type", "/price", "`abc` is not a number"),
        ({"price": True}, "type", "/price", "`true` is not a number"),
        ({"price": float("inf")}, "type", "/price", "the number is not a finite number"),
        ({"price": 2**63}, "type", "/price", "`9223372036854775808` is not within 64 bits"),
        ({"name": 5}, "type", "/name", "`5` is not text"),
        ({"name": ["a"]}, "type", "/name", "the list is not text"),
        ({"price": {"gt": None}}, "type", "/price/gt", "`null` is not a number"),
        ({"price": {"in": 5}}, "type", "/price/in", "`5` is not a list"),
        ({"price": {"in": [1, "x"]}}, "type", "/price/in", "`x` is not a number"),
        ({"price": {"eq": {"$gt": 1}}}, "type", "/price/eq", "the object is not a number"),
        ({"price": {}}, "form", "/price", "there is no operator here"),
        ({"price": {"$gt": 1}}, "unknown_operator", "/price/$gt", "there is no operator `$gt`"),
        ({"tags": {"all": []}}, "form", "/tags/all", "`all` needs at least one value"),
        ({"tags": [{"a": 1}]}, "type", "/tags", "the list is not text"),
        ({"tags": {"size": True}}, "type", "/tags/size", "`true` is not a whole number from 0"),
        ({"tags": {"exists": 1}}, "type", "/tags/exists", "`1` is not `true` or `false`"),
        ({"price": {"elem": {}}}, "operator", "/price/elem",
         "`elem` needs an array whose elements are described"),
        ({"parts": {"elem": {}}}, "form", "/parts/elem", "there is no condition here"),
        ({"parts": {"elem": 5}}, "type", "/parts/elem", "a filter is an object"),
        ({"parts": {"elem": {"secret": "x"}}}, "unknown_field", "/parts/elem/secret",
         "there is no field `secret`"),
        ({"vault": {"elem": {"key": "x"}}}, "operator", "/vault/elem",
         "`elem` needs an array whose elements are described"),
        ({"parts": 5}, "type", "/parts", "`5` is not an array"),
        ({"address": 5}, "operator", "/address",
         "`address` is an object; compare its members, as `object.member`"),
        ({"or": []}, "form", "/or", "`or` needs at least one filter"),
        ({"or": [{}]}, "form", "/or/0", "there is no condition here"),
        ({"or": [5]}, "type", "/or/0", "a filter is an object"),
        ({"or": {"0": {"price": 1}}}, "unknown_operator", "/or/0", "there is no operator `0`"),
        ({"$or": [{"price": 1}]}, "unknown_field", "/$or", "there is no field `$or`"),
        ({"$where": "sleep(5000)"}, "unknown_field", "/$where", "there is no field `$where`"),
        ({"or": [{"$expr": {}}]}, "unknown_field", "/or/0/$expr", "there is no field `$expr`"),
        ({"a/b~": 1}, "unknown_field", "/a~1b~0", "there is no field `a/b~`"),
        ({"address.citi": 1}, "unknown_field", "/address.citi", "there is no field `address.citi`"),
    ],
)  # fmt: skip
def test_invalid_json_filter_is_refused_with_pointer(
    value: Any, code: str, pointer: str, detail: str
) -> None:
    with pytest.raises(ParameterInvalid) as caught:
        parse_filter(value, SHOP, parameter="where")
    (violation,) = caught.value.errors
    assert (violation.parameter, violation.code, violation.pointer, violation.detail) == (
        "where",
        code,
        pointer,
        detail,
    )


def test_filter_nested_beyond_limit_is_refused() -> None:
    """A13."""
    value: dict[str, Any] = {"price": 1}
    for _ in range(5000):
        value = {"or": [value]}
    with pytest.raises(ParameterInvalid, match="a filter may be nested 10 levels deep at the most"):
        parse_filter(value, SHOP)
    elems: dict[str, Any] = {"gt": 1}
    for _ in range(5000):
        elems = {"elem": elems}
    with pytest.raises(ParameterInvalid):
        parse_filter({"extra": elems}, SHOP)
    array: list[Any] = []
    for _ in range(5000):
        array = [array]
    with pytest.raises(ParameterInvalid):
        parse_filter({"extra": array}, SHOP)
