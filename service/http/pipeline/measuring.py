"""Measuring requests: counts and durations for Prometheus, and `Server-Timing` for browsers' tools."""

import time

from litestar.types import HTTPResponseStartEvent

from service.http.pipeline.headers import Headers
from service.http.pipeline.request_id import STATUS_ABORTED
from service.http.pipeline.step import HELD_FROM_S, Exchange, Step
from service.runtime import database_time
from service.runtime.metrics import Exchanges

BODIED = frozenset({"POST", "PUT", "PATCH", "DELETE"})
STATUS_TOO_LARGE = 413
LONGEST_LENGTH = 18
"""Digits of a `Content-Length` that is believed."""

DATABASE_TIME = "database_time"
QUEUE, LIMIT = "queue", "limit"
"""Names of what holds requests up, in their state and in the header."""

NOTHING = (0.0, 0.0)


class Measuring(Step):
    """Count every request when it is over, by the template of its route: never by what a client chooses.

    Of a WebSocket the handshake is what is measured.
    """

    kinds = ("http", "websocket")

    def __init__(self, exchanges: Exchanges) -> None:
        self._exchanges = exchanges

    def leave(self, exchange: Exchange) -> None:
        """Count it."""
        status = exchange.status or STATUS_ABORTED
        self._exchanges.note(
            (exchange.scope.get("path_template"), exchange.method, status),
            exchange.state.get(HELD_FROM_S, time.perf_counter()) - exchange.began_s,
            exchange.sent_bytes,
            _stated_bytes(exchange) if exchange.method in BODIED and status != STATUS_TOO_LARGE else 0,
        )


class ServerTiming(Step):
    """Add `Server-Timing` (W3C): the whole time, and in it queue, rate limits, database and the rest.

    For development: in production it would tell attackers what costs us how much, and whether an account or
    a document is there.
    """

    def enter(self, exchange: Exchange) -> None:
        """Begin to add up the database time."""
        exchange.state[DATABASE_TIME] = database_time.begin()

    def complete(self, exchange: Exchange, head: HTTPResponseStartEvent) -> None:
        """Add the header, as the last that is done before the head is sent."""
        state = exchange.state
        total_s = time.perf_counter() - exchange.began_s
        (queue_s, _), (limit_s, of_database_s) = state.get(QUEUE, NOTHING), state.get(LIMIT, NOTHING)
        queue_s, limit_s = max(0.0, queue_s), max(0.0, limit_s)
        database_s = max(0.0, state[DATABASE_TIME].seconds - max(0.0, of_database_s))
        metrics = (
            _metric("total", total_s, "whole answer"),
            _metric(QUEUE, queue_s, "waiting for a place"),
            _metric(LIMIT, limit_s, "rate limits"),
            _metric("db", database_s, "MongoDB"),
            _metric("app", max(0.0, total_s - queue_s - limit_s - database_s), "the rest"),
        )
        headers: Headers = head["headers"]  # type: ignore[assignment]  # the exchange has made it a list
        headers.append((b"server-timing", ", ".join(metrics).encode()))


class Mark(Step):
    """Stands before and after a step, and notes how long that takes: all, and what of it is the database."""

    def __init__(self, name: str) -> None:
        self._name = name

    def enter(self, exchange: Exchange) -> None:
        """Note when a request comes to the step, as less than nothing, and then how long it took."""
        state = exchange.state
        now_s, database_s = time.perf_counter(), state[DATABASE_TIME].seconds
        began = state.get(self._name)
        if began is None:
            state[self._name] = (-now_s, -database_s)
        else:
            state[self._name] = (now_s + began[0], database_s + began[1])


def _stated_bytes(exchange: Exchange) -> int:
    length = exchange.header(b"content-length")
    is_number = length is not None and length.isdigit() and len(length) <= LONGEST_LENGTH
    return int(length) if length is not None and is_number else 0


def _metric(name: str, seconds: float, description: str) -> str:
    """Write one metric; the unit is milliseconds.

    >>> _metric("db", 0.00123, "MongoDB")
    'db;dur=1.23;desc="MongoDB"'
    """
    return f'{name};dur={seconds * 1000:.2f};desc="{description}"'
