"""Pointers as RFC 6901 has them."""

import pytest

from service.kit import pointers

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
    steps = pointers.split(pointer)
    assert steps == EXAMPLES[pointer]
    assert pointers.join(steps) == pointer


def test_number_is_a_step() -> None:
    assert pointers.join(["tags", 0]) == "/tags/0"
