"""List requests' parameters: what they mean, what is refused and how."""

import json
from datetime import UTC, datetime
from time import perf_counter
from typing import Any
from uuid import UUID

import bson
import pytest
from bson import CodecOptions, Decimal128, Int64, ObjectId
from bson.binary import UuidRepresentation
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import ParameterInvalid
from service.query import (
    EVERYTHING,
    ListQuery,
    Selection,
    SortKey,
    matches,
    parse_filter,
    parse_list,
    sort_keys,
    to_mongo,
)
from service.query.kinds import Kind
from service.query.limits import MAXIMUM_CONDITIONS, MAXIMUM_PARAMETERS
from service.query.operators import OPERATORS
from tests.query.shop import SHOP, an_array, an_object, of, without_hidden

SHOP_WITHOUT_HIDDEN = without_hidden(SHOP)
STANDARD: CodecOptions[dict[str, Any]] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)

DAY = datetime(2026, 11, 22, tzinfo=UTC)
OID = "5f" * 12


def refused(*parameters: tuple[str, str]) -> ParameterInvalid:
    with pytest.raises(ParameterInvalid) as caught:
        parse_list(parameters, SHOP)
    return caught.value


def where(*parameters: tuple[str, str]) -> dict[str, Any]:
    node = parse_list(parameters, SHOP).where
    assert node is not None
    return to_mongo(node)


def test_without_parameters_the_first_page_of_everything_is_asked_for() -> None:
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
def test_text_is_read_as_what_the_field_holds(name: str, text: str, expected: dict[str, Any]) -> None:
    assert where((name, text)) == expected


def test_all_conditions_must_hold_however_they_are_written() -> None:
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


def test_sort_fields_and_page_are_read() -> None:
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


def test_fields_can_be_left_out() -> None:
    assert parse_list([("fields", "-tags,-address.city")], SHOP).selection == Selection(
        (("address", "city"), ("tags",)), is_exclusion=True
    )


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
]


@pytest.mark.parametrize(("name", "text", "code", "detail", "hint"), REFUSALS)
def test_what_is_wrong_is_refused_and_named(
    name: str, text: str, code: str, detail: str | None, hint: str | None
) -> None:
    failure = refused((name, text))
    (violation,) = failure.errors
    assert (violation.parameter, violation.code, violation.hint) == (name, code, hint)
    assert detail is None or violation.detail == detail
    assert failure.detail == violation.detail
    json.dumps(failure.problem(instance="/", request_id="1"), ensure_ascii=False).encode()


@pytest.mark.parametrize("name", ["limit", "page", "sort", "fields", "filter"])
def test_a_parameter_that_means_one_thing_is_not_given_twice(name: str) -> None:
    text = {"sort": "name", "fields": "name", "filter": "{}"}.get(name, "1")
    (violation,) = refused((name, text), (name, text)).errors
    assert (violation.parameter, violation.code, violation.detail) == (
        name,
        "repeated",
        f"`{name}` is given twice",
    )


def test_all_that_is_wrong_is_told_at_once() -> None:
    failure = refused(("filter[prise]", "1"), ("limit", "0"), ("filter[price]", "x"), ("sort", "nam"))
    assert failure.detail == "4 parameters are invalid"
    assert [violation.parameter for violation in failure.errors] == [
        "filter[prise]",
        "filter[price]",
        "sort",
        "limit",
    ]


@pytest.mark.parametrize(
    "hidden", ["secret", "address.secret", "parts.secret", "parts.0.secret", "note.secret", "vault.key"]
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda name: (f"filter[{name}]", "x"),
        lambda name: (f"filter[{name}][exists]", "true"),
        lambda name: ("filter", json.dumps({"or": [{"and": [{name: {"exists": True}}]}]})),
        lambda name: ("filter", json.dumps({"not": {name: 1}})),
        lambda name: ("sort", name),
        lambda name: ("fields", name),
        lambda name: ("fields", "-" + name),
        lambda name: (name, "x"),
    ],
)
def test_a_hidden_field_is_refused_exactly_as_one_that_does_not_exist(hidden: str, ask: Any) -> None:
    """A7, A8, A9."""
    bodies = []
    for fields in (SHOP, SHOP_WITHOUT_HIDDEN):
        with pytest.raises(ParameterInvalid) as caught:
            parse_list([ask(hidden)], fields)
        bodies.append(caught.value.problem(instance="/api/shop", request_id="1"))
    assert bodies[0] == bodies[1]
    assert bodies[0]["errors"][0]["code"] in {"unknown_field", "unknown_parameter"}


NO_NAMES = [
    "$where",
    "a.$where",
    "extra.$gt",
    "extra.a\0b",
    "\0",
    "",
    ".",
    "extra.",
    ".extra",
    "extra..a",
    "_id",
    "_class",
    "__class__.__init__",
    ".".join(["extra"] * 33),
]


