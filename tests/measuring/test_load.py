"""The load generator counts right answers only, and every other one by its kind."""

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.measuring import load
from scripts.measuring.load import Job, Outcome

GOOD = b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"data":{}}'
REQUEST = ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200, '{"data":', 8)

Write = Callable[[asyncio.StreamWriter, int], Awaitable[None]]


@asynccontextmanager
async def serving(write: Write) -> AsyncIterator[int]:
    """Serve on a free port: `write` answers the request of the given number."""
    seen = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        try:
            while not writer.is_closing() and await reader.readuntil(b"\r\n\r\n"):
                seen += 1
                await write(writer, seen)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def measured(write: Write, count: int = 60, connections: int = 4) -> Outcome:
    async with serving(write) as port:
        processes = {"server": [os.getpid()]}
        job = Job("127.0.0.1", port, connections, 5.0, 0.0, [REQUEST], processes, count)
        return await load.measure(job)


async def test_correct_responses_are_counted_and_timed() -> None:
    async def write(writer: asyncio.StreamWriter, _: int) -> None:
        await asyncio.sleep(0.002)
        writer.write(GOOD)

    began = time.perf_counter()
    outcome = await measured(write)
    assert (outcome.requests, outcome.errors) == (60, {})
    assert 2_000 <= outcome.p50_us <= outcome.p99_us <= (time.perf_counter() - began) * 1e6
    assert set(outcome.cpu_us) == {"server", "generator"}
    assert outcome.cpu_us["generator"] > 0


async def test_response_in_pieces_is_assembled() -> None:
    async def write(writer: asyncio.StreamWriter, _: int) -> None:
        for start in range(0, len(GOOD), 7):
            writer.write(GOOD[start : start + 7])
            await writer.drain()
            await asyncio.sleep(0)

    outcome = await measured(write, count=20)
    assert (outcome.requests, outcome.errors) == (20, {})


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (b"HTTP/1.1 503 \r\ncontent-length: 0\r\n\r\n", "status 503"),
        (b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"fail":{}}', "wrong shape"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "wrong shape"),
        (GOOD + GOOD, "more than was asked for"),
    ],
)
async def test_wrong_responses_are_counted_by_kind(wrong: bytes, kind: str) -> None:
    async def write(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(wrong if number % 10 == 0 else GOOD)

    outcome = await measured(write)
    assert (outcome.requests, outcome.errors) == (54, {kind: 6})


async def test_closed_connection_is_counted_and_replaced() -> None:
    async def write(writer: asyncio.StreamWriter, number: int) -> None:
        if number % 10 == 0:
            writer.close()
        else:
            writer.write(GOOD)

    outcome = await measured(write)
    assert outcome.requests == 54
    assert outcome.errors == {"connection closed": 6}


async def test_unresponsive_service_ends_run_with_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "PATIENCE_S", 0.2)

    async def write(_: asyncio.StreamWriter, __: int) -> None:
        await asyncio.sleep(2)

    async with serving(write) as port:
        job = Job("127.0.0.1", port, 3, 0.05, 0.0, [REQUEST])
        outcome = await load.measure(job)
    assert (outcome.requests, outcome.errors) == (0, {"timeout": 3})


async def test_warm_up_requests_are_not_counted() -> None:
    asked = 0

    async def write(writer: asyncio.StreamWriter, number: int) -> None:
        nonlocal asked
        asked = number
        writer.write(GOOD)

    async with serving(write) as port:
        job = Job("127.0.0.1", port, 2, 5.0, 0.05, [REQUEST], {}, 10)
        outcome = await load.measure(job)
    assert outcome.requests == 10
    assert asked > 10


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200))
def test_percentiles_are_measured_values(values: list[float]) -> None:
    ordered = sorted(values)
    assert load.percentile(ordered, 0.5) == statistics.median_low(ordered)
    for share in (0.5, 0.9, 0.99):
        value = load.percentile(ordered, share)
        assert value in ordered
        assert sum(each <= value for each in ordered) >= share * len(ordered)


def test_percentile_of_empty_list_is_zero() -> None:
    assert load.percentile([], 0.99) == 0.0
