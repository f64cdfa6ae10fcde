"""Counting requests: the one thing that is measured while a request runs, so it costs next to nothing."""

from bisect import bisect_left
from http import HTTPMethod

from service.runtime.metrics.cells import Cells
from service.runtime.metrics.families import DURATIONS_S

NAME = "http"
"""First part of the keys; then method, route, status. Its cells become several metrics at a scrape."""

SUM_S = len(DURATIONS_S) + 1
SENT_BYTES = SUM_S + 1
RECEIVED_BYTES = SENT_BYTES + 1
WIDTH = RECEIVED_BYTES + 1

NO_ROUTE = "none"
OTHER = "other"
METHODS = frozenset(HTTPMethod)

Kind = tuple[str | None, str, int]
"""Route (None if none was reached), method and status."""

MAXIMUM_ROWS = 800
"""Combinations of method, route and status; what is beyond is counted as `other`."""


class Exchanges:
    """How many requests took how long, by method, route and status; a route is a template, never a path.

    A call costs some 0.4 µs, where a histogram of Prometheus' own library takes seven times as much.
    """

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._values = cells.values
        self._rows: dict[Kind, int] = {}

    def note(self, kind: Kind, duration_s: float, sent_bytes: int, received_bytes: int) -> None:
        """Count a request that is over."""
        row = self._rows.get(kind)
        if row is None:
            row = self._row(*kind)
            if row is None:
                return
        values = self._values
        values[row + bisect_left(DURATIONS_S, duration_s)] += 1.0
        values[row + SUM_S] += duration_s
        values[row + SENT_BYTES] += sent_bytes
        if received_bytes:
            values[row + RECEIVED_BYTES] += received_bytes

    def _row(self, route: str | None, method: str, status: int) -> int | None:
        if method not in METHODS:  # a client's own word: it may make up any number of them
            return self._cells.index_of((NAME, OTHER, route or NO_ROUTE, str(status)), WIDTH)
        if len(self._rows) < MAXIMUM_ROWS:
            row = self._cells.index_of((NAME, method, route or NO_ROUTE, str(status)), WIDTH)
            if row is not None:
                self._rows[route, method, status] = row
                return row
        return self._cells.index_of((NAME, OTHER, OTHER, OTHER), WIDTH)
