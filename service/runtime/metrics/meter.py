"""What a worker reports once a second: the numbers that its parts keep anyway."""

import asyncio
import math
import os
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import structlog

from service.kit.tasks import background
from service.runtime.metrics.cells import Cells, Exchanges, Key
from service.runtime.metrics.families import FAMILIES, LAG, TASKS, Family

INTERVAL_S = 1.0
LAGS_PER_INTERVAL = 4
"""How often within an interval the lag of the event loop is measured."""

Sample = tuple[Family, tuple[str, ...], float]
"""A metric, the values of its labels (but for `worker`), and its value or, of a counter, the count so far."""

Source = Callable[[], Iterable[Sample]]

log = structlog.get_logger("sheaf.metrics")


class Meter:
    """The measures of one worker process; `sources` are asked for theirs each second.

    Sources count from when their process started, while a worker goes on with the counts of the one that it
    replaces: so what is added is what a count has grown by.
    """

    def __init__(self, memory: object = None) -> None:
        self.share(memory)

    @classmethod
    def of_process(cls) -> "Meter":
        """Return the meter whose numbers the server of this process, if there is one, gives to Prometheus."""
        return _OF_PROCESS

    def share(self, memory: object) -> None:
        """Write into this memory from now on, as the successor of whoever did before."""
        self.cells = Cells(memory)
        self.exchanges = Exchanges(self.cells)
        self._counts: dict[tuple[str, tuple[str, ...]], float] = {}
        self._forget_gauges()
        self.cells.pid = os.getpid()

    def sample(self, sources: Iterable[Source]) -> None:
        """Write what the sources report; one that fails is logged, and missing."""
        for source in sources:
            try:
                for family, labels, value in source():
                    self._write(family, labels, value)
            except Exception:
                log.exception("a metric cannot be read")
        self.cells.sampled_at_s = time.time()

    def observer(self, family: Family, *labels: str) -> Callable[[float], None]:
        """Return a function that counts a value in a histogram; without room it counts nothing."""
        bounds, values = family.bounds, self.cells.values
        index = self.cells.index_of((family.name, *labels), len(bounds) + 2)
        if index is None:
            return lambda _: None
        sum_at = index + len(bounds) + 1

        def observe(value: float) -> None:
            values[index + bisect_left(bounds, value)] += 1.0
            values[sum_at] += value

        return observe

    @asynccontextmanager
    async def sampling(self, sources: Iterable[Source]) -> AsyncIterator[None]:
        """Sample each second until the context ends, and then once more."""
        every = (_tasks, *sources)
        try:
            async with background(self._run(every), "metrics"):
                yield
        finally:
            self.sample(every)

    async def _run(self, sources: tuple[Source, ...]) -> None:
        pause_s = INTERVAL_S / LAGS_PER_INTERVAL
        observe_lag = self.observer(LAG)
        while True:
            self.sample(sources)
            for _ in range(LAGS_PER_INTERVAL):
                asked_at_s = time.monotonic()
                await asyncio.sleep(pause_s)
                observe_lag(max(0.0, time.monotonic() - asked_at_s - pause_s))

    def _write(self, family: Family, labels: tuple[str, ...], value: float) -> None:
        index = self.cells.index_of((family.name, *labels), 1)
        if index is None:
            return
        if family.kind == "gauge":
            self.cells.values[index] = value
        else:
            before = self._counts.get((family.name, labels), 0.0)
            self._counts[family.name, labels] = value
            self.cells.values[index] += max(0.0, value - before)

    def _forget_gauges(self) -> None:
        """Unset what a predecessor was like."""
        for key, values in self.cells.read():
            if is_gauge(key):
                values[0] = math.nan
        self.cells.sampled_at_s = 0.0


def is_gauge(key: Key) -> bool:
    """Return whether a key is that of a gauge."""
    family = FAMILIES.get(key[0])
    return family is not None and family.kind == "gauge"


def _tasks() -> Iterable[Sample]:
    yield TASKS, (), len(asyncio.all_tasks())


_OF_PROCESS = Meter()
