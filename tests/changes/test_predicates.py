"""Conditions filed by the values that they name: nothing that matches is missed."""

from typing import Any

import pytest
from hypothesis import given, settings

from service.changes.predicates import MAXIMUM_KEYS, PredicateIndex, keys_of
from service.query import And, Compare, Elem, Node, Not, Or, matches
from service.query.match import comparison_key
from tests.query.test_match_agrees import DOCUMENTS, nodes

ROOM = Compare(("room",), "eq", "x")
LATE = Compare(("n",), "gt", 1)


def key(path: str, value: Any) -> tuple[tuple[str, ...], Any]:
    return tuple(path.split(".")), comparison_key(value)


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (None, None),
        (ROOM, {key("room", "x")}),
        (Compare(("id",), "eq", 7), {key("_id", 7)}),
        (Compare(("room",), "in", ("x", "y")), {key("room", "x"), key("room", "y")}),
        (Compare(("room",), "eq", ("x",)), {key("room", ["x"])}),
        (Compare(("room",), "ne", "x"), None),
        (LATE, None),
        (And((LATE, ROOM)), {key("room", "x")}),
        (And((Compare(("a",), "in", (1, 2)), ROOM)), {key("room", "x")}),
        (And(()), None),
        (Or((ROOM, Compare(("a",), "eq", None))), {key("room", "x"), key("a", None)}),
        (Or((ROOM, LATE)), None),
        (Or(()), set()),
        (Not(ROOM), None),
        (Elem(("rooms",), Compare((), "eq", "x")), None),
        (Compare(("a",), "in", tuple(range(MAXIMUM_KEYS + 1))), None),
    ],
)
def test_condition_is_filed_under_values_that_it_names(node: Node, expected: Any) -> None:
    found = keys_of(node)
    assert (None if found is None else {*found}) == expected


@settings(max_examples=300, deadline=None)
@given(node=nodes)
def test_every_document_that_matches_is_found_by_its_values(node: Node) -> None:
    index: PredicateIndex[str] = PredicateIndex()
    index.add("it", keys_of(node))
    for document in DOCUMENTS[:200]:
        if matches(node, document):
            assert [*index.candidates((None, document))] == ["it"]
            assert [*index.candidates((document, {"_id": -1}))] == ["it"]


def test_only_members_of_a_documents_values_are_candidates() -> None:
    index: PredicateIndex[int] = PredicateIndex()
    for number in range(1000):
        index.add(number, keys_of(And((Compare(("room",), "eq", number), LATE))))
    assert [*index.candidates(({"room": 7}, {"room": 8}))] == [7, 8]
    assert [*index.candidates(({"room": [7, 9]}, {"room": 7}))] == [7, 9]
    assert [*index.candidates(({}, None))] == []


def test_member_that_is_removed_leaves_nothing() -> None:
    index: PredicateIndex[str] = PredicateIndex()
    index.add("filed", keys_of(ROOM))
    index.add("unfiled", keys_of(LATE))
    assert [*index.candidates(({"room": "x"}, None))] == ["unfiled", "filed"]
    for member in ("filed", "unfiled", "never there"):
        index.remove(member)
    assert [*index.candidates(({"room": "x"}, None))] == []
    assert (index.unfiled, index._by_path) == ({}, {})
