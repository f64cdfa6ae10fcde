"""The limiter of concurrent requests, and its queue."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.runtime.concurrency import ConcurrencyLimiter
from tests.pace import within

PATIENCE_S = 0.2


def limiter_of(count: int = 1, *, waiting: int = 100) -> ConcurrencyLimiter:
    return ConcurrencyLimiter(count, queue_length=waiting, patience_s=PATIENCE_S)


async def wait_in(limiter: ConcurrencyLimiter, count: int) -> list[asyncio.Task[bool]]:
    """Have so many wait, one after the other."""
    tasks = [asyncio.create_task(limiter.wait()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_limiter_gives_its_slots_and_no_more() -> None:
    limiter = limiter_of(2)
    assert [limiter.acquire_now(), limiter.acquire_now(), limiter.acquire_now()] == [True, True, False]
    limiter.release()
    assert (limiter.acquire_now(), limiter.taken, limiter.refused) == (True, 2, 0)


async def test_released_slot_goes_to_first_waiter() -> None:
    limiter = limiter_of()
    limiter.acquire_now()
    first, second = await wait_in(limiter, 2)
    limiter.release()
    assert await first
    assert (second.done(), limiter.taken, limiter.queued) == (False, 1, 1)
    limiter.release()
    assert await second
    limiter.release()
    assert (limiter.taken, limiter.queued, limiter.refused) == (0, 0, 0)


async def test_full_queue_refuses_at_once() -> None:
    limiter = limiter_of(waiting=3)
    limiter.acquire_now()
    waiting = await wait_in(limiter, 3)
    with within(PATIENCE_S / 2):
        assert not await limiter.wait()
    assert (limiter.queued, limiter.refused) == (3, 1)
    for task in waiting:
        task.cancel()


async def test_waiter_beyond_patience_is_refused_in_time() -> None:
    limiter = limiter_of()
    limiter.acquire_now()
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    with within(2 * PATIENCE_S):
        assert await asyncio.gather(*await wait_in(limiter, 50)) == [False] * 50
    assert loop.time() - began_s >= PATIENCE_S
    assert (limiter.taken, limiter.queued, limiter.refused) == (1, 0, 50)


async def test_overloaded_queue_serves_newest_first() -> None:
    limiter = limiter_of()
    limiter.acquire_now()
    old = await wait_in(limiter, 3)
    await asyncio.sleep(0.6 * PATIENCE_S)
    young = await wait_in(limiter, 2)
    limiter.release()
    limiter.release()
    assert await asyncio.gather(*young) == [True, True]
    assert await asyncio.gather(*old) == [False] * 3


async def test_reacquiring_waiter_is_first_and_never_refused() -> None:
    limiter = limiter_of(waiting=0)
    limiter.acquire_now()
    back = asyncio.create_task(limiter.reacquire())
    await asyncio.sleep(2 * PATIENCE_S)
    assert not back.done()
    limiter.release()
    await back
    assert (limiter.taken, limiter.queued) == (1, 0)


async def test_cancelled_waiter_takes_no_slot() -> None:
    limiter = limiter_of()
    limiter.acquire_now()
    gone, stays = await wait_in(limiter, 2)
    gone.cancel()
    limiter.release()
    assert await stays
    limiter.release()
    assert limiter.taken == 0


async def test_waiter_cancelled_with_slot_passes_it_on() -> None:
    limiter = limiter_of()
    limiter.acquire_now()
    gone, stays = await wait_in(limiter, 2)
    limiter.release()
    gone.cancel()
    with suppress(asyncio.CancelledError):
        await gone
    assert gone.cancelled()
    assert await stays
    limiter.release()
    assert limiter.taken == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["come", "leave", "give up", "return", "pause"]), max_size=60))
async def test_no_slot_is_lost_or_given_twice(doings: list[str]) -> None:
    limiter = ConcurrencyLimiter(3, queue_length=5, patience_s=0.02)
    inside, waiting, most = 0, list[asyncio.Task[None]](), 0
    leaving = asyncio.Event()

    async def visit(*, again: bool) -> None:
        nonlocal inside, most
        if again:
            await limiter.reacquire()
        elif not limiter.acquire_now() and not await limiter.wait():
            return
        inside += 1
        most = max(most, inside)
        try:
            await leaving.wait()
        finally:
            inside -= 1
            limiter.release()

    for doing in doings:
        if doing in {"come", "return"}:
            waiting.append(asyncio.create_task(visit(again=doing == "return")))
        elif doing == "give up" and waiting:
            waiting.pop(len(waiting) // 2).cancel()
        elif doing == "leave":
            leaving.set()
            await asyncio.sleep(0)
            leaving.clear()
        elif doing == "pause":
            await asyncio.sleep(0.005)
        await asyncio.sleep(0)
    leaving.set()
    await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 20)
    assert (most <= 3, limiter.taken, limiter.queued) == (True, 0, 0)


@pytest.mark.parametrize("count", [1, 50])
async def test_short_burst_is_never_refused(count: int) -> None:
    limiter = limiter_of(5)

    async def visit() -> bool:
        if not limiter.acquire_now() and not await limiter.wait():
            return False
        await asyncio.sleep(0.002)
        limiter.release()
        return True

    assert all(await asyncio.gather(*(visit() for _ in range(count))))
