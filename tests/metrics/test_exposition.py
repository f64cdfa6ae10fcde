"""What Prometheus is given: the sums of all workers, well formed, that never go back."""

import time

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from service.runtime.metrics import SIZE_BYTES, Cells, Exposition, Meter, WorkerState, families
from service.runtime.metrics.families import FAMILIES

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]
ROUTE = "/api/{collection}"


class TwoWorkers:
    """Two workers, and a place for one that follows another."""

    def __init__(self) -> None:
        self.memories = [bytearray(SIZE_BYTES) for _ in range(3)]
        self.meters = [Meter(memory) for memory in self.memories[:2]]
        self.workers = [
            WorkerState(is_up=True, in_flight=2),
            WorkerState(is_up=True, in_flight=0),
            WorkerState(False, 0),
        ]
        self.replacements = 0
        cells = [*map(Cells, self.memories)]
        self.exposition = Exposition(cells, lambda: self.workers, 2, lambda: self.replacements)

    def replace(self, slot: int) -> None:
        """Have another process go on in a place."""
        self.meters[slot] = Meter(self.memories[slot])
        self.replacements += 1

    def sample(self) -> None:
        for number, meter in enumerate(self.meters):
            meter.sample([lambda number=number: [(families.TASKS, (), 5.0 + number)]])  # type: ignore[misc]

    @property
    def text(self) -> str:
        registry = CollectorRegistry()
        registry.register(self.exposition)
        return generate_latest(registry).decode()

    @property
    def series(self) -> Series:
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        return self.series.get((name, frozenset(labels.items())))


@pytest.fixture
def two_workers() -> TwoWorkers:
    return TwoWorkers()


def test_exposition_sums_requests_of_all_workers(two_workers: TwoWorkers) -> None:
    for meter in two_workers.meters:
        meter.exchanges.note((ROUTE, "GET", 200), 0.02, 100, 0)
        meter.exchanges.note((ROUTE, "GET", 404), 0.002, 10, 0)
    for status in ("200", "404"):
        assert two_workers.value("sheaf_http_requests_total", method="GET", route=ROUTE, status=status) == 2
    named = {"method": "GET", "route": ROUTE}
    name = "sheaf_http_request_duration_seconds"
    assert two_workers.value("sheaf_http_response_body_bytes_total", **named) == 220
    assert two_workers.value(f"{name}_count", **named, status_class="2xx") == 2
    assert two_workers.value(f"{name}_sum", **named, status_class="2xx") == pytest.approx(0.04)
    assert two_workers.value(f"{name}_bucket", **named, status_class="2xx", le="0.01") == 0
    assert two_workers.value(f"{name}_bucket", **named, status_class="2xx", le="0.025") == 2
    assert two_workers.value(f"{name}_bucket", **named, status_class="2xx", le="+Inf") == 2


def test_counters_never_decrease_when_workers_are_replaced(two_workers: TwoWorkers) -> None:
    two_workers.sample()
    counted = {name for name, family in FAMILIES.items() if family.kind != "gauge"}
    before: Series = {}
    for turn in range(6):
        two_workers.meters[turn % 2].exchanges.note((ROUTE, "GET", 200), 0.02, 100, 0)
        two_workers.meters[turn % 2].observer(families.LAG)(0.001 * turn)
        two_workers.replace((turn + 1) % 2)
        after = two_workers.series
        for key, value in before.items():
            is_counted = any(key[0].startswith(name) for name in counted) and "process_" not in key[0]
            assert not is_counted or after[key] >= value, key
        before = after
    assert two_workers.value("sheaf_http_requests_total", method="GET", route=ROUTE, status="200") == 6
    assert two_workers.value("sheaf_worker_replacements_total") == 6


def test_exposition_has_gauges_of_each_worker(two_workers: TwoWorkers) -> None:
    two_workers.sample()
    assert two_workers.value("sheaf_asyncio_tasks", worker="0") == 5
    assert two_workers.value("sheaf_asyncio_tasks", worker="1") == 6
    assert two_workers.value("sheaf_http_requests_in_flight", worker="0") == 2
    assert two_workers.value("sheaf_workers", state="up") == 2
    assert two_workers.value("sheaf_workers", state="wanted") == 2
    assert two_workers.value("process_resident_memory_bytes", worker="0") is not None
    assert two_workers.value("process_resident_memory_bytes", worker="2") is None


def test_silent_worker_has_no_gauges_but_old_timestamp(two_workers: TwoWorkers) -> None:
    two_workers.sample()
    long_ago_s = time.time() - 60
    two_workers.meters[0].cells.sampled_at_s = long_ago_s
    assert two_workers.value("sheaf_asyncio_tasks", worker="0") is None
    assert two_workers.value("sheaf_worker_sampled_timestamp_seconds", worker="0") == pytest.approx(
        long_ago_s
    )
    assert two_workers.value("sheaf_asyncio_tasks", worker="1") == 6


def test_dead_worker_has_no_gauges(two_workers: TwoWorkers) -> None:
    two_workers.sample()
    two_workers.workers[1] = WorkerState(is_up=False, in_flight=0)
    assert {
        dict(labels)["worker"]
        for (name, labels) in two_workers.series
        if "worker" in dict(labels) and name != "sheaf_workers"
    } == {"0", "main"}


def test_gauge_shared_by_instances_is_exposed_once(two_workers: TwoWorkers) -> None:
    for number, meter in enumerate(two_workers.meters):
        meter.sample([lambda number=number: [(families.MAILS, ("waiting",), number + 3.0)]])  # type: ignore[misc]
    assert two_workers.value("sheaf_mails", state="waiting") == 4


def test_exposition_is_readable_by_prometheus_and_openmetrics(two_workers: TwoWorkers) -> None:
    two_workers.sample()
    two_workers.meters[0].exchanges.note((ROUTE, "GET", 200), 0.02, 100, 0)
    registry = CollectorRegistry()
    registry.register(two_workers.exposition)
    text = generate_openmetrics(registry).decode()  # type: ignore[no-untyped-call]
    openmetrics = list(parse_openmetrics(text))  # type: ignore[no-untyped-call]
    assert text.endswith("# EOF\n")
    assert len(openmetrics) > 15
    read = {family.name: family.samples for family in text_string_to_metric_families(two_workers.text)}
    assert {family.name for family in openmetrics} == set(read)
    assert [len(family.samples) for family in openmetrics] == [*map(len, read.values())]


def test_single_metric_can_be_requested_by_name(two_workers: TwoWorkers) -> None:
    registry = CollectorRegistry()
    registry.register(two_workers.exposition)
    text = generate_latest(registry.restricted_registry(["sheaf_workers"])).decode()
    assert {line.split("{")[0] for line in text.splitlines() if line[0] != "#"} == {"sheaf_workers"}
