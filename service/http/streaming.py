"""Streams of server-sent events: sent as they come, without a place among the requests or a deadline."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from time import monotonic
from typing import Any, cast

from litestar import Response
from litestar.enums import HttpMethod
from litestar.response.base import ASGIResponse
from litestar.types import HTTPResponseStartEvent, Receive, Scope, Send

from service.changes.entries import Entry
from service.changes.mailbox import Waiting
from service.changes.several import Joint
from service.changes.streams import UNTRUSTED, Stream, Streams
from service.http.pipeline.concurrency_limit import hold_open

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
        hold_open(scope["state"])
        start: HTTPResponseStartEvent = {"type": "http.response.start", "status": 200, "headers": [*HEADERS]}
        sending = Sending(stream, send)
        client = asyncio.ensure_future(left(receive))
        client.add_done_callback(lambda _: stream.mailbox.close())
        try:
            await send(start)
            async with aclosing(cast("Any", self._beginning)) as beginning:
                with may_be_cut(stream):
                    if scope.get("method") != HttpMethod.HEAD:
                        await self._send_all(sending, beginning, client)
                    await sending.end()
        finally:
            client.cancel()
            self._streams.close(stream)

    async def _send_all(
        self, sending: "Sending", beginning: AsyncIterator[Sequence[Entry]], client: "asyncio.Future[None]"
    ) -> None:
        stream = self._stream
        await sending.send(self._written(self._first))
        async for told in beginning:
            if stream.bye is not None:
                break
            await sending.send(self._written(told))
            await sending.send(self._waiting())
        while not client.done() and (len(stream.mailbox) or not stream.has_ended):
            if await stream.mailbox.wait(PING_S):
                await sending.send(self._waiting())
            elif not stream.mailbox.is_closed:
                await sending.send([self._ping()])

    def _written(self, told: Iterable[Any]) -> list[bytes]:
        return [entry.as_event() for entry in told]

    def _waiting(self) -> list[bytes]:
        """Take what waits, as it is sent."""
        return [each.entry.as_event() for each in self._stream.mailbox.take()]

    def _ping(self) -> bytes:
        """Return a comment, now and then with the place that has been reached."""
        self._pings += 1
        cursor = None if self._pings % PINGS_PER_CURSOR else self._stream.cursor
        return b": ping\n\n" if cursor is None else b"id: %b\n: ping\n\n" % cursor.encode()


class JointEventStream(EventStream):
    """A response that sends what a stream of several subscriptions is told; entries name theirs.

    The one cursor of all stands after what it comes after, in a block of its own.
    """

    def __init__(self, streams: Streams, stream: Stream, joint: Joint) -> None:
        super().__init__(streams, stream, cast("AsyncIterator[Sequence[Entry]]", joint.beginning()), ())
        self._joint = joint

    def _written(self, told: Iterable[Waiting]) -> list[bytes]:
        return [each.entry.keyed_event(each.source.member, None) for each in told]

    def _waiting(self) -> list[bytes]:
        events = self._written(self._stream.mailbox.take())
        cursor = self._joint.cursor
        return events if cursor is None else [*events, b"id: %b\n\n" % cursor.encode()]

    def _ping(self) -> bytes:
        return b"".join((*self._waiting(), b": ping\n\n"))


async def nothing() -> AsyncIterator[Sequence[Entry]]:
    """Yield nothing more: of a stream that is over as it begins."""
    for told in tuple[Sequence[Entry], ...]():
        yield told


async def left(receive: Receive) -> None:
    """Wait until the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Sending:
    """Sends what a stream is told, noting how long the client takes."""

    def __init__(self, stream: Stream, send: Send) -> None:
        self._stream = stream
        self._send = send

    async def send(self, events: Sequence[bytes]) -> None:
        """Send events in pieces of some size."""
        piece: list[bytes] = []
        size = 0
        for event in events:
            piece.append(event)
            size += len(event)
            if size >= PIECE_BYTES:
                await self._send_piece(piece)
                if self._stream.bye in UNTRUSTED:
                    return
                piece, size = [], 0
        if piece:
            await self._send_piece(piece)

    async def end(self) -> None:
        """Say that this was all."""
        await self._send_piece((), is_last=True)

    async def _send_piece(self, piece: Sequence[bytes], *, is_last: bool = False) -> None:
        self._stream.sending_since_s = monotonic()
        await self._send({"type": "http.response.body", "body": b"".join(piece), "more_body": not is_last})
        self._stream.sending_since_s = None


@contextmanager
def may_be_cut(stream: Stream) -> Iterator[None]:
    """Have the stream end what this context does, when its client takes nothing any more."""
    task = asyncio.current_task()
    is_cut = False

    def cut() -> None:
        nonlocal is_cut
        if task is not None and not is_cut:
            is_cut = True
            task.cancel()

    stream.cut = cut
    try:
        yield
    except asyncio.CancelledError:
        if not is_cut or task is None or task.uncancel():
            raise
    finally:
        stream.cut = None
