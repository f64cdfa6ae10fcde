"""Pointers as RFC 6901 has them."""

import pytest

from service.kit import json_values

# RFC 6901, 5: the pointers of its example, and the steps that they are made of.
EXAMPLES = {
    "": [],
    "/foo": ["foo"],
    "/foo/0": ["foo", "0"],
    "/": [""],
    "/a~1b": ["a/b"],
    "/c%d": ["c%d"],
    "/m~0n": ["m~n"],
    "/~01": ["~1"],
    "/a//b": ["a", "", "b"],
}


@pytest.mark.parametrize("pointer", EXAMPLES)
def test_pointer_is_split_and_joined(pointer: str) -> None:
    steps = json_values.split_pointer(pointer)
    assert steps == EXAMPLES[pointer]
    assert json_values.join_pointer(steps) == pointer


def test_number_is_a_step() -> None:
    assert json_values.join_pointer(["tags", 0]) == "/tags/0"
