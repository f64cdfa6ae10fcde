"""How fast the machine's cores are at the moment: what neighbours on the same silicon leave of them."""

import os
import statistics
import threading
import time
from types import TracebackType
from typing import Self

INTERVAL_S = 0.05
STEPS = 12_000
"""Of the loop that is timed: about a millisecond, so that it takes 2 % of a core."""


class Pace:
    """Times a fixed loop on every core, by its own CPU time, while it is open; `us` is the median after."""

    us: float

    def __init__(self) -> None:
        self._over = threading.Event()
        self._samples_s: list[float] = []
        cores: list[int | None] = [None]
        if hasattr(os, "sched_getaffinity"):
            cores = list(os.sched_getaffinity(0))
        self._threads = [threading.Thread(target=self._sample, args=(core,)) for core in cores]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self.us = statistics.median(self._samples_s) * 1e6

    def _sample(self, core: int | None) -> None:
        if core is not None:
            os.sched_setaffinity(0, {core})
        while True:
            began_s = time.thread_time()
            total = 0
            for step in range(STEPS):
                total += step
            self._samples_s.append(time.thread_time() - began_s)
            if self._over.wait(INTERVAL_S):
                return
