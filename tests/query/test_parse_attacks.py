"""Attacks by query parameters: hidden fields, names that are none, queries that would cost much."""

import json
from typing import Any

import pytest

from service.kit.errors import ParameterInvalid
from service.query import parse_list, parse_query
from service.query.fields import Field
from service.query.kinds import Kind
from service.query.limits import MAXIMUM_CONDITIONS, MAXIMUM_PARAMETERS
from tests.pace import within
from tests.query.shop import SECRET, SHOP, an_array, an_object, of, refused, without_hidden

SHOP_WITHOUT_HIDDEN = without_hidden(SHOP)


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
def test_write_only_field_in_url_is_refused_like_unknown_field(hidden: str, ask: Any) -> None:
    """A7, A8, A9."""
    bodies = []
    for fields in (SHOP, SHOP_WITHOUT_HIDDEN):
        with pytest.raises(ParameterInvalid) as caught:
            parse_list([ask(hidden)], fields)
        bodies.append(caught.value.problem(instance="/api/shop", request_id="1"))
    assert bodies[0] == bodies[1]
    assert bodies[0]["errors"][0]["code"] in {"unknown_field", "unknown_parameter"}


STAR = [[position % 7 + position / 100, position * 3 % 11] for position in range(99)] + [[0, 0]]


@pytest.mark.parametrize(
    "hidden", ["secret", "address.secret", "parts.secret", "parts.0.secret", "note.secret", "vault.key"]
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda name: {"filter": {name: "x"}},
        lambda name: {"filter": {"or": [{"not": {name: {"near": {"point": [1, 2], "distance_m": 3}}}}]}},
        lambda name: {"filter": {"parts": {"elem": {name.removeprefix("parts."): {"exists": True}}}}},
        lambda name: {"sort": ["-" + name]},
        lambda name: {"fields": ["name", name]},
        lambda name: {"expand": [name]},
        lambda name: {name: "x"},
    ],
)
def test_write_only_field_in_body_is_refused_like_unknown_field(hidden: str, ask: Any) -> None:
    """A7, A8, A9."""
    bodies = []
    for fields in (SHOP, SHOP_WITHOUT_HIDDEN):
        with pytest.raises(ParameterInvalid) as caught:
            parse_query(ask(hidden), fields)
        bodies.append(caught.value.problem(instance="/api/shop/query", request_id="1"))
    assert bodies[0] == bodies[1]
    assert bodies[0]["errors"][0]["code"] in {"unknown_field", "unknown_parameter"}


NESTED = an_object(
    loose=Field(frozenset({Kind.STRING, Kind.ARRAY}), items=SECRET),
    matrix=an_array(an_array(SECRET)),
    deep=Field(frozenset({Kind.STRING, Kind.ARRAY}), items=an_array(an_object(key=SECRET))),
)


@pytest.mark.parametrize(
    "query",
    [
        {"filter": {"loose": "x"}},
        {"filter": {"loose": None}},
        {"filter": {"loose": {"gt": "x"}}},
        {"filter": {"loose": {"startswith": "x"}}},
        {"filter": {"loose": {"in": ["x", ["x"]]}}},
        {"filter": {"loose": ["x"]}},
        {"filter": {"loose": {"size": 1}}},
        {"filter": {"loose": {"elem": {"eq": "x"}}}},
        {"filter": {"matrix": ["x"]}},
        {"filter": {"matrix": [["x"]]}},
        {"filter": {"matrix": [[]]}},
        {"filter": {"matrix.0": ["x"]}},
        {"filter": {"matrix": {"elem": {"size": 1}}}},
        {"filter": {"matrix": {"elem": {"elem": {"eq": "x"}}}}},
        {"filter": {"deep": [[{"key": "x"}]]}},
        {"sort": "loose"},
        {"sort": "-deep"},
        {"sort": "deep.0"},
    ],
)
def test_array_of_write_only_elements_cannot_be_queried(query: Any) -> None:
    """A8, A9."""
    with pytest.raises(ParameterInvalid):
        parse_query(query, NESTED)


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
def test_invalid_field_name_is_unknown_field(path: str) -> None:
    """A3, A4, A40."""
    assert refused((f"filter[{path}]", "1")).errors[0].code == "unknown_field"
    assert refused(("sort", path)).errors[0].code == "unknown_field"
    assert (
        refused(("filter", json.dumps({"or": [{path: {"exists": True}}]}))).errors[0].code == "unknown_field"
    )


def test_elements_of_write_only_list_cannot_be_compared() -> None:
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
        ("filter", json.dumps({"or": [{"price": {"in": [1] * 1000}}] * 10})),
        ("filter", json.dumps({"extra": [[[1] * 1000] * 10]})),
        ("filter", json.dumps({"place": {"within": {"polygon": [[[0, 0]] * 5000]}}})),
        ("filter", json.dumps({"or": [{"place": {"within": {"polygon": [STAR]}}}] * 20})),
    ],
    ids=lambda parameter: f"{parameter[0][:20]} {parameter[1][:20]}",
)
def test_expensive_query_is_refused_quickly(parameter: tuple[str, str]) -> None:
    """A13, A14."""
    with within(1.0):
        failure = refused(parameter)
    assert failure.status == 400
    assert len(json.dumps(failure.problem(instance="/", request_id="1"))) < 40_000


def test_too_many_conditions_or_parameters_are_refused() -> None:
    failure = refused(*[("filter[price]", "1")] * (MAXIMUM_CONDITIONS + 1))
    assert failure.detail == "a query may have 100 conditions at the most"
    failure = refused(*[("filter[price][in]", ",".join(["1"] * 1000))] * 10)
    assert failure.detail == "a query may have 100 conditions at the most"
    failure = refused(*[("x", "1")] * (MAXIMUM_PARAMETERS + 1))
    assert failure.detail == "a request may have 200 parameters at the most"
