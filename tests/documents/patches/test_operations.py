from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import schema as schemas
from service.documents.patches import operations
from service.kit.errors import (
    DocumentInvalid,
    FieldNotWritable,
    PatchConflict,
    PatchInvalid,
)
from tests.pace import within

SCHEMA = schemas.compile(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "count": {"type": "integer"},
            "price": {"type": "number"},
            "big": {"type": ["integer", "string"], "format": "int64"},
            "cost": {"type": "string", "format": "decimal"},
            "at": {"type": "string", "format": "date-time"},
            "day": {"type": ["string", "null"], "format": "date"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "times": {"type": "array", "items": {"type": "string", "format": "date-time"}},
            "costs": {"type": "array", "items": {"type": "string", "format": "decimal"}},
            "anything": {"type": "array"},
            "size": {"type": "object", "properties": {"width": {"type": "integer"}}},
            "lines": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "amount": {"type": "integer"},
                        "key": {"type": "string", "writeOnly": True},
                    },
                },
            },
            "secret": {"type": "integer", "writeOnly": True},
            "secrets": {"type": "array", "writeOnly": True},
            "keys": {"type": "array", "items": {"type": "string", "writeOnly": True}},
            "safe": {"type": "object", "properties": {"pin": {"type": "integer"}}, "writeOnly": True},
        },
        "additionalProperties": False,
    }
)
OPEN = schemas.compile({"type": "object"})


def changed(document: dict[str, Any], body: Any, schema: Any = SCHEMA) -> dict[str, Any]:
    result: dict[str, Any] = operations.read(body)(document, schema)
    return result


