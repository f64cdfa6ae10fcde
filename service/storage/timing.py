"""Timing what does not run in the threads for the driver's calls, for the log of slow queries."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from service.storage.database import pools_of
from service.storage.thread_pools import SlowCall


@contextmanager
def timed(documents: Any, command: Mapping[str, Any]) -> Iterator[None]:
    """Have what runs within `with` told of if it is slow: a command for the driver's collection."""
    began_s = perf_counter()
    try:
        yield
    finally:
        pools, took_s = pools_of(documents), perf_counter() - began_s
        if took_s >= pools.slow_s and pools.on_slow is not None:
            pools.on_slow(SlowCall("others", command, 1, took_s))