@pytest.mark.parametrize("path", NO_NAMES)
def test_what_is_no_name_of_a_field_is_an_unknown_field(path: str) -> None:
    """A3, A4, A40."""
    assert refused((f"filter[{path}]", "1")).errors[0].code == "unknown_field"
    assert refused(("sort", path)).errors[0].code == "unknown_field"
    assert (
        refused(("filter", json.dumps({"or": [{path: {"exists": True}}]}))).errors[0].code == "unknown_field"
    )


def test_the_elements_of_a_hidden_list_cannot_be_compared() -> None:
    hidden = an_object(keys=an_array(of(Kind.STRING, write_only=True)))
    for name, text in (("filter[keys]", "x"), ("filter[keys.0]", "x"), ("filter[keys][contains]", "x"),
                       ("filter", '{"keys":{"elem":{"eq":"x"}}}'), ("sort", "keys")):  # fmt: skip
        with pytest.raises(ParameterInvalid):
            parse_list([(name, text)], hidden)


@pytest.mark.parametrize(
    "parameter",
    [
        ("filter", '{"or":[' * 5000 + "{}" + "]}" * 5000),
        ("filter", '{"or":[' * 3000 + "{}" + "]}" * 3000),
        ("filter", '{"not":' * 50 + '{"price":1}' + "}" * 50),
        ("filter", "[" * 32_000),
        ("filter", '{"price":{"in":[' + ",".join(["1"] * 10_000) + "]}}"),
        ("filter", '{"or":[' + ",".join(['{"price":1}'] * (MAXIMUM_CONDITIONS + 1)) + "]}"),
        ("filter", '{"price":' + "9" * 30_000 + "}"),
        ("filter", "{" + ",".join(f'"prise{n}":1' for n in range(1000)) + "}"),
        ("filter[price][in]", ",".join(["1"] * 10_000)),
        ("filter[name][icontains]", "(a+)+" * 10_000),
        ("filter[" + "a." * 30_000 + "a]", "1"),
        ("filter[" + "prise" * 10_000 + "]", "1"),
        ("sort", "-name," * 10_000),
    ],
    ids=lambda parameter: f"{parameter[0][:20]} {parameter[1][:20]}",
)
def test_a_query_that_would_cost_much_is_refused_quickly(parameter: tuple[str, str]) -> None:
    """A13, A14."""
    start = perf_counter()
    failure = refused(parameter)
    assert perf_counter() - start < 1.0
    assert failure.status == 400
    assert len(json.dumps(failure.problem(instance="/", request_id="1"))) < 40_000


def test_many_parameters_are_refused() -> None:
    failure = refused(*[("filter[price]", "1")] * (MAXIMUM_CONDITIONS + 1))
    assert failure.detail == "a query may have 100 conditions at the most"
    failure = refused(*[("x", "1")] * (MAXIMUM_PARAMETERS + 1))
    assert failure.detail == "a request may have 200 parameters at the most"


names = st.sampled_from([*SHOP.fields, "address.city", "parts.count", "extra.x", "nope"]) | st.text(
    max_size=8
)
operators = st.sampled_from([*OPERATORS, "$gt"]) | st.text(max_size=4)
texts = st.text(alphabet=st.characters(), max_size=12) | st.sampled_from(
    ["1", "-1.5", "true", "null", "a,b", OID, "2026-02-30"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("2026-13-40"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            names | operators | st.sampled_from(["and", "or", "not", "elem"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)
parameters = st.one_of(
    st.tuples(st.builds("filter[{}][{}]".format, names, operators), texts),
    st.tuples(st.builds("filter[{}]".format, names), texts),
    st.tuples(st.just("filter"), json_values.map(json.dumps) | st.text()),
    st.tuples(st.sampled_from(["sort", "fields"]), st.lists(names, max_size=3).map(",-".join)),
    st.tuples(st.sampled_from(["page", "limit"]) | st.text(), st.integers().map(str) | st.text()),
)


@settings(deadline=None)
@given(st.lists(parameters, max_size=3))
def test_reading_parameters_ends_in_a_query_or_a_refusal(given_parameters: list[tuple[str, str]]) -> None:
    try:
        asked = parse_list(given_parameters, SHOP)
    except ParameterInvalid as failure:
        json.dumps(failure.problem(instance="/", request_id="1"), ensure_ascii=False).encode()
    else:
        bson.encode(to_mongo(asked.where or EVERYTHING), codec_options=STANDARD)
        assert sort_keys(asked.sort)[-1][0] == "_id"
        hash(asked)


@settings(deadline=None)
@given(st.dictionaries(names | st.sampled_from(["and", "or", "not"]), json_values, max_size=3))
def test_reading_json_ends_in_a_filter_or_a_refusal(value: dict[str, Any]) -> None:
    try:
        node = parse_filter(value, SHOP)
    except ParameterInvalid as failure:
        json.dumps(failure.problem(instance="/", request_id="1"), ensure_ascii=False).encode()
    else:
        bson.encode(to_mongo(node), codec_options=STANDARD)
        matches(node, {})