BIG = 2**53
DONE: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"count": 1}, {}, {"count": 1}),
    # set and unset
    ({"count": 1}, {"set": {"count": 2, "name": "a"}}, {"count": 2, "name": "a"}),
    ({}, {"set": {"size.width": 2}}, {"size": {"width": 2}}),
    ({"tags": ["a", "b"]}, {"set": {"tags.1": "c"}}, {"tags": ["a", "c"]}),
    ({"lines": [{"amount": 1}]}, {"set": {"lines.0.amount": 5}}, {"lines": [{"amount": 5}]}),
    ({"name": "a", "size": {"width": 1}}, {"unset": ["name", "size.width", "at"]}, {"size": {}}),
    ({"name": "a"}, {"unset": ["size.width"]}, {"name": "a"}),
    ({"name": "a", "secret": 1}, {"unset": ["secret", "safe"]}, {"name": "a"}),
    ({}, {"set": {"secret": 1}}, {"secret": 1}),
    # inc
    ({"count": 1}, {"inc": {"count": 2}}, {"count": 3}),
    ({}, {"inc": {"count": -2}}, {"count": -2}),
    ({"count": None}, {"inc": {"count": 2}}, {"count": 2}),
    ({"count": 5}, {"inc": {"count": 1.0}}, {"count": 6}),
    ({"count": BIG}, {"inc": {"count": 1}}, {"count": BIG + 1}),
    ({"price": 0.1}, {"inc": {"price": 0.2}}, {"price": 0.1 + 0.2}),
    ({"big": 5}, {"inc": {"big": 1}}, {"big": 6}),
    ({"big": BIG - 1}, {"inc": {"big": 1}}, {"big": str(BIG)}),
    ({"big": "9223372036854775806"}, {"inc": {"big": "1"}}, {"big": "9223372036854775807"}),
    ({"cost": "0.10"}, {"inc": {"cost": "0.20"}}, {"cost": "0.30"}),
    (
        {"cost": "9999999999999999999999999999999.999"},
        {"inc": {"cost": "-0.001"}},
        {"cost": "9" * 31 + ".998"},
    ),
    ({"cost": "1.5"}, {"inc": {"cost": 1}}, {"cost": "2.5"}),
    ({"cost": "1.5"}, {"inc": {"cost": 0.1}}, {"cost": "1.6"}),
    ({}, {"inc": {"cost": 1}}, {"cost": "1"}),
    ({"size": {"width": 1}}, {"inc": {"size.width": 1}}, {"size": {"width": 2}}),
    ({"lines": [{}, {"amount": 1}]}, {"inc": {"lines.1.amount": 1}}, {"lines": [{}, {"amount": 2}]}),
    # min and max
    ({"count": 3}, {"min": {"count": 2}}, {"count": 2}),
    ({"count": 3}, {"min": {"count": 4}}, {"count": 3}),
    ({"count": 3}, {"max": {"count": 4}}, {"count": 4}),
    ({"count": 3}, {"max": {"count": 3.0}}, {"count": 3}),
    ({}, {"max": {"count": 4}}, {"count": 4}),
    ({"day": None}, {"min": {"day": "2026-01-01"}}, {"day": "2026-01-01"}),
    ({"big": str(BIG + 1)}, {"max": {"big": 9}}, {"big": str(BIG + 1)}),
    ({"cost": "10"}, {"max": {"cost": "9"}}, {"cost": "10"}),
    ({"day": "2026-02-01"}, {"max": {"day": "2026-10-01"}}, {"day": "2026-10-01"}),
    (
        {"at": "2026-01-01T12:00:00.000Z"},
        {"max": {"at": "2026-01-01T13:00:00+02:00"}},  # earlier, though its text comes later
        {"at": "2026-01-01T12:00:00.000Z"},
    ),
    ({"name": "b"}, {"min": {"name": "a"}}, {"name": "a"}),
    # arrays
    ({"tags": ["a"]}, {"push": {"tags": "a"}}, {"tags": ["a", "a"]}),
    ({}, {"push": {"tags": {"each": ["a", "b"]}}}, {"tags": ["a", "b"]}),
    ({"tags": ["a"]}, {"add_to_set": {"tags": {"each": ["a", "b", "b"]}}}, {"tags": ["a", "b"]}),
    (
        {"anything": [1, "1"]},
        {"add_to_set": {"anything": {"each": [1.0, True, [1]]}}},
        {"anything": [1, "1", True, [1]]},
    ),
    ({"tags": ["a", "b", "a"]}, {"pull": {"tags": "a"}}, {"tags": ["b"]}),
    ({"tags": ["a", "b", "c"]}, {"pull": {"tags": {"each": ["a", "c"]}}}, {"tags": ["b"]}),
    (
        {"anything": [1, True, {"a": [1]}]},
        {"pull": {"anything": {"each": [1, {"a": [1.0]}]}}},
        {"anything": [True]},
    ),
    ({"name": "a"}, {"pull": {"tags": "a"}}, {"name": "a"}),
    (
        {"times": ["2026-01-01T12:00:00.000Z"]},
        {"pull": {"times": "2026-01-01T13:00:00+01:00"}},
        {"times": []},
    ),
    ({"costs": ["1.50"]}, {"add_to_set": {"costs": "1.5"}}, {"costs": ["1.50"]}),
    # what is hidden in elements makes no difference
    ({"lines": [{"amount": 1, "key": "k"}]}, {"pull": {"lines": {"amount": 1}}}, {"lines": []}),
    (
        {"lines": [{"amount": 1, "key": "k"}]},
        {"pull": {"lines": {"amount": 1, "key": "k"}}},
        {"lines": [{"amount": 1, "key": "k"}]},
    ),
    # several at once
    (
        {"count": 1, "tags": []},
        {"inc": {"count": 1}, "push": {"tags": "a"}, "set": {"name": "n"}, "unset": ["at"]},
        {"count": 2, "tags": ["a"], "name": "n"},
    ),
]


@pytest.mark.parametrize(("document", "body", "result"), DONE, ids=lambda value: str(value)[:50])
def test_operations_change_only_named_fields(
    document: dict[str, Any], body: dict[str, Any], result: dict[str, Any]
) -> None:
    before = deepcopy((document, body))
    outcome = changed(document, body)
    assert outcome == result
    assert list(map(type, outcome.values())) == list(map(type, result.values()))
    assert (document, body) == before


