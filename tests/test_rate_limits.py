import asyncio
import math
import time
from collections.abc import Iterator

import pytest
import structlog
from limits import parse
from limits.aio.strategies import FixedWindowRateLimiter
from pymongo.errors import AutoReconnect
from structlog.testing import capture_logs

from service.storage import rate_limits
from service.storage.database import Database, connect
from service.storage.rate_limits import Limiter, SharedCounts, Taken
from tests.pace import begun, within


class FlakyCounts(SharedCounts):
    """Shared counts that tell how often they were asked, and that can be made to fail as a driver does."""

    calls = 0
    is_down = False
    delay_s = 0.0

    async def take(self, key: str, window_s: int, amount: int) -> Taken:
        self.calls += 1
        await asyncio.sleep(self.delay_s)
        if self.is_down:
            raise AutoReconnect("connection closed")
        return await super().take(key, window_s, amount)


@pytest.fixture
def counts(database: Database) -> FlakyCounts:
    return FlakyCounts(database.motor["_rate_limits"])


@pytest.fixture(autouse=True)
def _default_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    configured = structlog.get_config()
    structlog.reset_defaults()
    monkeypatch.setattr(rate_limits, "log", structlog.get_logger("sheaf.rates"))
    yield
    structlog.configure(**configured)


async def admitted(limiter: Limiter, requests: int, key: str = "k") -> int:
    verdicts = await asyncio.gather(*(limiter.spend(key) for _ in range(requests)))
    return sum(verdict.is_admitted for verdict in verdicts)


async def test_shared_counts_serve_strategy_of_limits_library(counts: FlakyCounts) -> None:
    strategy = FixedWindowRateLimiter(counts)
    rate = parse("2/minute")
    assert [await strategy.hit(rate, "k") for _ in range(3)] == [True, True, False]
    stats = await strategy.get_window_stats(rate, "k")
    assert stats.remaining == 0
    assert begun(math.ceil(stats.reset_time - time.time() - 1), 60) == 60
    await strategy.clear(rate, "k")
    assert await strategy.test(rate, "k")
    assert await counts.check()
    assert await counts.incr("other", 60) == 1
    assert await counts.reset() == 1
    assert await counts.get("other") == 0


async def test_concurrent_beginners_of_window_lose_no_count(counts: FlakyCounts) -> None:
    for round_number in range(5):
        key = f"k{round_number}"
        sums = await asyncio.gather(*(counts.incr(key, 60, amount=2) for _ in range(20)))
        assert sorted(sums) == list(range(2, 42, 2))


@pytest.mark.parametrize("rate", ["100/15minutes", "1000/15minutes", "10/minute", "1/minute"])
@pytest.mark.parametrize("workers", [1, 2, 4])
async def test_workers_together_admit_exactly_the_limit(counts: FlakyCounts, rate: str, workers: int) -> None:
    limit = parse(rate).amount
    limiters = [Limiter(parse(rate), counts, workers=workers) for _ in range(workers)]
    total = sum(await asyncio.gather(*(admitted(limiter, limit) for limiter in limiters)))
    assert 0.9 * limit <= total <= limit


async def test_successive_requests_get_remaining_count(counts: FlakyCounts) -> None:
    limiter = Limiter(parse("100/15minutes"), counts)
    verdicts = [await limiter.spend("k") for _ in range(101)]
    assert [verdict.remaining for verdict in verdicts] == [*range(99, -1, -1), 0]
    assert [verdict.is_admitted for verdict in verdicts] == [True] * 100 + [False]
    assert {begun(math.ceil(verdict.reset_in_s), 900) for verdict in verdicts} == {900}


async def test_most_requests_need_no_store(counts: FlakyCounts) -> None:
    assert await admitted(Limiter(parse("1000/hour"), counts), 1) == 1
    limiter = Limiter(parse("1000/hour"), counts)
    for _ in range(900):
        await limiter.spend("k")
    assert counts.calls == 1 + 900 // 50


async def test_concurrent_requests_share_a_lease(counts: FlakyCounts) -> None:
    assert await admitted(Limiter(parse("1000/hour"), counts), 800) == 800
    assert counts.calls <= 3


async def test_exhausted_limit_refuses_without_store(counts: FlakyCounts) -> None:
    limiter = Limiter(parse("5/hour"), counts)
    assert await admitted(limiter, 10) == 5
    spent = counts.calls
    assert await admitted(limiter, 1000) == 0
    assert counts.calls == spent


async def test_keys_and_limits_have_separate_counts(counts: FlakyCounts) -> None:
    one, other = Limiter(parse("3/hour"), counts), Limiter(parse("4/hour"), counts)
    assert await admitted(one, 9, "a") == 3
    assert await admitted(one, 9, "b") == 3
    assert await admitted(other, 9, "a") == 4


