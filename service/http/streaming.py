"""Streams of server-sent events: sent as they come, without a place among the requests or a deadline."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from typing import Any, cast

from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.types import HTTPResponseStartEvent, Receive, Scope, Send

from service.changes.entries import Entry
from service.changes.streams import Stream, Streams
from service.http.pipeline.concurrency_limit import release

PING_S = 15.0
"""How often something is sent over a stream on which nothing happens, so that nobody takes it for dead."""

PINGS_PER_CURSOR = 4
"""After how many of them it is said from where a client may go on: far within what a worker keeps."""

PIECE_BYTES = 64 * 1024
"""Entries that wait are sent together, in pieces of about so much."""

HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx, and others after it, would wait for more
)


class EventStream(Response[bytes]):
    """A response that sends what one stream is told, until either side ends it.

    `beginning` yields what is told first; `stream` has the rest. `write` makes bytes of entries.
    """

    def __init__(
        self,
        streams: Streams,
        stream: Stream,
        beginning: AsyncIterator[Sequence[Entry]],
        first: Sequence[Entry],
    ) -> None:
        super().__init__(b"", status_code=200)
        self._streams = streams
        self._stream = stream
        self._beginning = beginning
        self._first = first
        self._pings = 0

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        """Return what sends it: itself."""
        return cast("ASGIResponse", self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        stream = self._stream
        release(scope["state"])
        start: HTTPResponseStartEvent = {"type": "http.response.start", "status": 200, "headers": [*HEADERS]}
        client = asyncio.ensure_future(_left(receive))
        client.add_done_callback(lambda _: stream.mailbox.close())
        try:
            await send(start)
            await _send(send, _events(self._first))
            async with aclosing(cast("Any", self._beginning)) as beginning:
                async for told in beginning:
                    await _send(send, _events(told))
                    await _send(send, _waiting(stream))
            while not client.done() and (len(stream.mailbox) or not stream.has_ended):
                if await stream.mailbox.wait(PING_S):
                    await _send(send, _waiting(stream))
                elif not stream.mailbox.is_closed:
                    await _send(send, [self._ping()])
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            client.cancel()
            self._streams.close(stream)

    def _ping(self) -> bytes:
        """Return a comment, now and then with the place that has been reached."""
        self._pings += 1
        cursor = None if self._pings % PINGS_PER_CURSOR else self._stream.cursor
        return b": ping\n\n" if cursor is None else b"id: %b\n: ping\n\n" % cursor.encode()


async def nothing() -> AsyncIterator[Sequence[Entry]]:
    """Yield nothing more: of a stream that is over as it begins."""
    for told in tuple[Sequence[Entry], ...]():
        yield told


async def _left(receive: Receive) -> None:
    """Wait until the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _events(told: Iterable[Entry]) -> list[bytes]:
    return [entry.as_event() for entry in told]


def _waiting(stream: Stream) -> list[bytes]:
    return [each.entry.as_event() for each in stream.mailbox.take()]


async def _send(send: Send, events: Sequence[bytes]) -> None:
    """Send events in pieces of some size."""
    piece: list[bytes] = []
    size = 0
    for event in events:
        piece.append(event)
        size += len(event)
        if size >= PIECE_BYTES:
            await send({"type": "http.response.body", "body": b"".join(piece), "more_body": True})
            piece, size = [], 0
    if piece:
        await send({"type": "http.response.body", "body": b"".join(piece), "more_body": True})
