"""Keys as clients write them, and what makes two requests one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.access.principals import ANONYMOUS, Principal
from service.documents.idempotency import MAXIMUM_KEY_LENGTH, KeyedRequest, read_key
from service.kit.errors import RequestInvalid

ANN = Principal("user", "1", frozenset())
BOB = Principal("user", "2", frozenset())
PARTS = [b"POST", b"/api/films", b"", b"application/json", b"", b"{}"]


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ([], None),
        (["8e03978e-40d5-43e8-bc93-6894a57f9324"], "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        (['"8e03978e-40d5-43e8-bc93-6894a57f9324"'], "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        (['  "a, b"\t'], "a, b"),
        ([r'"a\\b\"c"'], 'a\\b"c'),
        (["a=b;c/d+e'f\\g"], "a=b;c/d+e'f\\g"),
        (["x" * MAXIMUM_KEY_LENGTH], "x" * MAXIMUM_KEY_LENGTH),
        ([f'"{"x" * MAXIMUM_KEY_LENGTH}"'], "x" * MAXIMUM_KEY_LENGTH),
    ],
)
def test_quoted_and_unquoted_keys_are_equal(values: list[str], key: str | None) -> None:
    assert read_key(values) == key


@pytest.mark.parametrize(
    "values",
    [
        [""],
        ['""'],
        ["   "],
        ["x" * (MAXIMUM_KEY_LENGTH + 1)],
        [f'"{"x" * (MAXIMUM_KEY_LENGTH + 1)}"'],
        ["a b"],
        ["a, b"],
        ['"a", "b"'],
        ['"a";b=1'],
        ['"a'],
        ['a"'],
        [r'"a\b"'],
        ['"a"b"'],
        ["a\x00b"],
        ['"a\x7fb"'],
        ["schlüssel"],
        ["a", "a"],
        ["a", "b"],
    ],
)
def test_missing_invalid_or_repeated_key_is_refused(values: list[str]) -> None:
    with pytest.raises(RequestInvalid, match="Idempotency-Key"):
        read_key(values)


@given(st.lists(st.text(max_size=300), max_size=2))
def test_any_header_is_read_as_key_or_refused(values: list[str]) -> None:
    try:
        key = read_key(values)
    except RequestInvalid:
        return
    assert key is None or 0 < len(key) <= MAXIMUM_KEY_LENGTH


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=255))
def test_structured_field_string_is_unescaped(key: str) -> None:
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    assert read_key([f'"{escaped}"']) == key


def test_same_key_of_two_users_has_separate_slots() -> None:
    anns, bobs = KeyedRequest.of(ANN, "k", PARTS), KeyedRequest.of(BOB, "k", PARTS)
    assert anns == KeyedRequest.of(ANN, "k", PARTS)
    assert anns.slot != bobs.slot
    assert anns.fingerprint == bobs.fingerprint
    assert (anns.owner, bobs.owner) == ("1", "2")


def test_fingerprint_depends_on_key() -> None:
    first, second = (KeyedRequest.of(ANN, key, PARTS) for key in ("k", "l"))
    assert first.fingerprint != second.fingerprint


@pytest.mark.parametrize("changed", range(len(PARTS)))
def test_changed_part_changes_fingerprint(changed: int) -> None:
    others = [part + b"x" if place == changed else part for place, part in enumerate(PARTS)]
    first, second = KeyedRequest.of(ANN, "k", PARTS), KeyedRequest.of(ANN, "k", others)
    assert first.slot == second.slot
    assert first.fingerprint != second.fingerprint


def test_byte_moved_between_parts_changes_fingerprint() -> None:
    first, second = (KeyedRequest.of(ANN, "k", parts) for parts in ([b"a", b"bc"], [b"ab", b"c"]))
    assert first.fingerprint != second.fingerprint


def test_anonymous_caller_needs_key_of_20_characters() -> None:
    key = "8e03978e-40d5-43e8-b"
    assert KeyedRequest.of(ANONYMOUS, key, PARTS).slot != KeyedRequest.of(ANN, key, PARTS).slot
    with pytest.raises(RequestInvalid, match="at least 20 characters"):
        KeyedRequest.of(ANONYMOUS, key[:-1], PARTS)
