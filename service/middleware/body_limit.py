"""Bounding a request's body: its size, and how long its client may take to send it."""

import asyncio

from litestar.types import HTTPReceiveMessage, Receive
from litestar.types.asgi_types import WebSocketReceiveMessage

from service.errors import BodyTooLarge, RequestInvalid
from service.middleware.exchange import Exchange
from service.middleware.step import Step

LENGTH_DIGITS = 18
"""Digits of `Content-Length` that are read; more are beyond every limit."""


PIECE_BYTES = 64
"""What the pieces of a body have at least on average, once there are MAXIMUM_SMALL_PIECES of them."""

MAXIMUM_SMALL_PIECES = 1000
"""Each piece costs some 50 µs whatever its size, so that a body in single bytes would cost a minute."""


class BodyLimit(Step):
    """Refuse a body of more than `limit_bytes`, or one that keeps us waiting more than `timeout_s` in all.

    A `Content-Length` beyond the limit is refused before anything is read, with BodyTooLarge; a malformed one
    with RequestInvalid. A body that turns out longer, slower or cut off makes `receive` raise the same. Only
    the time spent waiting for the client counts, not the handler's own between two chunks.
    """

    def __init__(self, *, limit_bytes: int, timeout_s: float = 30.0) -> None:
        self._limit_bytes = limit_bytes
        self._timeout_s = timeout_s

    def enter(self, exchange: Exchange) -> None:
        """Check the stated length."""
        length = exchange.header(b"content-length")
        if length is not None:
            self._check_length(length)

    def receiving(self, _: Exchange, receive: Receive) -> Receive:
        """Watch what arrives."""
        return _Bounded(receive, self._limit_bytes, self._timeout_s)

    def _check_length(self, value: bytes) -> None:
        if not value.isdigit():
            raise RequestInvalid("`Content-Length` must be a whole number of bytes.")
        if len(value) > LENGTH_DIGITS or int(value) > self._limit_bytes:
            raise _too_large(self._limit_bytes)


class _Bounded:
    """One request's `receive`, counting the bytes and the seconds of its body."""

    __slots__ = (
        "_is_whole",
        "_limit_bytes",
        "_pieces",
        "_receive",
        "_received_bytes",
        "_remaining_s",
        "_timeout_s",
    )

    def __init__(self, receive: Receive, limit_bytes: int, timeout_s: float) -> None:
        self._receive = receive
        self._limit_bytes = limit_bytes
        self._timeout_s = self._remaining_s = timeout_s
        self._received_bytes = 0
        self._pieces = 0
        self._is_whole = False

    async def __call__(self) -> HTTPReceiveMessage | WebSocketReceiveMessage:
        if self._is_whole:
            return await self._receive()
        message = await self._next_within_time()
        if message["type"] == "http.disconnect":
            self._is_whole = True
            raise RequestInvalid("The connection closed before the body was complete.")
        if message["type"] == "http.request":
            self._received_bytes += len(message.get("body", b""))
            self._is_whole = not message.get("more_body", False)
            if self._received_bytes > self._limit_bytes:
                raise _too_large(self._limit_bytes)
            self._pieces += 1
            if self._pieces > MAXIMUM_SMALL_PIECES + self._received_bytes // PIECE_BYTES:
                raise RequestInvalid("The body came in too many small pieces; send it in larger ones.")
        return message

    async def _next_within_time(self) -> HTTPReceiveMessage | WebSocketReceiveMessage:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            async with asyncio.timeout(self._remaining_s):
                return await self._receive()
        except TimeoutError:
            raise RequestInvalid(
                f"The body did not arrive within {self._timeout_s:g} seconds; send it faster or in parts."
            ) from None
        finally:
            self._remaining_s -= loop.time() - began_s


def _too_large(limit_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body may have at most {limit_bytes} bytes.")