REFUSED: list[tuple[dict[str, Any], Any, str, str]] = [
    ({}, [], "", "type"),
    ({}, {"incr": {"count": 1}}, "/incr", "unknown"),
    ({}, {"$set": {"count": 1}}, "/$set", "unknown"),
    ({}, {"inc": [1]}, "/inc", "type"),
    ({}, {"unset": {"a": 1}}, "/unset", "type"),
    ({}, {"unset": [1]}, "/unset", "type"),
    ({}, {"set": {"": 1}}, "/set/", "path"),
    ({}, {"set": {"a..b": 1}}, "/set/a..b", "path"),
    ({}, {"set": {".".join("a" * 101): 1}}, "/set/" + ".".join("a" * 98), "path"),
    ({}, {"set": {"__proto__": 1}}, "/set/__proto__", "name"),
    ({}, {"unset": ["size.__class__"]}, "/unset/0", "name"),
    ({}, {"set": {"size.$where": 1}}, "/set/size.$where", "name"),
    ({}, {"set": {"count": 1}, "inc": {"count": 1}}, "/inc/count", "overlap"),
    ({}, {"set": {"size": {}, "size.width": 1}}, "/set/size.width", "overlap"),
    ({}, {"push": {"lines": {}}, "inc": {"lines.0.amount": 1}}, "/inc/lines.0.amount", "overlap"),
    ({"name": "a"}, {"inc": {"name": 1}}, "/inc/name", "type"),
    ({"count": 1}, {"inc": {"count": "1"}}, "/inc/count", "type"),
    ({"count": 1}, {"inc": {"count": True}}, "/inc/count", "type"),
    ({"count": 1}, {"inc": {"count": None}}, "/inc/count", "type"),
    ({"cost": "1"}, {"inc": {"cost": "much"}}, "/inc/cost", "type"),
    ({"cost": "1e6000"}, {"inc": {"cost": "1"}}, "/inc/cost", "range"),
    ({"price": 1e308}, {"inc": {"price": 1e308}}, "/inc/price", "range"),
    ({"tags": []}, {"inc": {"tags": 1}}, "/inc/tags", "type"),
    ({"count": 1}, {"min": {"count": "1"}}, "/min/count", "type"),
    ({"count": 1}, {"max": {"count": None}}, "/max/count", "type"),
    ({"size": {}}, {"max": {"size": {}}}, "/max/size", "type"),
    ({}, {"max": {"at": "yesterday"}}, "/max/at", "format"),
    ({"count": 1}, {"push": {"count": 1}}, "/push/count", "type"),
    ({"tags": []}, {"push": {"tags": {"each": "a"}}}, "/push/tags", "type"),
    ({"name": "a"}, {"set": {"name.first": 1}}, "/set/name.first", "type"),
    ({"tags": ["a"]}, {"unset": ["tags.0"]}, "/unset/0", "type"),
    ({"price": 0.5}, {"inc": {"price": 10**400}}, "/inc/price", "range"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "body", "pointer", "code"), REFUSED, ids=lambda value: str(value)[:40])
def test_invalid_operation_is_refused_with_pointer_and_code(
    document: dict[str, Any], body: Any, pointer: str, code: str
) -> None:
    with pytest.raises(PatchInvalid) as caught:
        changed(document, body)
    [violation] = caught.value.errors
    assert (str(violation.pointer)[: len(pointer)], violation.code) == (pointer, code)


@pytest.mark.parametrize("path", ["tags.2", "tags.-1", "tags.01", "tags.x", "lines.0.amount"])
@pytest.mark.parametrize("name", ["set", "inc", "push"])
def test_missing_array_position_is_conflict(name: str, path: str) -> None:
    with pytest.raises(PatchConflict) as caught:
        changed({"tags": ["a", "b"], "lines": []}, {name: {path: 1}})
    assert [each.pointer for each in caught.value.errors] == [f"/{name}/{path}"]


@pytest.mark.parametrize("name", ["id", "_version", "_owner", "_created_at", "_updated_at", "_owner.id"])
@pytest.mark.parametrize("body", [{"set": None}, {"inc": None}, {"unset": None}])
def test_system_fields_are_not_writable(name: str, body: dict[str, Any]) -> None:
    operator = next(iter(body))
    with pytest.raises(FieldNotWritable):
        operations.read({operator: [name] if operator == "unset" else {name: 1}})


@pytest.mark.parametrize("name", ["inc", "min", "max", "push", "add_to_set", "pull"])
@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("secret", {"secret": 5}),
        ("secrets", {"secrets": [5]}),
        ("safe", {"safe": {"pin": 5}}),
        ("safe.pin", {"safe": {"pin": 5}}),
        ("lines.0.key", {"lines": [{"key": "5"}]}),
    ],
)
def test_write_only_field_is_refused_like_unknown_field(
    name: str, path: str, document: dict[str, Any]
) -> None:
    absent: dict[str, Any] = {"lines": [{}]} if path.startswith("lines") else {}
    outcomes = []
    for there, value in ((document, 5), (document, 6), (document, "5"), (absent, 5)):
        with pytest.raises(DocumentInvalid) as caught:
            changed(there, {name: {path: value}})
        outcomes.append(caught.value.errors)
    assert all(outcome == outcomes[0] for outcome in outcomes)
    place = ["safe"] if path == "safe.pin" else path.split(".")
    [said] = SCHEMA.violations({"unknown": 1})
    [refused] = outcomes[0]
    assert (refused.code, str(refused.pointer)) == (said.code, "/" + "/".join(place))
    assert refused.detail == f"`{place[-1]}` is not a field of the schema"
    assert said.detail == "`unknown` is not a field of the schema"


