"""More than the service can do, and clients that take their time, over bare sockets."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlsplit

import httpx
import pytest

from tests.live.deployment import client, database, deployed, token
from tests.live.processes import Service
from tests.pace import slowness, within

pytestmark = [pytest.mark.alone, pytest.mark.xdist_group("busy")]

IDLE_S = 1.0
BODY_S = 1.0
STALL_S = 1.0
QUEUE_S = 0.3
CONNECTIONS = 150
CONCURRENCY = 4
LIMITS = {
    "SHEAF_WORKERS": "1",
    "SHEAF_CONNECTIONS": str(CONNECTIONS),
    "SHEAF_IDLE_TIMEOUT_S": str(IDLE_S),
    "SHEAF_BODY_TIMEOUT_S": str(BODY_S),
    "SHEAF_STALL_TIMEOUT_S": str(STALL_S),
    "SHEAF_CONCURRENCY": str(CONCURRENCY),
    "SHEAF_QUEUE_LENGTH": "40",
    "SHEAF_QUEUE_TIMEOUT_S": str(QUEUE_S),
}
LIVE = "/api/health/live"
HEAD = b"GET /api/products HTTP/1.1\r\nHost: sheaf.test\r\n"
LARGE = {"name": "x" * 200, "price": 1.0, "category": "tools", "description": "y" * 2000}
PIPELINED = 60
MARGIN_S = 3.0
"""What a busy machine may be late by."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home: Path = tmp_path_factory.mktemp("overload")
    with database(home) as mongodb, deployed(mongodb.uri, **LIMITS) as service:
        yield service


def connected(service: Service, *, receives_bytes: int | None = None) -> socket.socket:
    opened = socket.socket()
    if receives_bytes is not None:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives_bytes)
    address = urlsplit(service.url)
    opened.settimeout(10)
    opened.connect((address.hostname, address.port))
    return opened


def is_served(service: Service) -> bool:
    return httpx.get(service.url + LIVE, timeout=5).status_code == 200


def seconds_until_closed(opened: socket.socket, began_s: float) -> float:
    """Wait for the end of a connection, reading what comes."""
    try:
        while opened.recv(65_536):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - began_s


def trickle(opened: socket.socket) -> None:
    """Send a head line by line until the connection ends."""
    while True:
        opened.sendall(b"X-Padding: 1\r\n")
        time.sleep(0.1)


def test_connection_without_complete_request_ends_in_time(service: Service) -> None:
    """It sends nothing, half a line, half a head, that line by line, or nothing more after its request."""
    began_s = time.monotonic()
    connections = [connected(service) for _ in range(5)]
    for slow, sent in zip(connections, (b"", b"GET / HT", HEAD, HEAD + b"\r\n", HEAD), strict=True):
        slow.sendall(sent)
    assert is_served(service)
    with pytest.raises(OSError, match=r"reset|pipe"):
        trickle(connections[-1])
    for slow in connections:
        with closing(slow):
            assert 0.8 * IDLE_S < seconds_until_closed(slow, began_s) < (IDLE_S + MARGIN_S) * slowness()


def test_slow_bodies_delay_nobody_and_are_refused(service: Service) -> None:
    head = b"POST /api/products HTTP/1.1\r\nHost: sheaf.test\r\nContent-Type: application/json\r\n"
    signed = f"Authorization: {token()['Authorization']}\r\nContent-Length: 1000\r\n\r\n".encode()
    uploads = [connected(service) for _ in range(10 * CONCURRENCY)]
    for upload in uploads:
        upload.sendall(head + signed + b'{"name"')
    began_s = time.monotonic()
    asked = [httpx.get(f"{service.url}/api/products/{'0' * 24}", timeout=5) for _ in range(10)]
    assert {answer.status_code for answer in asked} == {404}
    for upload in uploads:
        answer = upload.recv(4096)
        assert answer.startswith(b"HTTP/1.1 400"), answer
        assert b"request.invalid" in answer
        upload.close()
    assert time.monotonic() - began_s < (BODY_S + MARGIN_S) * slowness()


async def test_unread_answer_is_given_up(service: Service) -> None:
    async with client(service) as http:
        made = [http.post("/api/products", json=LARGE, headers=token()) for _ in range(50)]
        created = [await each for each in made]
        assert {answer.status_code for answer in created} == {201}
        whole = await http.get("/api/products?limit=100", headers={"Accept-Encoding": "identity"})
    request = b"GET /api/products?limit=100 HTTP/1.1\r\nHost: sheaf.test\r\n\r\n"
    stalled = [connected(service, receives_bytes=2048) for _ in range(3)]
    for each in stalled:
        each.sendall(request * PIPELINED)  # more than all buffers between us hold
    began_s = time.monotonic()
    assert is_served(service)
    await asyncio.sleep(STALL_S + 1.5)
    received = []
    for each in stalled:
        with closing(each):
            received.append(await asyncio.to_thread(_drained, each))
    assert max(received) < PIPELINED * len(whole.content)
    assert time.monotonic() - began_s < (STALL_S + 2 + MARGIN_S) * slowness()


def _drained(opened: socket.socket) -> int:
    """Read what has come before the connection was ended, and count it."""
    size = 0
    try:
        while part := opened.recv(65_536):
            size += len(part)
    except ConnectionResetError:
        pass
    return size


async def test_connections_beyond_limit_wait_while_others_go_on(service: Service) -> None:
    async with client(service) as http:
        assert (await http.get(LIVE)).status_code == 200
        idle = [connected(service) for _ in range(CONNECTIONS + 20)]
        with within(IDLE_S):
            for _ in range(5):
                assert (await http.get(LIVE)).status_code == 200
        late = await asyncio.to_thread(is_served, service)  # as soon as the idle ones have ended
        assert late
        for each in idle:
            each.close()


@asynccontextmanager
async def flood(service: Service, path: str, clients: int) -> AsyncIterator[list[tuple[int, float]]]:
    """Ask again and again over so many connections; provides statuses with the seconds that they took."""
    told: list[tuple[int, float]] = []
    request = f"GET {path} HTTP/1.1\r\nHost: sheaf.test\r\n\r\n".encode()
    address = urlsplit(service.url)

    async def ask() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            while True:
                began_s = time.monotonic()
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                status = int(head.split()[1])
                told.append((status, time.monotonic() - began_s))
                if status == 503:
                    assert b"service.busy" in body
                    assert b"retry-after: " in head.lower()
        finally:
            writer.close()

    tasks = [asyncio.create_task(ask()) for _ in range(clients)]
    try:
        yield told
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(each) for each in ended} == {asyncio.CancelledError}, ended


async def test_overloaded_service_refuses_quickly_and_recovers_at_once(
    service: Service,
) -> None:
    async with client(service) as http:
        async with flood(service, "/api/products?limit=20&sort=price", 100) as told:
            await asyncio.sleep(1)
            with within(MARGIN_S / 2):
                assert (await http.get("/api/health/ready")).status_code == 200
                assert (await http.get(f"/api/products/{'0' * 24}")).status_code == 404  # what is not a list
            await asyncio.sleep(0.5)
        taken = [took_s for status, took_s in told if status == 200]
        assert {status for status, _ in told} == {200, 503}
        assert len(taken) > 20
        assert quantiles(taken, n=100)[98] < (QUEUE_S + MARGIN_S / 2) * slowness()
        await asyncio.sleep(QUEUE_S)
        answers = await asyncio.gather(*(http.get("/api/products") for _ in range(CONCURRENCY)))
        assert {answer.status_code for answer in answers} == {200}
