"""Matching in memory, where the reason is worth a name; the rest is in test_match_agrees.py."""

from datetime import UTC, datetime
from time import process_time
from uuid import UUID

import pytest
from bson import Binary, Decimal128, ObjectId, Regex

from service.query import OPERATORS, Compare, matches
from service.query.match import _TESTS
from tests.pace import within


def test_every_operator_can_be_matched_in_memory() -> None:
    assert {*_TESTS, "elem"} == {*OPERATORS}


@pytest.mark.parametrize(
    ("operator", "operand", "stored", "expected"),
    [
        ("eq", 1, True, False),
        ("eq", 1, 1.0, True),
        ("eq", Decimal128("2.50"), Decimal128("2.5"), True),
        ("gt", 1, "2", False),
        ("gt", 1, Decimal128("NaN"), False),
        ("gt", 1, float("nan"), False),
        ("gt", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2), True),  # noqa: DTZ001  # as PyMongo may read it
        ("eq", UUID(int=7), Binary.from_uuid(UUID(int=7)), True),
        ("lt", ObjectId("5" * 24), ObjectId("4" * 24), True),
        ("icontains", "STRASSE", "Hauptstrasse", True),
        ("icontains", "i", "\u0130", False),
        ("contains", ".*", "abc", False),
    ],
)
def test_values_compare_as_in_mongodb(operator: str, operand: object, stored: object, expected: bool) -> None:
    assert matches(Compare(("a",), operator, operand), {"a": stored}) is expected


def test_id_means_stored_id_only_at_top_level() -> None:
    document = {"_id": 7, "a": {"id": 8}}
    assert matches(Compare(("id",), "eq", 7), document)
    assert matches(Compare(("a", "id"), "eq", 8), document)


@pytest.mark.parametrize(("operator", "expected"), [("in", False), ("nin", True), ("all", False)])
def test_long_array_is_matched_against_long_list_quickly(operator: str, *, expected: bool) -> None:
    """Whoever writes a document chooses how long its arrays are, and nobody else is served meanwhile."""
    listed = tuple(f"team {number}" for number in range(1000))
    members = [*listed[:999], *(f"user {number}" for number in range(20_000))]
    document = {"members": members if operator == "all" else members[999:]}
    with within(1, process_time):
        assert matches(Compare(("members",), operator, listed), document) is expected


@pytest.mark.parametrize("operator", ["in", "all"])
def test_match_compares_types_that_service_never_stores(operator: str) -> None:
    values = [Regex("a"), {"a": [Regex("b")]}, "x"]
    assert matches(Compare(("a",), operator, ("x",)), {"a": values})
    assert not matches(Compare(("a",), operator, ("a",)), {"a": values})
