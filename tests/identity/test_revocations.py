"""What a worker knows of revocations: what counts, for how long, and what holds when it hears nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from models.base import utc_now
from models.revocation import Revocation
from service.access.principals import Principal
from service.identity.core import revocations
from service.identity.core.revocations import BOUND_S, COLLECTION, GONE, Revocations
from service.kit.errors import SessionEnded, TokenOutdated
from service.storage import database as databases
from service.storage.database import Database
from tests.pace import within

ANN = Principal("user", "ann", frozenset(), session_id="s1", epoch=3)
KEY = Principal("key", "ann", frozenset(), key_id="k1", epoch=3)


@pytest.fixture
async def stored(database: Database) -> AsyncIterator[Database]:
    await database.initialise([Revocation])
    database.stream.include(COLLECTION)
    async with database.stream.running():
        yield database


class PassingTime:
    """Time that a test moves on."""

    ahead_s = 0.0

    def time(self) -> float:
        return time.time() + self.ahead_s

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s


@pytest.fixture
def passing_time(monkeypatch: pytest.MonkeyPatch) -> PassingTime:
    passing = PassingTime()
    monkeypatch.setattr(revocations, "time", passing)
    return passing


def told(name: str, epoch: int = GONE, lasts_s: float = 3600) -> dict[str, Any]:
    return {"_id": name, "epoch": epoch, "expires_at": utc_now() + timedelta(seconds=lasts_s)}


@pytest.mark.parametrize(
    ("revoked", "principal", "is_covered"),
    [
        ([], ANN, False),
        ([told("session:s1")], ANN, True),
        ([told("session:s2")], ANN, False),
        ([told("session:s1")], KEY, False),
        ([told("key:k1")], KEY, True),
        ([told("key:k2"), told("key:s1")], KEY, False),
        ([told("user:ann", 4)], ANN, True),
        ([told("user:ann", 4)], KEY, True),
        ([told("user:ann", 3)], ANN, False),
        ([told("user:ann", 4), told("user:ann", 2)], ANN, True),
        ([told("user:bob", 9)], ANN, False),
        ([told("user:ann")], ANN, True),
    ],
)
def test_revocation_covers_its_session_user_or_key_only(
    revoked: list[dict[str, Any]], principal: Principal, is_covered: bool
) -> None:
    revocations = Revocations(900)
    revocations.learn(revoked)
    assert revocations.covers(principal) is is_covered


async def test_check_reads_stored_revocations_before_they_are_heard(stored: Database) -> None:
    teller, deaf = Revocations(900), Revocations(900)
    await deaf.check(ANN)
    await teller.outdate_user("ann", 3)
    await teller.end_session("s2")
    await deaf.check(ANN)
    await teller.end_session("s1")
    assert not deaf.covers(ANN)
    with pytest.raises(TokenOutdated):
        await deaf.check(ANN)
    assert deaf.covers(ANN)


def test_expired_revocation_is_forgotten(passing_time: PassingTime) -> None:
    revocations = Revocations(900)
    revocations.learn([told("session:s1", lasts_s=600), told("session:s2")])
    assert revocations.covers(ANN)
    passing_time.ahead_s = 601
    revocations.learn([])
    assert not revocations.covers(ANN)
    assert revocations.covers(Principal("user", "ann", frozenset(), session_id="s2"))


def test_worker_that_hears_nothing_for_long_is_not_current(passing_time: PassingTime) -> None:
    revocations = Revocations(900, stale_after_s=600)
    before = revocations.is_current
    revocations.hear()
    heard = revocations.is_current
    passing_time.ahead_s = 601
    assert (before, heard, revocations.is_current) == (False, True, False)


def test_worker_with_too_many_revocations_is_not_current(passing_time: PassingTime) -> None:
    revocations = Revocations(900, limit=2)
    revocations.learn([told("session:1", lasts_s=600), told("session:2"), told("session:3")])
    revocations.hear()
    is_full = revocations.is_current
    passing_time.ahead_s = 601
    revocations.learn([])
    revocations.hear()
    assert (is_full, revocations.is_current) == (False, True)


async def test_revocation_of_another_worker_is_heeded_within_the_bound(stored: Database) -> None:
    here, there = Revocations(900), Revocations(900)
    async with here.following(stored):
        assert await here.wait_until_loaded(5)
        await stored.transaction(lambda: there.end_sessions(["s1", "s2"]))
        with within(BOUND_S):
            while not here.covers(ANN):  # noqa: ASYNC110  # nobody is told of it
                await asyncio.sleep(0.01)
        await there.outdate_user("bob", 2)
        await there.outdate_user("bob", 5)
        bob = Principal("user", "bob", frozenset(), session_id="s9", epoch=4)
        with within(BOUND_S):
            while not here.covers(bob):  # noqa: ASYNC110  # nobody is told of it
                await asyncio.sleep(0.01)


async def test_revocation_of_an_aborted_transaction_does_not_count(stored: Database) -> None:
    revocations = Revocations(900)

    async def end_and_fail() -> None:
        await revocations.end_session("s1")
        raise SessionEnded

    with pytest.raises(SessionEnded):
        await stored.transaction(end_and_fail)
    await revocations.catch_up()
    assert not revocations.covers(ANN)


async def test_own_revocation_counts_after_catch_up(stored: Database) -> None:
    revocations = Revocations(900)
    await stored.transaction(lambda: revocations.end_session("s1"))
    assert not revocations.covers(ANN)
    await revocations.catch_up()
    assert revocations.covers(ANN)


async def test_catch_up_within_a_transaction_keeps_what_is_pending(stored: Database) -> None:
    revocations = Revocations(900)

    async def end_too_early() -> None:
        await revocations.end_session("s1")
        await revocations.catch_up()

    await stored.transaction(end_too_early)
    await revocations.catch_up()
    assert revocations.covers(ANN)


async def test_stored_revocations_count_from_the_start(stored: Database) -> None:
    await Revocations(900).end_key("k1")
    revocations = Revocations(900)
    async with revocations.following(stored):
        assert await revocations.wait_until_loaded(5)
        assert revocations.covers(KEY)


async def test_outage_is_logged_once_and_worker_is_not_current() -> None:
    away = databases.connect(
        "mongodb://127.0.0.1:1", "nothing", pool_size=1, selection_timeout_s=0.05, operation_timeout_s=0.05
    )
    away.stream.include(COLLECTION)
    revocations = Revocations(900)
    with capture_logs() as logs:
        async with away.stream.running(), revocations.following(away):
            assert not await revocations.wait_until_loaded(0.9)
    away.close()
    assert not revocations.is_current
    assert [each["event"] for each in logs] == ["changes.interrupted"]
