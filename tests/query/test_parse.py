"""List requests' parameters: what they mean, what is refused and how."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from bson import Decimal128, Int64, ObjectId

from service.query import (
    ListQuery,
    Selection,
    SortKey,
    parse_list,
    to_mongo,
)
from tests.query.shop import SHOP

DAY = datetime(2026, 11, 22, tzinfo=UTC)
OID = "5f" * 12


def where(*parameters: tuple[str, str]) -> dict[str, Any]:
    node = parse_list(parameters, SHOP).where
    assert node is not None
    return to_mongo(node)


def test_no_parameters_request_first_page_of_everything() -> None:
    assert parse_list([], SHOP) == ListQuery()
    assert ListQuery() == ListQuery(where=None, sort=(), page=1, limit=20, selection=None)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("filter[name]", "Desk", {"name": {"$eq": "Desk"}}),
        ("filter[name]", "", {"name": {"$eq": ""}}),
        ("filter[name][ne]", "Desk", {"name": {"$ne": "Desk"}}),
        ("filter[name]", "null", {"name": {"$eq": "null"}}),
        ("filter[name]", "{$gt: 1}", {"name": {"$eq": "{$gt: 1}"}}),
        ("filter[price][gte]", "10", {"price": {"$gte": 10}}),
        ("filter[price][lt]", "-9.5e1", {"price": {"$lt": -95.0}}),
        ("filter[stock]", "null", {"stock": {"$eq": None}}),
        ("filter[stock][gt]", "2.5", {"stock": {"$gt": 2.5}}),
        ("filter[_owner]", "null", {"_owner": {"$eq": "null"}}),
        ("filter[title]", "1776", {"title": {"$in": [1776, "1776"]}}),
        ("filter[title][ne]", "1776", {"title": {"$nin": [1776, "1776"]}}),
        ("filter[title]", "Up", {"title": {"$eq": "Up"}}),
        ("filter[title]", "007", {"title": {"$eq": "007"}}),
        ("filter[title][gt]", "5", {"$or": [{"title": {"$gt": 5}}, {"title": {"$gt": "5"}}]}),
        ("filter[title][in]", "1,a", {"title": {"$in": [1, "1", "a"]}}),
        ("filter[on_sale]", "true", {"on_sale": {"$eq": True}}),
        ("filter[sold_on]", "2026-11-22", {"sold_on": {"$eq": DAY}}),
        ("filter[_created_at][gte]", "2026-11-22", {"_created_at": {"$gte": DAY}}),
        ("filter[_created_at][gte]", "2026-11-22T02:00:00+02:00", {"_created_at": {"$gte": DAY}}),
        ("filter[batch]", str(UUID(int=7)), {"batch": {"$eq": UUID(int=7)}}),
        ("filter[serial]", "9007199254740993", {"serial": {"$eq": Int64(9007199254740993)}}),
        ("filter[cost][lte]", "12.50", {"cost": {"$lte": Decimal128("12.50")}}),
        ("filter[id]", OID, {"_id": {"$eq": ObjectId(OID)}}),
        ("filter[id][in]", f"{OID},{OID}", {"_id": {"$in": [ObjectId(OID)] * 2}}),
        ("filter[tags]", "new", {"tags": {"$eq": "new"}}),
        ("filter[tags][all]", "new,sale", {"tags": {"$all": ["new", "sale"]}}),
        ("filter[tags][size]", "2", {"tags": {"$size": 2}}),
        ("filter[tags][icontains]", "a.b", {"tags": {"$regex": "[Aa]\\.[Bb]"}}),
        ("filter[tags.0]", "new", {"tags.0": {"$eq": "new"}}),
        ("filter[address.city][startswith]", "(Ber", {"address.city": {"$regex": "^\\(Ber"}}),
        ("filter[address][exists]", "true", {"address": {"$exists": True}}),
        ("filter[parts.count][gt]", "1", {"parts.count": {"$gt": 1}}),
        ("filter[extra.any.depth]", "true", {"extra.any.depth": {"$in": [True, "true"]}}),
        ("filter[or]", "1", {"or": {"$eq": 1}}),
        ("filter[not][gt]", "1", {"not": {"$gt": 1}}),
    ],
)
def test_filter_text_is_parsed_by_type_of_field(name: str, text: str, expected: dict[str, Any]) -> None:
    assert where((name, text)) == expected


def test_all_filter_parameters_are_combined_with_and() -> None:
    assert where(
        ("filter[price][gte]", "1"),
        ("filter[price][lt]", "5"),
        ("filter[name]", "a"),
        ("filter[name]", "b"),
        ("filter", '{"stock": 3}'),
    ) == {
        "$and": [
            {"price": {"$gte": 1, "$lt": 5}, "name": {"$eq": "a"}, "stock": {"$eq": 3}},
            {"name": {"$eq": "b"}},
        ]
    }


def test_sort_fields_page_and_limit_are_parsed() -> None:
    asked = parse_list(
        [
            ("sort", "-price,address.city"),
            ("fields", "name,parts.count,parts"),
            ("page", "3"),
            ("limit", "50"),
        ],
        SHOP,
    )
    assert asked == ListQuery(
        sort=(SortKey(("price",), is_descending=True), SortKey(("address", "city"))),
        page=3,
        limit=50,
        selection=Selection((("name",), ("parts",))),
    )
    assert asked.skip == 100


def test_excluded_fields_are_parsed() -> None:
    assert parse_list([("fields", "-tags,-address.city")], SHOP).selection == Selection(
        (("address", "city"), ("tags",)), is_exclusion=True
    )
