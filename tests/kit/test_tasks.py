"""Tasks in the background, and work that lets others go on."""

import asyncio
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from service.kit import tasks
from service.kit.tasks import Breather, background, comes_in_time


async def forever(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("ended")


async def test_background_task_runs_until_the_context_ends() -> None:
    ended: list[str] = []
    async with background(forever(ended), "waiting"):
        await asyncio.sleep(0)
        assert "waiting" in {task.get_name() for task in asyncio.all_tasks()}
        assert ended == []
    assert ended == ["ended"]


async def test_background_task_ends_when_the_context_raises() -> None:
    ended: list[str] = []

    async def fail() -> None:
        async with background(forever(ended), "waiting"):
            await asyncio.sleep(0)
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert ended == ["ended"]


async def test_background_task_that_ignores_a_cancellation_is_cancelled_again() -> None:
    cancellations = 0

    async def stubborn() -> None:
        nonlocal cancellations
        while cancellations < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancellations += 1

    async with background(stubborn(), "stubborn", cancel_again_s=0.001):
        await asyncio.sleep(0)
    assert cancellations == 3


async def test_error_of_a_background_task_is_logged_at_once_and_does_not_end_the_context() -> None:
    async def failing() -> None:
        raise ValueError("a fault of ours")

    with capture_logs() as logs:
        async with background(failing(), "failing"):
            await asyncio.sleep(0.01)
            assert [(line["event"], line["task"]) for line in logs] == [("task.failed", "failing")]
    assert isinstance(logs[0]["exc_info"], ValueError)


async def test_background_task_that_is_done_leaves_nothing_to_cancel() -> None:
    async def done() -> None:
        await asyncio.sleep(0)

    with capture_logs() as logs:
        async with background(done(), "done"):
            await asyncio.sleep(0.01)
    assert logs == []


@pytest.mark.parametrize(("longest_s", "others"), [(0.0, 10), (60.0, 0)])
async def test_others_go_on_when_work_takes_long(
    monkeypatch: pytest.MonkeyPatch, longest_s: float, others: int
) -> None:
    monkeypatch.setattr(tasks, "BREATH_S", longest_s)
    count = 0

    async def other() -> None:
        nonlocal count
        with suppress(asyncio.CancelledError):
            while True:
                count += 1
                await asyncio.sleep(0)

    async with background(other(), "other"):
        breather = Breather()
        for _ in range(10):
            await breather.breathe()
        assert count == others


async def test_event_comes_in_time_or_not() -> None:
    event = asyncio.Event()
    assert not await comes_in_time(event, 0.001)
    event.set()
    assert await comes_in_time(event, 60)
