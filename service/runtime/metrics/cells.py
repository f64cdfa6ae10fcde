"""Numbers in memory that processes share: one worker writes them, whoever asks reads them; requests too."""

from bisect import bisect_left
from collections.abc import Iterator
from http import HTTPMethod
from typing import Any

from service.runtime.metrics.families import DURATIONS_S

HEAD_CELLS = 4
MAXIMUM_ENTRIES = 1024
KEY_BYTES = 184
MAXIMUM_CELLS = 16_384

_COUNT, _PID, _SAMPLED_AT_S = range(3)
_CELL_BYTES = 8
_LENGTH_BYTES = 2
_ENTRY_BYTES = 2 * _LENGTH_BYTES + KEY_BYTES
_KEYS_FROM = HEAD_CELLS * _CELL_BYTES
_CELLS_FROM = _KEYS_FROM + MAXIMUM_ENTRIES * _ENTRY_BYTES
_SEPARATOR = "\x1f"

SIZE_BYTES = _CELLS_FROM + MAXIMUM_CELLS * _CELL_BYTES

Key = tuple[str, ...]


class Cells:
    """Named runs of numbers in a piece of memory, which outlives the process that writes them.

    Whoever takes the memory over goes on with the numbers that are there: what a worker has counted stays
    counted when it is killed and replaced, so that no sum ever goes back. One process writes; others read at
    any time, for an aligned number of 8 bytes is written at once.

    >>> memory = bytearray(SIZE_BYTES)
    >>> written = Cells(memory); index = written.index_of(("requests", "GET"), 1); written.values[index] += 1
    >>> successor = Cells(memory); successor.values[successor.index_of(("requests", "GET"), 1)] += 1
    >>> [(key, list(values)) for key, values in Cells(memory).read()]
    [(('requests', 'GET'), [2.0])]
    """

    def __init__(self, memory: Any = None) -> None:
        whole = memoryview(bytearray(SIZE_BYTES) if memory is None else memory).cast("B")
        self._head = whole[:_KEYS_FROM].cast("d")
        self._entries = whole[_KEYS_FROM:_CELLS_FROM]
        self.values = whole[_CELLS_FROM:SIZE_BYTES].cast("d")
        self._indexes: dict[Key, int] = {}
        self._used = 0
        for key, index, width in self._written():
            self._indexes[key] = index
            self._used = index + width

    @property
    def pid(self) -> int:
        """The process that writes, 0 if there was none yet."""
        return int(self._head[_PID])

    @pid.setter
    def pid(self, pid: int) -> None:
        self._head[_PID] = pid

    @property
    def sampled_at_s(self) -> float:
        """When gauges were last written, in seconds since 1970; 0 if that is to come."""
        return self._head[_SAMPLED_AT_S]

    @sampled_at_s.setter
    def sampled_at_s(self, time_s: float) -> None:
        self._head[_SAMPLED_AT_S] = time_s

    def index_of(self, key: Key, width: int) -> int | None:
        """Return the index in `values` of a key's first cell, made with zeros at first; None without room."""
        index = self._indexes.get(key)
        return self._add(key, width) if index is None else index

    def read(self) -> Iterator[tuple[Key, "memoryview[float]"]]:
        """Yield every key with its cells as they are now."""
        for key, index, width in self._written():
            yield key, self.values[index : index + width]

    def _add(self, key: Key, width: int) -> int | None:
        text = _SEPARATOR.join(key).encode()
        count, index = int(self._head[_COUNT]), self._used
        if count == MAXIMUM_ENTRIES or len(text) > KEY_BYTES or index + width > MAXIMUM_CELLS:
            return None
        lengths = len(text).to_bytes(_LENGTH_BYTES) + width.to_bytes(_LENGTH_BYTES)
        start = count * _ENTRY_BYTES
        self._entries[start : start + len(lengths) + len(text)] = lengths + text
        self._head[_COUNT] = count + 1  # last: until then nobody reads the entry
        self._indexes[key] = index
        self._used = index + width
        return index

    def _written(self) -> Iterator[tuple[Key, int, int]]:
        index = 0
        for start in range(0, int(self._head[_COUNT]) * _ENTRY_BYTES, _ENTRY_BYTES):
            key_from = start + 2 * _LENGTH_BYTES
            length = int.from_bytes(self._entries[start : start + _LENGTH_BYTES])
            width = int.from_bytes(self._entries[start + _LENGTH_BYTES : key_from])
            text = bytes(self._entries[key_from : key_from + length]).decode()
            yield tuple(text.split(_SEPARATOR)), index, width
            index += width


EXCHANGES = "http"
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
            return self._cells.index_of((EXCHANGES, OTHER, route or NO_ROUTE, str(status)), WIDTH)
        if len(self._rows) < MAXIMUM_ROWS:
            row = self._cells.index_of((EXCHANGES, method, route or NO_ROUTE, str(status)), WIDTH)
            if row is not None:
                self._rows[route, method, status] = row
                return row
        return self._cells.index_of((EXCHANGES, OTHER, OTHER, OTHER), WIDTH)
