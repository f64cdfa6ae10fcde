"""Clients over bare sockets: some keep their connection, some open one for each request; all write down."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class PollResult:
    """One request: when it was, and the body of its answer; None if there was none, or not a good one."""

    began_s: float
    ended_s: float
    body: bytes | None


@dataclass
class PollingClient:
    """Asks a service for a path again and again."""

    port: int
    path: str
    keeps_connections: bool
    told: list[PollResult]
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = field(default=None, init=False)

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            began_s = time.monotonic()
            try:
                body = await asyncio.wait_for(self._ask(), PATIENCE_S)
            except (OSError, EOFError):
                body = None
                self._close()
            self.told.append(PollResult(began_s, time.monotonic(), body))
        self._close()

    async def _ask(self) -> bytes | None:
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        writer.write(f"GET {self.path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        if not self.keeps_connections or b"\r\nconnection: close" in head:
            self._close()
        return body if head.startswith(b"http/1.1 200 ") else None

    def _close(self) -> None:
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None


@asynccontextmanager
async def asked(port: int, count: int, *paths: str) -> AsyncIterator[list[PollResult]]:
    """Have so many clients of both kinds ask for these paths; provides what they are told."""
    told: list[PollResult] = []
    stop = asyncio.Event()
    clients = [
        PollingClient(port, paths[number // 2 % len(paths)], number % 2 == 0, told) for number in range(count)
    ]
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.run(stop))
        try:
            yield told
        finally:
            stop.set()
