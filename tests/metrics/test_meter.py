"""What parts of a worker count is told once a second, and never forgotten."""

import asyncio
import math
from collections.abc import Iterable

from structlog.testing import capture_logs

from service.runtime.metrics import families, meter
from service.runtime.metrics.cells import SIZE_BYTES
from service.runtime.metrics.meter import Meter, Sample

Told = dict[tuple[str, ...], float]


def told(measured: Meter) -> Told:
    return {key: values[0] for key, values in measured.cells.read()}


def counting(*counts: float) -> meter.Source:
    """Return a source of a counter that tells these counts, one at a time."""
    following = iter(counts)
    return lambda: [(families.SHED, (), next(following))]


def test_counter_grows_by_difference_of_its_source() -> None:
    measured = Meter()
    source = counting(3, 3, 10)
    for _ in range(3):
        measured.sample([source])
    assert told(measured) == {(families.SHED.name,): 10}


def test_successor_adds_to_counts_of_predecessor() -> None:
    memory = bytearray(SIZE_BYTES)
    Meter(memory).sample([counting(7)])
    successor = Meter(memory)
    assert told(successor) == {(families.SHED.name,): 7}
    successor.sample([counting(2)])
    assert told(successor) == {(families.SHED.name,): 9}


def test_successor_does_not_keep_gauges_of_predecessor() -> None:
    memory = bytearray(SIZE_BYTES)
    before = Meter(memory)
    before.sample([lambda: [(families.TASKS, (), 12.0)]])
    assert before.cells.sampled_at_s > 0
    successor = Meter(memory)
    assert math.isnan(told(successor)[families.TASKS.name,])
    assert successor.cells.sampled_at_s == 0


def test_failing_source_does_not_stop_other_sources() -> None:
    def broken() -> Iterable[Sample]:
        raise ZeroDivisionError

    measured = Meter()
    with capture_logs() as lines:
        measured.sample([broken, counting(1)])
    assert told(measured) == {(families.SHED.name,): 1}
    assert [line["event"] for line in lines] == ["a metric cannot be read"]


async def test_sources_are_sampled_at_start_each_second_and_end() -> None:
    measured = Meter()
    async with measured.sampling([counting(1, 5, 6, 6)]):
        await asyncio.sleep(0.01)
        first = told(measured)
    assert first[families.SHED.name,] == 1
    assert first[families.TASKS.name,] >= 2
    assert told(measured)[families.SHED.name,] == 5
