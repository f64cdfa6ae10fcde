"""Counting requests and how long they take, for Prometheus."""

import time

from service.http.pipeline.exchange import Exchange
from service.http.pipeline.request_id import STATUS_ABORTED
from service.http.pipeline.step import Step
from service.runtime.metrics import Exchanges

BODIED = frozenset({"POST", "PUT", "PATCH", "DELETE"})
STATUS_TOO_LARGE = 413
LONGEST_LENGTH = 18
"""Digits of a `Content-Length` that is believed."""


class Measuring(Step):
    """Note every request when it is over, by the template of its route: never by what a client chooses."""

    def __init__(self, exchanges: Exchanges) -> None:
        self._exchanges = exchanges

    def leave(self, exchange: Exchange) -> None:
        """Note it."""
        status = exchange.status or STATUS_ABORTED
        self._exchanges.note(
            (exchange.scope.get("path_template"), exchange.method, status),
            time.perf_counter() - exchange.began_s,
            exchange.sent_bytes,
            _stated_bytes(exchange) if exchange.method in BODIED and status != STATUS_TOO_LARGE else 0,
        )


def _stated_bytes(exchange: Exchange) -> int:
    length = exchange.header(b"content-length")
    is_number = length is not None and length.isdigit() and len(length) <= LONGEST_LENGTH
    return int(length) if length is not None and is_number else 0
