import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.kit import strict_json
from service.kit.errors import JsonInvalid
from tests.pace import within

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_json_writes_is_read_back(value: Any) -> None:
    for ascii_only in (True, False):
        assert strict_json.parse(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "Expecting value at line 1, column 1"),
        (b'{"a": 1,\n "b" 2}', "Expecting ':' delimiter at line 2, column 6"),
        (b"[1] 2", "Extra data at line 1, column 5"),
        (b"NaN", "NaN is not a JSON value"),
        (b"[-Infinity]", "-Infinity is not a JSON value"),
        (b"1e400", "the number 1e400 is too large"),
        (b"9" * 5000, "a number has too many digits"),
        (b'{"a": {"b": 1, "b": 1}}', 'the member "b" appears twice in one object'),
        (b"\xff", "byte 0 is not UTF-8"),
        (b'"\\ud800"', "an escape such as \\ud800 is half a character"),
        (b'{"\\udfff": 1}', "an escape such as \\ud800 is half a character"),
        (b"[" * 1_000_000, "the text is nested more than 100 levels deep"),
        (b"[" * 101 + b"]" * 101, "the text is nested more than 100 levels deep"),
    ],
)
def test_what_is_not_strict_json_is_refused_in_a_sentence(text: bytes, said: str) -> None:
    with pytest.raises(JsonInvalid) as caught:
        strict_json.parse(text)
    assert caught.value.detail == said


def test_a_hundred_levels_are_read() -> None:
    value = strict_json.parse(b"[" * 100 + b"]" * 100)
    assert len(value) == 1


def test_paired_surrogates_are_one_character() -> None:
    assert strict_json.parse(b'"\\ud83d\\ude00"') == "😀"


def test_a_duplicate_among_very_many_members_is_found_quickly() -> None:
    members = b",".join(b'"%x":1' % number for number in range(60_000))
    with within(2), pytest.raises(JsonInvalid, match='"ea5f" appears twice'):
        strict_json.parse(b'{%b,"ea5f":2}' % members)
