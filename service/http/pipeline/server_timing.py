"""Telling in each answer where its time went, for the tools of browsers (W3C Server Timing)."""

from time import perf_counter

from litestar.types import HTTPResponseStartEvent

from service.http.pipeline.exchange import Exchange
from service.http.pipeline.headers import Headers
from service.http.pipeline.step import Step
from service.runtime import waits

WAITS = "waits"
QUEUE, LIMIT = "queue", "limit"
"""Names of what holds requests up, in their state and in the header."""

NOTHING = (0.0, 0.0)


class ServerTiming(Step):
    """Adds `Server-Timing`: the whole time, and in it the queue, the rate limits, the database and the rest.

    For development: in production it would tell attackers what costs us how much, and whether an account or
    a document is there.
    """

    def enter(self, exchange: Exchange) -> None:
        """Begin to add up what is waited for."""
        exchange.state[WAITS] = waits.begin()

    def complete(self, exchange: Exchange, head: HTTPResponseStartEvent) -> None:
        """Tell, as the last that is done before the head is sent."""
        state = exchange.state
        total_s = perf_counter() - exchange.began_s
        (queue_s, _), (limit_s, of_database_s) = state.get(QUEUE, NOTHING), state.get(LIMIT, NOTHING)
        queue_s, limit_s = max(0.0, queue_s), max(0.0, limit_s)
        database_s = max(0.0, state[WAITS].seconds - max(0.0, of_database_s))
        told = (
            _metric("total", total_s, "whole answer"),
            _metric(QUEUE, queue_s, "waiting for a place"),
            _metric(LIMIT, limit_s, "rate limits"),
            _metric("db", database_s, "MongoDB"),
            _metric("app", max(0.0, total_s - queue_s - limit_s - database_s), "the rest"),
        )
        headers: Headers = head["headers"]  # type: ignore[assignment]  # the exchange has made it a list
        headers.append((b"server-timing", ", ".join(told).encode()))


class Mark(Step):
    """Stands before and after a step, and notes how long that takes: all, and what of it is the database."""

    def __init__(self, name: str) -> None:
        self._name = name

    def enter(self, exchange: Exchange) -> None:
        """Note when a request comes to the step, as less than nothing, and then how long it took."""
        state = exchange.state
        now_s, database_s = perf_counter(), state[WAITS].seconds
        began = state.get(self._name)
        if began is None:
            state[self._name] = (-now_s, -database_s)
        else:
            state[self._name] = (now_s + began[0], database_s + began[1])


def _metric(name: str, seconds: float, description: str) -> str:
    """Write one metric; the unit is milliseconds.

    >>> _metric("db", 0.00123, "MongoDB")
    'db;dur=1.23;desc="MongoDB"'
    """
    return f'{name};dur={seconds * 1000:.2f};desc="{description}"'
