"""The places for requests, and the line before them."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.runtime.admission import Places

PATIENCE_S = 0.2


def places(count: int = 1, *, waiting: int = 100) -> Places:
    return Places(count, waiting=waiting, patience_s=PATIENCE_S)


async def wait_in(line: Places, count: int) -> list[asyncio.Task[bool]]:
    """Have so many wait, one after the other."""
    tasks = [asyncio.create_task(line.wait()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_there_are_so_many_places_and_no_more() -> None:
    line = places(2)
    assert [line.take(), line.take(), line.take()] == [True, True, False]
    line.give_back()
    assert (line.take(), line.taken, line.refused) == (True, 2, 0)


async def test_a_place_that_is_free_goes_to_who_has_come_first() -> None:
    line = places()
    line.take()
    first, second = await wait_in(line, 2)
    line.give_back()
    assert await first
    assert (second.done(), line.taken, line.in_line) == (False, 1, 1)
    line.give_back()
    assert await second
    line.give_back()
    assert (line.taken, line.in_line, line.refused) == (0, 0, 0)


async def test_a_full_line_refuses_at_once() -> None:
    line = places(waiting=3)
    line.take()
    waiting = await wait_in(line, 3)
    async with asyncio.timeout(PATIENCE_S / 2):
        assert not await line.wait()
    assert (line.in_line, line.refused) == (3, 1)
    for task in waiting:
        task.cancel()


async def test_who_has_waited_long_enough_is_refused_in_time() -> None:
    line = places()
    line.take()
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    assert await asyncio.gather(*await wait_in(line, 50)) == [False] * 50
    assert PATIENCE_S <= loop.time() - began_s < 2 * PATIENCE_S
    assert (line.taken, line.in_line, line.refused) == (1, 0, 50)


async def test_while_more_comes_than_goes_the_newest_are_first() -> None:
    line = places()
    line.take()
    old = await wait_in(line, 3)
    await asyncio.sleep(0.6 * PATIENCE_S)
    young = await wait_in(line, 2)
    line.give_back()
    line.give_back()
    assert await asyncio.gather(*young) == [True, True]
    assert await asyncio.gather(*old) == [False] * 3


async def test_who_comes_back_is_before_those_in_line_and_is_not_refused() -> None:
    line = places(waiting=0)
    line.take()
    back = asyncio.create_task(line.take_again())
    await asyncio.sleep(2 * PATIENCE_S)
    assert not back.done()
    line.give_back()
    await back
    assert (line.taken, line.in_line) == (1, 0)


async def test_who_gives_up_gives_up_the_place_too() -> None:
    line = places()
    line.take()
    gone, stays = await wait_in(line, 2)
    gone.cancel()
    line.give_back()
    assert await stays
    line.give_back()
    assert line.taken == 0


async def test_who_gives_up_as_the_place_comes_gives_it_to_the_next() -> None:
    line = places()
    line.take()
    gone, stays = await wait_in(line, 2)
    line.give_back()
    gone.cancel()
    with suppress(asyncio.CancelledError):
        await gone
    assert gone.cancelled()
    assert await stays
    line.give_back()
    assert line.taken == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["come", "leave", "give up", "return", "pause"]), max_size=60))
async def test_no_place_is_lost_and_none_is_given_twice(doings: list[str]) -> None:
    line = Places(3, waiting=5, patience_s=0.02)
    inside, waiting, most = 0, list[asyncio.Task[None]](), 0
    leaving = asyncio.Event()

    async def visit(*, again: bool) -> None:
        nonlocal inside, most
        if again:
            await line.take_again()
        elif not line.take() and not await line.wait():
            return
        inside += 1
        most = max(most, inside)
        try:
            await leaving.wait()
        finally:
            inside -= 1
            line.give_back()

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
    await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 2)
    assert (most <= 3, line.taken, line.in_line) == (True, 0, 0)


@pytest.mark.parametrize("count", [1, 50])
async def test_a_burst_that_is_soon_done_is_refused_nobody(count: int) -> None:
    line = places(5)

    async def visit() -> bool:
        if not line.take() and not await line.wait():
            return False
        await asyncio.sleep(0.002)
        line.give_back()
        return True

    assert all(await asyncio.gather(*(visit() for _ in range(count))))
