"""The load generator finds the ends of answers, however they arrive; none may hide its length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.measuring import answers
from scripts.measuring.answers import Answer, UnreadableAnswerError

WHOLE = (
    b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\netag: "1"\r\n\r\n{"data":{}}'
)


@given(st.integers(0, len(WHOLE)))
def test_response_is_complete_only_with_last_byte(received: int) -> None:
    answer = answers.read(WHOLE[:received])
    if received < len(WHOLE):
        assert answer is None
    else:
        assert answer == Answer(200, len(WHOLE) - 11, len(WHOLE))


@given(st.binary(max_size=200))
def test_bytes_after_response_are_not_part_of_it(more: bytes) -> None:
    answer = answers.read(WHOLE + more)
    assert answer is not None
    assert (WHOLE + more)[answer.body_at : answer.end] == b'{"data":{}}'


@pytest.mark.parametrize("status", [204, 304])
def test_response_without_body_ends_with_headers(status: int) -> None:
    head = f"HTTP/1.1 {status} \r\nContent-Length: 300\r\n\r\n".encode()
    assert answers.read(head) == Answer(status, len(head), len(head))


@pytest.mark.parametrize(
    ("received", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "does not say its length"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "does not say its length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "no number"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "no number"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "not an answer"),
        (b"HTTP/1.1 twohundred\r\n\r\n", "not an answer"),
        (b"a" * 70_000, "no end"),
    ],
)
def test_unreadable_response_is_refused(received: bytes, reason: str) -> None:
    with pytest.raises(UnreadableAnswerError, match=reason):
        answers.read(received)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(received: bytes) -> None:
    try:
        answer = answers.read(received)
    except UnreadableAnswerError:
        return
    assert answer is None or answer.end <= len(received)
