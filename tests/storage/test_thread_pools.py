"""Calls in threads: each has its own outcome, none holds up another, and nothing is left behind."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from functools import partial

import pytest

from service.kit.errors import Busy, DatabaseUnavailable
from service.runtime.deadline import Clock, Watch
from service.storage import thread_pools
from service.storage.single_flight import SingleFlight
from service.storage.thread_pools import SlowCall, ThreadPools
from tests.pace import slowness

SOON_S = 0.25

asked_by: ContextVar[str] = ContextVar("asked_by")


@pytest.fixture
def pools() -> Iterator[ThreadPools]:
    opened = ThreadPools(timeout_s=3.0, connections=50)
    yield opened
    opened.close()


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("calls: ")]


def sleeping(seconds: float) -> Callable[[], float]:
    def call() -> float:
        time.sleep(seconds)
        return seconds

    return call


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_true():  # noqa: ASYNC110  # what threads do sets no event
            await asyncio.sleep(0.001)


async def test_each_call_has_its_own_result_or_error(pools: ThreadPools) -> None:
    def half(number: int) -> int:
        if number % 2:
            raise ArithmeticError(number)
        return number // 2

    found = await asyncio.gather(
        *(pools.lists.run(partial(half, number)) for number in range(100)),
        return_exceptions=True,
    )
    assert found[::2] == list(range(50))
    assert [(type(each), each.args) for each in found[1::2] if isinstance(each, Exception)] == [
        (ArithmeticError, (number,)) for number in range(1, 100, 2)
    ]
    assert (pools.lists.calls, pools.lists.served, pools.lists.waiting) == (100, 100, 0)


async def test_call_runs_in_context_of_caller(pools: ThreadPools) -> None:
    async def ask(name: str) -> str:
        asked_by.set(name)
        return await pools.quick.run(asked_by.get)

    assert [*await asyncio.gather(ask("ann"), ask("bob"))] == ["ann", "bob"]


async def test_slow_calls_do_not_block_fast_calls(pools: ThreadPools) -> None:
    is_over = threading.Event()
    slow = [asyncio.create_task(pools.lists.run(is_over.wait)) for _ in range(5)]
    quick = [asyncio.create_task(pools.lists.run(sleeping(0))) for _ in range(100)]
    await asyncio.gather(*quick)
    assert not any(each.done() for each in slow)
    assert pools.lists.threads <= pools.lists.most_threads
    is_over.set()
    assert await asyncio.gather(*slow) == [True] * 5


async def test_number_of_threads_per_lane_is_bounded(pools: ThreadPools) -> None:
    is_over = threading.Event()
    slow = [asyncio.create_task(pools.scans.run(is_over.wait)) for _ in range(8)]
    await until(lambda: pools.scans.running == 4)
    await asyncio.sleep(5 * thread_pools.PATIENCE_S)
    assert (pools.scans.threads, pools.scans.waiting) == (4, 4)
    assert await pools.quick.run(sleeping(0)) == 0  # another pool is not held up
    is_over.set()
    assert await asyncio.gather(*slow) == [True] * 8


async def blocked(pools: ThreadPools) -> Callable[[], Awaitable[None]]:
    """Occupy all threads of the pool for scans; returns what frees them."""
    is_over = threading.Event()
    slow = [asyncio.create_task(pools.scans.run(is_over.wait)) for _ in range(4)]
    await until(lambda: pools.scans.running == 4)

    async def free() -> None:
        is_over.set()
        await asyncio.gather(*slow)

    return free


async def test_identical_waiting_calls_share_one_execution(pools: ThreadPools) -> None:
    began: list[int] = []

    def ask(key: int) -> Awaitable[int]:
        def call() -> int:
            began.append(key)
            if key == 3:
                raise ArithmeticError
            return key

        return pools.once(SingleFlight).run(pools.scans, key, call)

    free = await blocked(pools)
    tasks = [asyncio.ensure_future(ask(number % 4)) for number in range(40)]
    await asyncio.sleep(0)
    for task in tasks[::5]:
        task.cancel()
    await free()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    expected: list[object] = [ArithmeticError if number % 4 == 3 else number % 4 for number in range(40)]
    assert [
        type(each) if isinstance(each, Exception) else each for each in found if not is_cancelled(each)
    ] == [each for number, each in enumerate(expected) if number % 5]
    assert sorted(began) == [0, 1, 2, 3]


def is_cancelled(outcome: object) -> bool:
    return isinstance(outcome, asyncio.CancelledError)


async def test_call_made_after_start_of_identical_call_runs_separately(pools: ThreadPools) -> None:
    is_over = threading.Event()
    answers = iter(("before the change", "after the change"))

    def call() -> str:
        answer = next(answers)
        is_over.wait()
        return answer

    first = asyncio.create_task(pools.once(SingleFlight).run(pools.lists, "same", call))
    await until(lambda: pools.lists.running == 1)
    second = asyncio.create_task(pools.once(SingleFlight).run(pools.lists, "same", call))
    await until(lambda: pools.lists.running == 2)
    is_over.set()
    assert [await first, await second] == ["before the change", "after the change"]


async def test_shared_call_without_remaining_callers_is_not_run(pools: ThreadPools) -> None:
    began: list[str] = []
    free = await blocked(pools)
    left = asyncio.create_task(
        pools.once(SingleFlight).run(pools.scans, "same", partial(began.append, "left"))
    )
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.sleep(0)
    next_one = asyncio.create_task(
        pools.once(SingleFlight).run(pools.scans, "same", partial(began.append, "next"))
    )
    await asyncio.sleep(0)
    await free()
    await next_one
    assert began == ["next"]


async def test_idle_threads_end(pools: ThreadPools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_pools, "IDLE_S", 0.05)
    running = [asyncio.create_task(pools.scans.run(sleeping(0.1))) for _ in range(4)]
    await until(lambda: pools.scans.threads > 1)
    await asyncio.gather(*running)
    await until(lambda: pools.scans.threads == 1)
    assert await pools.scans.run(sleeping(0)) == 0


async def test_call_cancelled_while_waiting_is_not_run(pools: ThreadPools) -> None:
    began: list[int] = []
    block = threading.Event()
    blocked = [asyncio.create_task(pools.scans.run(block.wait)) for _ in range(4)]
    await until(lambda: pools.scans.running == 4)
    waiting = [asyncio.create_task(pools.scans.run(partial(began.append, number))) for number in range(10)]
    await asyncio.sleep(0)
    for task in waiting[::2]:
        task.cancel()
    block.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in found] == [True, False] * 5
    assert sorted(began) == [1, 3, 5, 7, 9]
    assert await asyncio.gather(*blocked) == [True] * 4


async def test_calls_above_queue_limit_are_refused(
    pools: ThreadPools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_pools, "MAXIMUM_WAITING", 5)
    block = threading.Event()
    blocked = [asyncio.create_task(pools.scans.run(block.wait)) for _ in range(4)]
    await until(lambda: pools.scans.running == 4)
    waiting = [asyncio.create_task(pools.scans.run(sleeping(0))) for _ in range(8)]
    await asyncio.sleep(0)
    assert pools.scans.waiting == 5
    block.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in found] == [int] * 5 + [Busy] * 3
    await asyncio.gather(*blocked)


async def test_call_with_expired_request_time_is_not_run(pools: ThreadPools) -> None:
    began: list[bool] = []

    async def ask() -> None:
        clock = Clock(Watch(0.05))
        clock.begin()
        try:
            await pools.quick.run(lambda: began.append(True))
        except asyncio.CancelledError as error:
            raise clock.cause_of(error) from None

    def block() -> None:
        time.sleep(0.2)

    blocked = [asyncio.create_task(pools.quick.run(block)) for _ in range(4)]
    await until(lambda: pools.quick.running == 4)
    with pytest.raises(DatabaseUnavailable):
        await asyncio.create_task(ask())
    await asyncio.gather(*blocked)
    assert await pools.quick.run(lambda: 1) == 1
    assert began == []


async def test_close_refuses_waiting_calls_and_ends_threads() -> None:
    pools = ThreadPools(timeout_s=3.0, connections=50)
    is_over = threading.Event()
    running = [asyncio.create_task(pools.scans.run(is_over.wait)) for _ in range(4)]
    await until(lambda: pools.scans.running == 4)
    waiting = [asyncio.create_task(pools.scans.run(sleeping(0))) for _ in range(3)]
    await asyncio.sleep(0)
    threading.Timer(0.05, is_over.set).start()
    pools.close()
    assert await asyncio.gather(*running) == [True] * 4
    refused = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in refused] == [DatabaseUnavailable] * 3
    with pytest.raises(DatabaseUnavailable):
        await pools.quick.run(sleeping(0))
    assert threads() == []
    assert [(each.waiting, each.running, each.threads) for each in pools.all] == [(0, 0, 0)] * 5


async def test_close_does_not_wait_for_hanging_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.storage.thread_pools.CLOSE_TIMEOUT_S", 0.05)
    pools = ThreadPools(timeout_s=3.0, connections=50)
    hanging = asyncio.create_task(pools.lists.run(sleeping(SOON_S)))
    await until(lambda: pools.lists.running == 1)
    pools.close()
    with pytest.raises(DatabaseUnavailable):
        await hanging
    await until(lambda: threads() == [])


async def test_observers_are_notified_of_slow_and_finished_calls(pools: ThreadPools) -> None:
    slow: list[SlowCall] = []
    done: list[tuple[str, int]] = []
    pools.slow_s, pools.on_slow = 0.05, slow.append
    pools.on_done = lambda pool, work, _: done.append((pool.name, work.size))
    call = sleeping(0.06)
    await asyncio.gather(pools.quick.run(sleeping(0)), pools.lists.run(call))
    await until(lambda: bool(slow))  # which the thread tells after the result
    assert [(each.pool, each.subject, each.size) for each in slow] == [("lists", call, 1)]
    assert 0.05 <= slow[0].took_s < slowness()
    assert sorted(done) == [("lists", 1), ("quick", 1)]


async def test_results_are_delivered_in_batches_to_busy_loop(pools: ThreadPools) -> None:
    turns: list[int] = []
    loop = asyncio.get_running_loop()
    turn = 0

    def count() -> None:
        nonlocal turn
        turn += 1
        if len(turns) < 200:
            loop.call_soon(count)

    pools.on_done = lambda *_: turns.append(turn)
    waiting = [asyncio.create_task(pools.quick.run(sleeping(0))) for _ in range(200)]
    await asyncio.sleep(0)
    while pools.quick.waiting or pools.quick.running:
        time.sleep(0.01)  # noqa: ASYNC251  # the loop is busy meanwhile
    count()
    await asyncio.gather(*waiting)
    assert len(turns) == 200
    assert len(set(turns)) < 5
