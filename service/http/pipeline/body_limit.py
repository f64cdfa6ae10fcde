"""Bounding a request's body: its size, and how long its client may take to send it."""

from asyncio import CancelledError
from time import monotonic

from litestar.types import Receive

from service.http.pipeline.step import Exchange, Received, Step
from service.kit.errors import BodyTooLarge, Busy, RequestInvalid
from service.runtime.deadline import Alarm, Watch

LENGTH_DIGITS = 18
"""Digits of `Content-Length` that are read; more are beyond every limit."""


PIECE_BYTES = 64
"""What the pieces of a body have at least on average, once there are MAXIMUM_SMALL_PIECES of them."""

MAXIMUM_SMALL_PIECES = 1000
"""Each piece costs some 50 µs whatever its size, so that a body in single bytes would cost a minute."""


HELD_BYTES = 64 * 1024 * 1024
"""What a worker holds of bodies that are not whole yet; beyond it all that still send more are refused."""

BODY = "bounded_body"
"""The name in a request's state of what bounds its body; the body itself is there as `body`."""


class BodyLimit(Step):
    """Refuse a body of more than `limit_bytes`, or one that keeps us waiting more than `timeout_s` in all.

    A `Content-Length` beyond the limit is refused before anything is read, with BodyTooLarge; a malformed one
    with RequestInvalid. A body that turns out longer, slower or cut off makes `receive` raise the same. Only
    the time spent waiting for the client counts, not the handler's own between two chunks. When bodies that
    are not whole yet have `held_bytes` together, one that brings more is refused with Busy.
    """

    def __init__(self, *, limit_bytes: int, timeout_s: float = 30.0, held_bytes: int = HELD_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._watch = Watch(timeout_s)
        self._held = _Held(held_bytes)

    def enter(self, exchange: Exchange) -> None:
        """Check the stated length."""
        length = exchange.header(b"content-length")
        if length is not None:
            self._check_length(length)

    def receiving(self, exchange: Exchange, receive: Receive) -> Receive:
        """Watch what arrives."""
        bounded = exchange.state[BODY] = _Bounded(receive, self._limit_bytes, self._watch, self._held)
        return bounded

    def leave(self, exchange: Exchange) -> None:
        """Count what is held of a body no longer, also if it never was whole."""
        bounded: _Bounded | None = exchange.state.pop(BODY, None)
        if bounded is not None:
            bounded.let_go()

    def _check_length(self, value: bytes) -> None:
        if not value.isdigit():
            raise RequestInvalid("`Content-Length` must be a whole number of bytes.")
        if len(value) > LENGTH_DIGITS or int(value) > self._limit_bytes:
            raise _too_large(self._limit_bytes)


class _Held:
    """How many bytes are held of all bodies that are not whole."""

    __slots__ = ("held_bytes", "most_bytes")

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.held_bytes = 0


class _Bounded:
    """One request's `receive`, counting the bytes and the seconds of its body."""

    __slots__ = (
        "_counted_bytes",
        "_held",
        "_is_whole",
        "_limit_bytes",
        "_pieces",
        "_receive",
        "_received_bytes",
        "_remaining_s",
        "_watch",
    )

    def __init__(self, receive: Receive, limit_bytes: int, watch: Watch, held: _Held) -> None:
        self._held = held
        self._counted_bytes = 0
        self._receive = receive
        self._limit_bytes = limit_bytes
        self._watch = watch
        self._remaining_s = watch.timeout_s
        self._received_bytes = 0
        self._pieces = 0
        self._is_whole = False

    async def __call__(self) -> Received:
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
            self._hold()
        return message

    def _hold(self) -> None:
        """Count what has come, until the body is whole."""
        if self._is_whole:
            self.let_go()
            return
        self._held.held_bytes += self._received_bytes - self._counted_bytes
        self._counted_bytes = self._received_bytes
        if self._held.held_bytes > self._held.most_bytes:
            raise Busy("Too much is being sent at this moment; try again in a few seconds")

    def let_go(self) -> None:
        """Count nothing of this body any more."""
        self._held.held_bytes -= self._counted_bytes
        self._counted_bytes = 0

    async def _next_within_time(self) -> Received:
        alarm = Alarm(self._watch)
        began_s = monotonic()
        alarm.ends_at_s = began_s + self._remaining_s
        alarm.begin()
        try:
            return await self._receive()
        except CancelledError:
            if not alarm.close():
                raise
            raise RequestInvalid(
                f"The body did not arrive within {self._watch.timeout_s:g} seconds; "
                "send it faster or in parts."
            ) from None
        finally:
            alarm.close()
            self._remaining_s -= monotonic() - began_s


def _too_large(limit_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body may have at most {limit_bytes} bytes.")