async def test_window_begins_with_first_request_and_ends_in_time(counts: FlakyCounts) -> None:
    limiters = [Limiter(parse("4/second"), counts, workers=2) for _ in range(2)]
    began = time.monotonic()
    assert sum([await admitted(limiter, 8) for limiter in limiters]) == 4
    has_begun = time.monotonic()
    verdict = await limiters[0].spend("k")
    assert not verdict.is_admitted
    assert 0 < verdict.reset_in_s <= 1
    await asyncio.sleep(began + 0.9 - time.monotonic())
    is_refused = await admitted(limiters[1], 1) == 0
    assert is_refused or time.monotonic() > began + 1
    await asyncio.sleep(has_begun + 1.1 - time.monotonic())
    assert sum([await admitted(limiter, 8) for limiter in limiters]) == 4


async def test_cancelled_request_does_not_cancel_shared_lease(counts: FlakyCounts) -> None:
    counts.delay_s = 0.05
    limiter = Limiter(parse("10/hour"), counts)
    waiting = [asyncio.create_task(limiter.spend("k")) for _ in range(5)]
    await asyncio.sleep(0.01)
    for task in waiting[:2]:
        task.cancel()
    verdicts = await asyncio.gather(*waiting, return_exceptions=True)
    assert [isinstance(verdict, asyncio.CancelledError) for verdict in verdicts] == [True] * 2 + [False] * 3
    assert [verdict.is_admitted for verdict in verdicts if isinstance(verdict, rate_limits.Verdict)] == [
        True
    ] * 3
    assert (limiter._leases, limiter._waiting) == ({}, {})


async def test_worker_counts_alone_while_store_fails() -> None:
    database = connect(
        "mongodb://127.0.0.1:9/", "nowhere", pool_size=1, selection_timeout_s=0.2, operation_timeout_s=1
    )
    limiter = Limiter(parse("20/hour"), SharedCounts(database.motor["_rate_limits"]))
    with capture_logs() as lines, within(0.8):
        assert await admitted(limiter, 50, "a") == 20
        assert await admitted(limiter, 50, "b") == 20
    database.close()
    assert [(line["log_level"], line["event"]) for line in lines] == [
        ("warning", "rate limits are counted by each worker alone")
    ]


async def test_hanging_store_delays_requests_briefly(
    counts: FlakyCounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "STORE_TIMEOUT_S", 0.05)
    counts.delay_s = 30
    with within(1):
        assert await admitted(Limiter(parse("7/hour"), counts), 20) == 7


async def test_count_before_outage_still_counts(counts: FlakyCounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "STORE_PAUSE_S", 0.05)
    limiter = Limiter(parse("20/hour"), counts)
    assert await admitted(limiter, 15) == 15
    counts.is_down = True
    with capture_logs() as lines:
        assert await admitted(limiter, 15) == 5
        counts.is_down = False
        await asyncio.sleep(0.06)
        assert await admitted(limiter, 5) == 0
        assert await admitted(limiter, 5, "other") == 5
    assert [line["event"] for line in lines] == [
        "rate limits are counted by each worker alone",
        "rate limits are shared by the workers again",
    ]


async def test_forgotten_keys_stay_within_the_limit(
    counts: FlakyCounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "TABLE_SIZE", 10)
    limiter = Limiter(parse("3/hour"), counts)
    totals = [0] * 30
    for _ in range(5):
        for number in range(30):
            totals[number] += await admitted(limiter, 1, f"k{number}")
    assert totals == [3] * 30
    assert len(limiter._windows) == 10


async def test_amount_is_admitted_whole_or_not_at_all(counts: FlakyCounts) -> None:
    limiter = Limiter(parse("20/minute"), counts)
    found = [await limiter.spend("k", amount) for amount in (1, 12, 8, 7, 1)]
    assert [verdict.is_admitted for verdict in found] == [True, True, False, True, False]
    assert [verdict.remaining for verdict in found] == [19, 7, 7, 0, 0]
    assert not (await limiter.spend("another", 21)).is_admitted


@pytest.mark.parametrize("workers", [1, 3])
async def test_concurrent_amounts_never_exceed_the_limit(counts: FlakyCounts, workers: int) -> None:
    limiters = [Limiter(parse("100/minute"), counts, workers=workers) for _ in range(workers)]
    amounts = [1, 30, 2, 17, 5, 40, 3] * 4
    verdicts = await asyncio.gather(
        *(limiters[place % workers].spend("k", amount) for place, amount in enumerate(amounts))
    )
    spent = sum(amount for amount, verdict in zip(amounts, verdicts, strict=True) if verdict.is_admitted)
    assert 60 <= spent <= 100


async def test_amounts_are_counted_alone_while_store_fails(counts: FlakyCounts) -> None:
    limiter = Limiter(parse("10/minute"), counts)
    assert (await limiter.spend("k", 3)).is_admitted
    counts.is_down = True
    assert [(await limiter.spend("k", amount)).is_admitted for amount in (5, 4, 2, 1)] == [
        True,
        False,
        True,
        False,
    ]
