"""What workers have written into their cells, as Prometheus takes it."""

import math
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from itertools import accumulate
from typing import Any

from prometheus_client import Metric
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from service.runtime.metrics import families
from service.runtime.metrics.cells import EXCHANGES, RECEIVED_BYTES, SENT_BYTES, Cells
from service.runtime.metrics.families import FAMILIES, WORKER, Family

SILENT_S = 10.0
"""After how long without news a worker's gauges are left out: they say nothing about now."""

DISTRIBUTION = "sheaf-api"
MAIN = "main"

Labels = tuple[str, ...]
Numbers = dict[str, dict[Labels, list[float]]]
"""By metric and labels: one number, or of a histogram the count in each bucket and the sum of all values."""


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker process as the main process sees it."""

    is_up: bool
    in_flight: int


@dataclass(eq=False)
class Exposition(Collector):
    """All metrics of a service: the sums of what its workers have counted, and the state of each.

    `cells` are those of each worker by its slot, `workers` how they are now, in the same order; a slot may
    be free. `wanted` is how many are to run.
    """

    cells: Sequence[Cells]
    workers: Callable[[], Sequence[WorkerState]]
    wanted: int
    replacements: Callable[[], int]
    _processes: dict[str, ProcessCollector] = field(init=False)

    def __post_init__(self) -> None:
        """Prepare to read what the system reports about each process."""
        self._processes = {MAIN: ProcessCollector(registry=None)}
        for slot, cells in enumerate(self.cells):
            self._processes[str(slot)] = ProcessCollector(pid=_pid_of(cells), registry=None)

    def describe(self) -> Iterator[Metric]:
        """Yield every metric without its series."""
        yield from map(_metric, FAMILIES.values())

    def collect(self) -> Iterator[Metric]:
        """Yield every metric that has series."""
        numbers: Numbers = defaultdict(dict)
        workers = self.workers()
        for slot, (cells, worker) in enumerate(zip(self.cells, workers, strict=True)):
            _read(numbers, str(slot), cells, worker)
        self._add_own(numbers, workers)
        for name, series in self._of_processes(workers):
            numbers[name].update(series)
        for name, family in FAMILIES.items():
            metric = _metric(family)
            for labels, values in sorted(numbers[name].items()):
                _add_series(metric, family, labels, values)
            if metric.samples:
                yield metric

    def _add_own(self, numbers: Numbers, workers: Sequence[WorkerState]) -> None:
        """Add what only the main process knows."""
        up = sum(worker.is_up for worker in workers)
        numbers[families.WORKERS.name] = {("wanted",): [float(self.wanted)], ("up",): [float(up)]}
        numbers[families.REPLACEMENTS.name][()] = [float(self.replacements())]
        numbers[families.BUILD.name][metadata.version(DISTRIBUTION), platform.python_version()] = [1.0]
        for slot, (cells, worker) in enumerate(zip(self.cells, workers, strict=True)):
            if worker.is_up:
                numbers[families.IN_FLIGHT.name][str(slot),] = [float(worker.in_flight)]
                numbers[families.SAMPLED_AT.name][str(slot),] = [cells.sampled_at_s]

    def _of_processes(
        self, workers: Sequence[WorkerState]
    ) -> Iterator[tuple[str, dict[Labels, list[float]]]]:
        gone = {str(slot) for slot, worker in enumerate(workers) if not worker.is_up}
        for worker, process in self._processes.items():
            for metric in () if worker in gone else process.collect():
                for sample in metric.samples:
                    yield sample.name, {(worker,): [sample.value]}


def _pid_of(cells: Cells) -> Callable[[], int]:
    return lambda: cells.pid or -1


def _read(numbers: Numbers, slot: str, cells: Cells, worker: WorkerState) -> None:
    """Add what one worker has written."""
    is_fresh = worker.is_up and time.time() - cells.sampled_at_s < SILENT_S
    for (name, *labels), values in cells.read():
        if name == EXCHANGES:
            _read_exchanges(numbers, labels, list(values))
        elif (family := FAMILIES.get(name)) is not None:
            if family.kind != "gauge":
                _sum(numbers[name], tuple(labels), values)
            elif is_fresh and not math.isnan(values[0]):
                _read_gauge(numbers, family, (slot, *labels), values[0])


def _read_gauge(numbers: Numbers, family: Family, labels: Labels, value: float) -> None:
    """Add a worker's gauge; of what all instances share, the most that one of them knows of."""
    if WORKER in family.labels:
        numbers[family.name][labels] = [value]
    else:
        known = numbers[family.name].get(labels[1:], [value])
        numbers[family.name][labels[1:]] = [max(known[0], value)]


def _read_exchanges(numbers: Numbers, labels: list[str], values: list[float]) -> None:
    """Add requests of one method, route and status to the metrics that are made of them."""
    method, route, status = labels
    spread = values[:SENT_BYTES]
    _sum(numbers[families.REQUESTS.name], (method, route, status), [sum(spread[:-1])])
    status_class = f"{status[0]}xx" if status.isdigit() else status
    _sum(numbers[families.DURATION.name], (method, route, status_class), spread)
    _sum(numbers[families.SENT.name], (method, route), [values[SENT_BYTES]])
    _sum(numbers[families.RECEIVED.name], (method, route), [values[RECEIVED_BYTES]])


def _sum(series: dict[Labels, list[float]], labels: Labels, values: Iterable[float]) -> None:
    known = series.get(labels)
    added = list(values)
    series[labels] = added if known is None else [a + b for a, b in zip(known, added, strict=True)]


def _metric(family: Family) -> Any:
    classes: dict[str, Any] = {
        "counter": CounterMetricFamily,
        "gauge": GaugeMetricFamily,
        "histogram": HistogramMetricFamily,
    }
    return classes[family.kind](family.name, family.meaning, labels=family.labels)


def _add_series(metric: Any, family: Family, labels: Labels, values: list[float]) -> None:
    if family.kind == "histogram":
        bounds = [*map(floatToGoString, family.bounds), "+Inf"]
        metric.add_metric(labels, list(zip(bounds, accumulate(values[:-1]), strict=True)), values[-1])
    else:
        metric.add_metric(labels, values[0])
