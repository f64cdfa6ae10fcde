"""The counts themselves; tests/scenarios/test_lockout.py has what callers see of them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from models.lockout import KnownPlace, Lockout
from service.identity.core.lockout import Lockouts, What
from service.kit.errors import Busy, CredentialsWrong, Locked
from service.kit.sealing import Sealer
from service.storage import classes
from service.storage.database import Database
from tests.conftest import SECRET
from tests.pace import begun

ANN, BOB = "ann@example.com", "bob@example.com"
HOME, ELSEWHERE = "192.0.2.7", "198.51.100.1"
LOCKS_S = (60, 120, 240, 480, 900)
OTHERS = [f"203.0.113.{number}" for number in range(100)]


@pytest.fixture
async def lockouts(database: Database) -> Lockouts:
    await database.initialise([Lockout, KnownPlace])
    return made()


def made() -> Lockouts:
    return Lockouts(Sealer([SECRET]), account_tries=5, address_tries=20, first_s=60, longest_s=900)


async def guess(
    lockouts: Lockouts,
    account: str = ANN,
    address: str | None = ELSEWHERE,
    *,
    what: What = "password",
    failure: type[Exception] | None = CredentialsWrong,
) -> str | int | None:
    """Make a guess; returns "right", "wrong", "busy", or how long the lock is that it met."""
    try:
        async with lockouts.guess(what, account, address):
            await asyncio.sleep(0)
            if failure is not None:
                raise failure
    except Locked as locked:
        return begun(int(locked.headers["Retry-After"]), *LOCKS_S)
    except CredentialsWrong:
        return "wrong"
    except Busy:
        return "busy"
    return "right"


async def let_pass(seconds: float) -> None:
    """Move all that is stored into the past, as if so long had gone by."""
    earlier = {
        name: {"$subtract": [f"${name}", seconds * 1000]} for name in ("asked_at", "free_at", "expires_at")
    }
    await Lockout.get_motor_collection().update_many({}, [{"$set": earlier}])


async def test_five_wrong_guesses_lock_the_account_for_a_minute(lockouts: Lockouts) -> None:
    outcomes = [await guess(lockouts) for _ in range(7)]
    assert outcomes == ["wrong"] * 5 + [60, 60]
    assert await guess(lockouts, failure=None) == 60
    await let_pass(61)
    assert await guess(lockouts, failure=None) == "right"


async def test_lock_doubles_up_to_the_longest(lockouts: Lockouts) -> None:
    waits = []
    for _ in range(6):
        for each in range(5):
            assert await guess(lockouts, address=OTHERS[each]) == "wrong"
        wait_s = await guess(lockouts)
        assert isinstance(wait_s, int)
        waits.append(wait_s)
        await let_pass(wait_s + 1)
    assert waits == [60, 120, 240, 480, 900, 900]


async def test_count_expires_a_day_after_the_last_wrong_guess(lockouts: Lockouts) -> None:
    await asyncio.gather(*(guess(lockouts, address=each) for each in OTHERS[:5]))
    await let_pass(86_401)
    assert [await guess(lockouts) for _ in range(6)] == ["wrong"] * 5 + [60]


@pytest.mark.parametrize("workers", [1, 2])
async def test_hundred_concurrent_guesses_at_an_account_verify_five(lockouts: Lockouts, workers: int) -> None:
    each = [lockouts, made()][:workers]
    outcomes = await asyncio.gather(
        *(guess(each[number % workers], address=OTHERS[number]) for number in range(100))
    )
    assert (outcomes.count("wrong"), outcomes.count(60)) == (5, 95)


async def test_operations_on_one_count_wait_for_each_other(
    lockouts: Lockouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a hundred guesses meet each other in the database, and have all its connections for seconds."""
    take, end = classes.compute_or_insert, classes.compute
    under_way: Counter[tuple[str, str]] = Counter()
    started: Counter[tuple[str, str]] = Counter()

    @asynccontextmanager
    async def slowly(doing: str, key: str) -> AsyncIterator[None]:
        under_way[doing, key] += 1
        started[doing, key] += 1
        assert under_way[doing, key] == 1
        await asyncio.sleep(0.01)
        yield
        under_way[doing, key] -= 1

    async def take_slowly(model: Any, key: str, stages: Any) -> Any:
        async with slowly("take", key):
            return await take(model, key, stages)

    async def end_slowly(model: Any, condition: Any, stages: Any) -> Any:
        async with slowly("end", condition["_id"]):
            return await end(model, condition, stages)

    monkeypatch.setattr(classes, "compute_or_insert", take_slowly)
    monkeypatch.setattr(classes, "compute", end_slowly)
    outcomes = await asyncio.gather(*(guess(lockouts, address=each) for each in OTHERS))
    assert (outcomes.count("wrong"), outcomes.count(60)) == (5, 95)
    assert (len(started), max(started.values()) < 50) == (2 * 101, True), (
        "those who get none are told together"
    )


async def test_guesser_who_gives_up_while_waiting_takes_no_try(
    lockouts: Lockouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = classes.compute_or_insert
    has_begun, is_open = asyncio.Event(), asyncio.Event()

    async def take_later(*arguments: Any) -> Any:
        has_begun.set()
        await is_open.wait()
        return await take(*arguments)

    monkeypatch.setattr(classes, "compute_or_insert", take_later)
    guesses = [asyncio.create_task(guess(lockouts))]
    await has_begun.wait()
    guesses += [asyncio.create_task(guess(lockouts)) for _ in range(8)]
    while lockouts._takes._count < 9:  # noqa: ASYNC110  # it tells nobody
        await asyncio.sleep(0.001)
    for each in guesses[1:6]:
        each.cancel()
    is_open.set()
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)
    assert [type(each) for each in outcomes] == [str, *[asyncio.CancelledError] * 5, *[str] * 3]
    assert [await guess(lockouts) for _ in range(2)] == ["wrong", 60]