@pytest.mark.parametrize("stored", [["a"], ["b"], []])
@pytest.mark.parametrize("body", [{"push": {"keys": "a"}}, {"pull": {"keys": "a"}}, {"set": {"keys.0": "a"}}])
def test_write_only_elements_are_refused_regardless_of_value(stored: list[str], body: dict[str, Any]) -> None:
    with pytest.raises((PatchInvalid, DocumentInvalid)):
        changed({"keys": stored}, body)


VALUES = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "1", "2026-01-01"]) | st.just([1])
)
PATHS = st.sampled_from(
    ["name", "count", "cost", "tags", "tags.0", "size.width", "secret", "lines.0.key", "x.y"]
)


@given(
    st.fixed_dictionaries({}, optional={"count": st.integers(), "tags": st.lists(st.just("a")), "x": VALUES}),
    st.fixed_dictionaries(
        {}, optional={name: st.dictionaries(PATHS, VALUES, max_size=2) for name in operations.CHANGES}
    ),
    st.sampled_from([SCHEMA, OPEN]),
)
def test_any_operations_return_document_or_declared_failure(
    document: dict[str, Any], body: dict[str, Any], schema: Any
) -> None:
    with suppress(PatchInvalid, PatchConflict, DocumentInvalid):
        assert isinstance(changed(document, body, schema), dict)


@given(st.lists(st.integers(-(10**30), 10**30), max_size=10))
def test_decimal_increments_are_exact(amounts: list[int]) -> None:
    document: dict[str, Any] = {"cost": "0.000"}
    for amount in amounts:
        document = changed(document, {"inc": {"cost": f"{amount}e-3" if amount % 2 else str(amount)}})
    exact = sum(amount if amount % 2 else amount * 1000 for amount in amounts)
    assert changed({"cost": document["cost"]}, {"max": {"cost": f"{exact}e-3"}}) == document
    assert changed({"cost": document["cost"]}, {"min": {"cost": f"{exact}e-3"}}) == document


def with_one_hash(count: int) -> list[list[int]]:
    """Return pairs of integers whose tuples have one hash in Python, which anybody can compute."""
    modulus, first, second, start = 2**64, 11400714785074694791, 14029467366897019727, 2870177450012600261

    def mixed(value: int) -> int:
        lane = (start + value * second) % modulus
        return ((lane << 31 | lane >> 33) * first) % modulus

    pairs: list[list[int]] = []
    for one in range(1, 8 * count):
        other = (mixed(1) + 5 * second - mixed(one)) * pow(second, -1, modulus) % modulus
        other -= modulus if other >= 2**63 else 0
        if 0 < abs(other) < 2**61 - 1 and other != -1:
            pairs.append([one, other])
    assert len({hash(tuple(pair)) for pair in pairs[:count]}) == 1
    return pairs[:count]


def test_values_with_colliding_hashes_take_no_extra_time() -> None:
    """Compared each with each they would take many seconds."""
    pairs: list[Any] = with_one_hash(10_000)
    with within(1.0):
        added = changed({}, {"add_to_set": {"anything": {"each": [*pairs, *pairs]}}})
        assert len(added["anything"]) == len(pairs)
        assert changed(added, {"pull": {"anything": {"each": pairs}}}) == {"anything": []}


EQUAL: list[tuple[Any, Any, bool]] = [
    ([1], [1.0], True),
    ([1], [True], False),
    ([1], ["1"], False),
    ([[1]], "[[1]]", False),
    ({"a": 1, "b": [None]}, {"b": [None], "a": 1.0}, True),
    ({"a": "x"}, {"a": "y"}, False),
    ({}, [], False),
]


@pytest.mark.parametrize(("one", "other", "are_equal"), EQUAL)
def test_set_elements_are_compared_as_json(one: Any, other: Any, *, are_equal: bool) -> None:
    added = changed({"anything": [one]}, {"add_to_set": {"anything": {"each": [other]}}})
    assert len(added["anything"]) == 2 - are_equal


def test_number_of_reported_unknown_operations_is_bounded() -> None:
    with within(0.5), pytest.raises(PatchInvalid) as refused:
        changed({}, {f"ad_to_est{number}": {} for number in range(20_000)})
    assert len(refused.value.errors) == 100
