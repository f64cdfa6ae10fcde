"""Pauses between attempts."""

import asyncio

from service.kit.tasks import Attempts, Backoff
from tests.pace import within


def test_pauses_grow_up_to_the_longest() -> None:
    backoff = Backoff(10.0, 3600.0, growth=3)
    assert [backoff.pause_s(failures) for failures in (0, 1, 2, 8, 10_000)] == [10, 30, 90, 3600, 3600]


async def test_sleep_takes_a_random_part_of_the_pause() -> None:
    with within(1):
        await asyncio.gather(*(Backoff(0.01, 0.05).sleep(failures) for failures in range(100)))


async def test_attempts_pause_longer_each_time_and_begin_again_after_a_reset() -> None:
    attempts = Attempts(Backoff(0.001, 0.004))
    pauses = []
    async for _ in attempts:
        pauses.append(attempts.pause_s)
        if len(pauses) == 5:
            attempts.reset()
            assert attempts.pause_s == 0.001
        if len(pauses) == 7:
            break
    assert pauses == [0.001, 0.002, 0.004, 0.004, 0.004, 0.002, 0.004]


async def test_first_attempt_is_at_once() -> None:
    async for _ in Attempts(Backoff(60.0, 60.0)):
        break