async def test_hundred_concurrent_guesses_from_an_address_verify_twenty(lockouts: Lockouts) -> None:
    outcomes = await asyncio.gather(*(guess(lockouts, f"{number}@x.io") for number in range(100)))
    assert (outcomes.count("wrong"), outcomes.count(900)) == (20, 80)
    assert await guess(lockouts, failure=None) == 900
    assert await guess(lockouts, address=HOME) == "wrong"
    await let_pass(901)
    assert await guess(lockouts, "new@x.io") == "wrong"


async def test_guesses_at_a_locked_account_do_not_count_for_the_address(lockouts: Lockouts) -> None:
    assert [await guess(lockouts) for _ in range(30)] == ["wrong"] * 5 + [60] * 25
    assert await guess(lockouts, BOB) == "wrong"


async def test_right_guesses_at_an_own_account_do_not_reset_the_address(lockouts: Lockouts) -> None:
    outcomes = []
    for number in range(25):
        outcomes.append(await guess(lockouts, f"{number}@x.io"))
        if number < 19:
            assert await guess(lockouts, BOB, failure=None) == "right"
    assert outcomes == ["wrong"] * 20 + [900] * 5


async def test_guesses_from_elsewhere_do_not_lock_the_owner_at_a_known_place(lockouts: Lockouts) -> None:
    await lockouts.remember(ANN, HOME)
    assert [await guess(lockouts) for _ in range(6)] == ["wrong"] * 5 + [60]
    assert await guess(lockouts, address=HOME, failure=None) == "right"
    assert [await guess(lockouts, address=HOME) for _ in range(6)] == ["wrong"] * 5 + [60]
    assert await guess(lockouts, BOB, HOME) == "wrong"


async def test_right_guess_at_a_known_place_resets_that_place_only(
    lockouts: Lockouts,
) -> None:
    await lockouts.remember(ANN, HOME)
    for address in (HOME, ELSEWHERE):
        assert [await guess(lockouts, address=address) for _ in range(4)] == ["wrong"] * 4
        assert await guess(lockouts, address=address, failure=None) == "right"
    assert [await guess(lockouts, address=HOME) for _ in range(6)] == ["wrong"] * 5 + [60]
    assert [await guess(lockouts) for _ in range(2)] == ["wrong", 60]


async def test_place_is_known_for_ninety_days_after_the_last_sign_in(lockouts: Lockouts) -> None:
    await lockouts.remember(ANN, HOME)
    first = await KnownPlace.find_one()
    await lockouts.remember(ANN, HOME)
    places = await KnownPlace.find_all().to_list()
    assert first is not None
    assert [place.id for place in places] == [first.id]
    assert (places[0].expires_at - places[0].updated_at).days == 90
    await KnownPlace.find_all().update({"$set": {"expires_at": first.created_at}})
    assert [await guess(lockouts, address=address) for address in (*OTHERS[:5], HOME)] == ["wrong"] * 5 + [60]


async def test_guess_that_was_not_verified_does_not_count(lockouts: Lockouts) -> None:
    assert [await guess(lockouts, failure=Busy) for _ in range(30)] == ["busy"] * 30
    assert [await guess(lockouts) for _ in range(6)] == ["wrong"] * 5 + [60]


async def test_forty_concurrent_right_guesses_all_succeed(lockouts: Lockouts) -> None:
    outcomes = await asyncio.gather(*(guess(lockouts, failure=None) for _ in range(40)))
    assert outcomes == ["right"] * 40
    counts = await Lockout.find_all().to_list()
    assert [(count.tries, count.pending) for count in counts] == [(0, 0)] * 2


async def test_passwords_and_codes_have_separate_counts(lockouts: Lockouts) -> None:
    assert [await guess(lockouts) for _ in range(6)] == ["wrong"] * 5 + [60]
    outcomes = [await guess(lockouts, what="second factor") for _ in range(6)]
    assert outcomes == ["wrong"] * 5 + [60]


async def test_clients_without_address_share_one_count_and_no_known_place(lockouts: Lockouts) -> None:
    await lockouts.remember(ANN, None)
    await lockouts.remember(ANN, "unknown")
    assert await KnownPlace.count() == 0
    assert [await guess(lockouts, address=None) for _ in range(6)] == ["wrong"] * 5 + [60]


async def test_last_guess_before_a_lock_has_its_wait(lockouts: Lockouts) -> None:
    waits = []
    for _ in range(5):
        with suppress(CredentialsWrong):
            async with lockouts.guess("password", ANN, HOME) as guessed:
                waits.append(guessed.wait_s)
                raise CredentialsWrong
    assert waits == [None] * 4 + [60]


async def test_stored_counts_do_not_name_the_account(lockouts: Lockouts) -> None:
    await guess(lockouts)
    await lockouts.remember(ANN, HOME)
    stored = [*await Lockout.find_all().to_list(), *await KnownPlace.find_all().to_list()]
    assert len(stored) == 3
    assert not [each for each in stored if "ann" in repr(each) or HOME in repr(each)]
