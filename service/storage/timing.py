"""Timing what does not run in the threads for the driver's calls, for the log of slow queries."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from service.storage.calls import Slow
from service.storage.database import calls_of


@contextmanager
def timed(documents: Any, command: Mapping[str, Any]) -> Iterator[None]:
    """Have what runs within `with` told of if it is slow: a command for the driver's collection."""
    began_s = perf_counter()
    try:
        yield
    finally:
        calls, took_s = calls_of(documents), perf_counter() - began_s
        if took_s >= calls.slow_s and calls.on_slow is not None:
            calls.on_slow(Slow("others", command, 1, took_s))
