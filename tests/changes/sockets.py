"""A client of WebSockets, over ASGI."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode

from litestar import Litestar

from tests.changes.events import PATIENCE_S

STREAMS = "/api/streams"


class Socket:
    """A WebSocket that is open, or was refused with a `status` and a `problem`."""

    def __init__(self) -> None:
        self.status = 0
        self.problem: Any = None
        self.headers: dict[str, str] = {}
        self.subprotocol: str | None = None
        self.code: int | None = None
        """With which it was closed."""
        self.to_server: asyncio.Queue[Any] = asyncio.Queue()
        self.from_server: asyncio.Queue[Any] = asyncio.Queue()
        self.takes = asyncio.Event()
        self.takes.set()

    async def send(self, **message: Any) -> None:
        await self.send_raw(text=json.dumps(message))

    async def send_raw(self, **content: Any) -> None:
        await self.to_server.put({"type": "websocket.receive", **content})

    async def subscribe(self, key: str, **members: Any) -> None:
        await self.send(type="subscribe", key=key, **members)

    async def next(self, within_s: float = PATIENCE_S) -> dict[str, Any] | None:
        """Return the next message but cursors that stand alone; None once it is closed."""
        async with asyncio.timeout(within_s):
            while True:
                if self.code is not None:
                    return None
                message = await self.from_server.get()
                if message["type"] == "websocket.close":
                    self.code = message["code"]
                    return None
                told: dict[str, Any] = json.loads(message["text"])
                if told["event"] != "cursor":
                    return told

    async def take(self, number: int) -> list[dict[str, Any] | None]:
        return [await self.next() for _ in range(number)]

    async def until(self, event: str) -> list[dict[str, Any]]:
        """Return the messages up to the next one of a kind, which is the last of them."""
        found: list[dict[str, Any]] = []
        while not found or found[-1]["event"] != event:
            told = await self.next()
            assert told is not None, (found, self.code)
            found.append(told)
        return found

    async def fence(self) -> list[dict[str, Any]]:
        """Return what is told until all that was sent has been done."""
        await self.send(type="ping")
        return (await self.until("pong"))[:-1]

    async def is_silent(self, for_s: float = 0.3) -> bool:
        try:
            return await self.next(for_s) is None
        except TimeoutError:
            return True


@asynccontextmanager
async def connected(
    app: Litestar,
    headers: Mapping[str, str] | None = None,
    *,
    path: str = STREAMS,
    address: str = "127.0.0.1",
    subprotocols: tuple[str, ...] = (),
    denies: bool = True,
    **parameters: str,
) -> AsyncIterator[Socket]:
    """Open a WebSocket, and leave it at the end of the context."""
    socket, has_left = Socket(), asyncio.Event()
    socket.to_server.put_nowait({"type": "websocket.connect"})

    async def receive() -> Any:
        return await socket.to_server.get()

    async def send(message: Any) -> None:
        if has_left.is_set():
            raise RuntimeError("the client has left")
        await socket.takes.wait()
        socket.from_server.put_nowait(message)

    given = {"host": "sheaf.test", **(headers or {})}
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "extensions": {"websocket.http.response": {}} if denies else {},
        "http_version": "1.1",
        "scheme": "ws",
        "path": path,
        "raw_path": quote(path).encode(),
        "query_string": urlencode(parameters).encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        "subprotocols": [*subprotocols],
        "client": (address, 50000),
        "server": ("sheaf.test", 80),
        "state": {},
    }
    task = asyncio.create_task(app(scope, receive, send))  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(PATIENCE_S):
            await _answer(socket)
        yield socket
    finally:
        has_left.set()
        socket.takes.set()
        socket.to_server.put_nowait({"type": "websocket.disconnect", "code": 1001})
        await asyncio.wait_for(task, PATIENCE_S)


async def _answer(socket: Socket) -> None:
    """Receive what the handshake is answered with."""
    message = await socket.from_server.get()
    if message["type"] == "websocket.accept":
        socket.status, socket.subprotocol = 101, message["subprotocol"]
    elif message["type"] == "websocket.close":
        socket.status = 403
    else:
        socket.status = message["status"]
        socket.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        socket.problem = json.loads((await socket.from_server.get())["body"])
