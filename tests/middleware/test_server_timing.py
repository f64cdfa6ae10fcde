"""Answers tell where their time went, in a form that browsers read."""

import asyncio
import re
import time
from typing import NamedTuple

import httpx
import pytest
from litestar.types import Receive, Scope, Send

from service.http.pipeline.measuring import LIMIT, QUEUE, Mark, ServerTiming
from service.http.pipeline.step import Exchange, Step
from service.http.problems import Failures
from service.kit.errors import RateLimited
from service.runtime import database_time
from tests.middleware.apps import answering, get, raising, wrap

NAMES = ["total", "queue", "limit", "db", "app"]
TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
PARAMETER = re.compile(rf';\s*({TOKEN})\s*=\s*("(?:[^"\\]|\\.)*"|{TOKEN})\s*')
METRIC = re.compile(rf"\s*({TOKEN})\s*((?:{PARAMETER.pattern})*)(?:,|$)")


class Metric(NamedTuple):
    """What a page sees as `PerformanceServerTiming`."""

    duration_ms: float
    description: str


def read(answer: httpx.Response) -> dict[str, Metric]:
    """Read the header as the specification says: https://w3c.github.io/server-timing/#parsing."""
    value, found = answer.headers["server-timing"], {}
    while value:
        matched = METRIC.match(value)
        assert matched is not None, value
        parameters = {name: given.strip('"') for name, given in PARAMETER.findall(matched[2])}
        found[matched[1]] = Metric(float(parameters["dur"]), parameters["desc"])
        value = value[matched.end() :]
    return found


class Slow(Step):
    """A step that takes long, some of it for the database."""

    def enter(self, _: Exchange) -> None:
        time.sleep(0.05)
        with database_time.counted():
            time.sleep(0.1)


async def test_server_timing_has_database_time_and_the_rest() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with database_time.counted():
            await asyncio.sleep(0.03)
        await asyncio.sleep(0.01)
        await answering()(scope, receive, send)

    told = read(await get(wrap(app, ServerTiming())))
    assert list(told) == NAMES
    assert told["total"].duration_ms == pytest.approx(
        sum(told[name].duration_ms for name in NAMES[1:]), abs=0.1
    )
    assert told["db"].duration_ms >= 29
    assert told["app"].duration_ms >= 9
    assert told["db"].description == "MongoDB"


async def test_database_time_of_concurrent_tasks_counts_once() -> None:
    async def wait() -> None:
        with database_time.counted():
            await asyncio.sleep(0.03)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.gather(wait(), wait(), wait())
        await answering()(scope, receive, send)

    told = read(await get(wrap(app, ServerTiming())))
    assert 29 <= told["db"].duration_ms <= told["total"].duration_ms


async def test_database_time_of_rate_limits_counts_as_limit() -> None:
    told = read(await get(wrap(answering(), ServerTiming(), Mark(LIMIT), Slow(), Mark(LIMIT))))
    assert told["limit"].duration_ms >= 149
    assert told["db"].duration_ms == 0
    assert told["app"].duration_ms < 100


async def test_refused_request_has_server_timing() -> None:
    steps = (ServerTiming(), Failures(), Mark(QUEUE), Mark(QUEUE), Mark(LIMIT))
    told = read(await get(wrap(raising(RateLimited("no")), *steps)))
    assert list(told) == NAMES
    assert told["limit"].duration_ms == 0


async def test_concurrent_requests_have_separate_database_times() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with database_time.counted():
            await asyncio.sleep(0.15 if scope["path"] == "/slow" else 0)
        await answering()(scope, receive, send)

    wrapped = wrap(app, ServerTiming())
    slow, quick = await asyncio.gather(get(wrapped, "/slow"), get(wrapped, "/quick"))
    assert read(slow)["db"].duration_ms >= 149
    assert read(quick)["db"].duration_ms < 100


async def test_database_time_outside_of_measured_request_is_not_counted() -> None:
    with database_time.counted() as present:
        assert present is None
