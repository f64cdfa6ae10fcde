"""Equality of JSON values, held against their canonical texts."""

import json
from typing import Any

import pytest
from bson import Decimal128
from hypothesis import given
from hypothesis import strategies as st

from service.kit.json_values import are_equal, are_written_alike, equality_key

SCALARS = (
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([-0.0, 0.0, 0.5, 1.0, 2.0**60, 1e300])
)
VALUES = st.recursive(
    SCALARS | st.sampled_from(["", "a", "[1]", "null"]),
    lambda parts: st.lists(parts, max_size=2) | st.dictionaries(st.sampled_from("ab"), parts, max_size=2),
    max_leaves=4,
)


def canonical(value: Any) -> str:
    """Write a value with each whole number as an integer, and the members in order."""

    def plain(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: plain(each) for name, each in part.items()}
        if isinstance(part, list):
            return [plain(each) for each in part]
        return int(part) if isinstance(part, float) and part.is_integer() else part

    return json.dumps(plain(value), sort_keys=True)


@given(VALUES, VALUES)
def test_values_are_equal_when_their_canonical_texts_are(one: Any, other: Any) -> None:
    expected = canonical(one) == canonical(other)
    assert are_equal(one, other) is expected
    assert (equality_key(one) == equality_key(other)) is expected
    assert not expected or hash(equality_key(one)) == hash(equality_key(other))


@given(VALUES, VALUES)
def test_values_are_written_alike_when_their_texts_are(one: Any, other: Any) -> None:
    assert are_written_alike(one, other) is (json.dumps(one) == json.dumps(other))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Decimal128("1.50"), Decimal128("1.5"), True),
        ([Decimal128("0")], [Decimal128("-0.00")], True),
        ([Decimal128("1")], [Decimal128("2")], False),
        ([Decimal128("1")], ["1"], False),
        (2**64, 2.0**64, True),
        (2**53 + 1, float(2**53), False),
    ],
)
def test_numbers_are_equal_by_value(one: Any, other: Any, *, expected: bool) -> None:
    assert (equality_key(one) == equality_key(other)) is expected
