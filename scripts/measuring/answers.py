"""Answers of HTTP/1.1 as the load generator reads them: where one ends, and its status."""

from typing import NamedTuple

HEAD_LIMIT_BYTES = 65_536
NO_CONTENT, NOT_MODIFIED = 204, 304


class UnreadableAnswerError(Exception):
    """What was received is not an answer that says its length."""


class Answer(NamedTuple):
    """A whole answer at the start of what was received; its body is `received[body_at:end]`."""

    status: int
    body_at: int
    end: int


def read(received: bytes) -> Answer | None:
    r"""Find the answer that the received bytes begin with; None while it is not whole (RFC 9112).

    >>> read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    Answer(status=200, body_at=38, end=40)
    >>> read(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{") is None
    True

    Raises UnreadableAnswerError for what is none, and for one that does not say its length beforehand.
    """
    head_end = received.find(b"\r\n\r\n")
    if head_end < 0:
        if len(received) > HEAD_LIMIT_BYTES:
            raise UnreadableAnswerError("the head of the answer has no end")
        return None
    if not received.startswith(b"HTTP/1.1 ") or not received[9:12].isdigit():
        raise UnreadableAnswerError("not an answer of HTTP/1.1")
    status = int(received[9:12])
    body_at = head_end + 4
    end = body_at if status in {NO_CONTENT, NOT_MODIFIED} else body_at + length(received[:head_end])
    return Answer(status, body_at, end) if len(received) >= end else None


def length(head: bytes) -> int:
    """Return the length that the head tells; raises UnreadableAnswerError if it tells none."""
    lower = head.lower()
    found = lower.find(b"\r\ncontent-length:")
    if found < 0:
        raise UnreadableAnswerError("the answer does not say its length")
    start = found + len(b"\r\ncontent-length:")
    stop = lower.find(b"\r\n", start)
    text = lower[start : stop if stop >= 0 else None].strip()
    if not text.isdigit():
        raise UnreadableAnswerError("the length of the answer is no number")
    return int(text)
