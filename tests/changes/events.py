"""A client of streams of server-sent events, over ASGI."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode

from litestar import Litestar

PATIENCE_S = 10.0
"""How long a test waits for what has to come: long enough for a busy machine."""


class Events:
    """A stream that is being read: its status and headers, and its events one by one."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.cursor: str | None = None
        """The last `id:`, as a browser keeps it."""
        self._text = ""
        self._messages: asyncio.Queue[Any] = asyncio.Queue()
        self._takes = asyncio.Event()
        self._takes.set()
        self._has_ended = False

    async def next(self, within_s: float = PATIENCE_S) -> dict[str, Any] | None:
        """Return the next event, `{"event": …} | its data`, without comments; None at the end."""
        async with asyncio.timeout(within_s):
            while True:
                block, found, rest = self._text.partition("\n\n")
                if found:
                    self._text = rest
                    event = self._read(block)
                    if event is not None:
                        return event
                elif self._has_ended:
                    return None
                else:
                    await self._receive()

    async def take(self, number: int) -> list[dict[str, Any] | None]:
        return [await self.next() for _ in range(number)]

    async def until(self, event: str) -> list[dict[str, Any]]:
        """Return the events up to the next one of a kind, which is the last of them."""
        found: list[dict[str, Any]] = []
        while not found or found[-1]["event"] != event:
            told = await self.next()
            assert told is not None, found
            found.append(told)
        return found

    async def body(self) -> Any:
        """Return the body of a refusal."""
        async with asyncio.timeout(PATIENCE_S):
            while not self._has_ended:
                await self._receive()
        return json.loads(self._text)

    def stop_reading(self) -> None:
        """Take nothing of what is sent, as a client whose buffers are full."""
        self._takes.clear()

    def read_on(self) -> None:
        self._takes.set()

    async def send(self, message: Any) -> None:
        """Take a part of the answer, as the server's `send` does: it waits while nothing is read."""
        self._messages.put_nowait(message)
        if message["type"] == "http.response.body":
            await self._takes.wait()

    async def is_silent(self, for_s: float = 0.3) -> bool:
        try:
            return await self.next(for_s) is None
        except TimeoutError:
            return True

    def _read(self, block: str) -> dict[str, Any] | None:
        event: dict[str, Any] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "id":
                self.cursor = value
            elif name == "event":
                event["event"] = value
            elif name == "data":
                event |= json.loads(value)
        return event or None

    async def _receive(self) -> None:
        message = await self._messages.get()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self._text += message.get("body", b"").decode()
            self._has_ended = not message.get("more_body", False)


@asynccontextmanager
async def watching(
    app: Litestar,
    path: str,
    headers: Mapping[str, str] | None = None,
    *,
    address: str = "127.0.0.1",
    last: str | None = None,
    method: str = "GET",
    reads: bool = True,
    body: Any = None,
    **parameters: str,
) -> AsyncIterator[Events]:
    """Open a stream, by POST if there is a body, and leave it at the end of the context."""
    events, has_left = Events(), asyncio.Event()
    if not reads:
        events.stop_reading()
    given = {"accept": "text/event-stream", **(headers or {})}
    if last is not None:
        given["last-event-id"] = last
    content = b"" if body is None else json.dumps(body).encode()
    if body is not None:
        method = "POST"
        given = {"content-type": "application/json"} | given
    has_asked = False

    async def receive() -> Any:
        nonlocal has_asked
        if not has_asked:
            has_asked = True
            return {"type": "http.request", "body": content, "more_body": False}
        await has_left.wait()
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": quote(path).encode(),
        "query_string": urlencode(parameters).encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        "client": (address, 50000),
        "server": ("sheaf.test", 80),
        "state": {},
    }
    task = asyncio.create_task(app(scope, receive, events.send))  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(PATIENCE_S):
            await events._receive()
        yield events
    finally:
        has_left.set()
        events.read_on()
        await asyncio.wait_for(task, PATIENCE_S)
