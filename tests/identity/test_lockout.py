"""The counts themselves; tests/scenarios/test_lockout.py has what callers see of them."""

import asyncio
from contextlib import suppress

import pytest

from models.lockout import KnownPlace, Lockout
from service.identity.core.lockout import Lockouts, What
from service.kit.errors import Busy, CredentialsWrong, Locked
from service.kit.sealing import Sealer
from service.storage.database import Database
from tests.conftest import SECRET

ANN, BOB = "ann@example.com", "bob@example.com"
HOME, ELSEWHERE = "192.0.2.7", "198.51.100.1"
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
    """Make a guess; gives "right", "wrong", "busy", or the seconds to wait."""
    try:
        async with lockouts.guess(what, account, address):
            await asyncio.sleep(0)
            if failure is not None:
                raise failure
    except Locked as locked:
        return int(locked.headers["Retry-After"])
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


async def test_after_five_wrong_tries_nothing_is_tried_for_a_minute(lockouts: Lockouts) -> None:
    outcomes = [await guess(lockouts) for _ in range(7)]
    assert outcomes == ["wrong"] * 5 + [60, 60]
    assert await guess(lockouts, failure=None) == 60
    await let_pass(61)
    assert await guess(lockouts, failure=None) == "right"


async def test_each_next_lock_is_twice_as_long_up_to_the_longest(lockouts: Lockouts) -> None:
    waits = []
    for _ in range(6):
        for each in range(5):
            assert await guess(lockouts, address=OTHERS[each]) == "wrong"
        wait_s = await guess(lockouts)
        assert isinstance(wait_s, int)
        waits.append(wait_s)
        await let_pass(wait_s + 1)
    assert waits == [60, 120, 240, 480, 900, 900]


async def test_a_count_is_forgotten_a_day_after_its_last_wrong_try(lockouts: Lockouts) -> None:
    await asyncio.gather(*(guess(lockouts, address=each) for each in OTHERS[:5]))
    await let_pass(86_401)
    assert [await guess(lockouts) for _ in range(6)] == ["wrong"] * 5 + [60]


@pytest.mark.parametrize("workers", [1, 2])
async def test_of_a_hundred_guesses_at_once_five_are_tried(lockouts: Lockouts, workers: int) -> None:
    each = [lockouts, made()][:workers]
    outcomes = await asyncio.gather(
        *(guess(each[number % workers], address=OTHERS[number]) for number in range(100))
    )
    assert (outcomes.count("wrong"), outcomes.count(60)) == (5, 95)


async def test_of_a_hundred_guesses_at_once_from_one_address_twenty_are_tried(lockouts: Lockouts) -> None:
    outcomes = await asyncio.gather(*(guess(lockouts, f"{number}@x.io") for number in range(100)))
    assert (outcomes.count("wrong"), outcomes.count(900)) == (20, 80)
    assert await guess(lockouts, failure=None) == 900
    assert await guess(lockouts, address=HOME) == "wrong"
    await let_pass(901)
    assert await guess(lockouts, "new@x.io") == "wrong"


async def test_tries_at_a_locked_account_do_not_use_up_those_of_the_address(lockouts: Lockouts) -> None:
    assert [await guess(lockouts) for _ in range(30)] == ["wrong"] * 5 + [60] * 25
    assert await guess(lockouts, BOB) == "wrong"


async def test_an_own_account_does_not_buy_more_tries_at_those_of_others(lockouts: Lockouts) -> None:
    outcomes = []
    for number in range(25):
        outcomes.append(await guess(lockouts, f"{number}@x.io"))
        if number < 19:
            assert await guess(lockouts, BOB, failure=None) == "right"
    assert outcomes == ["wrong"] * 20 + [900] * 5


async def test_who_guesses_elsewhere_does_not_lock_the_owner_out_at_home(lockouts: Lockouts) -> None:
    await lockouts.remember(ANN, HOME)
    assert [await guess(lockouts) for _ in range(6)] == ["wrong"] * 5 + [60]
    assert await guess(lockouts, address=HOME, failure=None) == "right"
    assert [await guess(lockouts, address=HOME) for _ in range(6)] == ["wrong"] * 5 + [60]
    assert await guess(lockouts, BOB, HOME) == "wrong"


async def test_a_right_guess_at_home_forgets_the_wrong_ones_there_but_not_those_of_strangers(
    lockouts: Lockouts,
) -> None:
    await lockouts.remember(ANN, HOME)
    for address in (HOME, ELSEWHERE):
        assert [await guess(lockouts, address=address) for _ in range(4)] == ["wrong"] * 4
        assert await guess(lockouts, address=address, failure=None) == "right"
    assert [await guess(lockouts, address=HOME) for _ in range(6)] == ["wrong"] * 5 + [60]
    assert [await guess(lockouts) for _ in range(2)] == ["wrong", 60]


async def test_a_place_is_known_for_ninety_days_after_the_last_sign_in(lockouts: Lockouts) -> None:
    await lockouts.remember(ANN, HOME)
    first = await KnownPlace.find_one()
    await lockouts.remember(ANN, HOME)
    places = await KnownPlace.find_all().to_list()
    assert first is not None
    assert [place.id for place in places] == [first.id]
    assert (places[0].expires_at - places[0].updated_at).days == 90
    await KnownPlace.find_all().update({"$set": {"expires_at": first.created_at}})
    assert [await guess(lockouts, address=address) for address in (*OTHERS[:5], HOME)] == ["wrong"] * 5 + [60]


async def test_what_was_not_verified_does_not_count(lockouts: Lockouts) -> None:
    assert [await guess(lockouts, failure=Busy) for _ in range(30)] == ["busy"] * 30
    assert [await guess(lockouts) for _ in range(6)] == ["wrong"] * 5 + [60]


async def test_forty_right_guesses_at_once_are_all_right(lockouts: Lockouts) -> None:
    outcomes = await asyncio.gather(*(guess(lockouts, failure=None) for _ in range(40)))
    assert outcomes == ["right"] * 40
    counts = await Lockout.find_all().to_list()
    assert [(count.tries, count.pending) for count in counts] == [(0, 0)] * 2


async def test_passwords_and_codes_are_counted_apart(lockouts: Lockouts) -> None:
    assert [await guess(lockouts) for _ in range(6)] == ["wrong"] * 5 + [60]
    outcomes = [await guess(lockouts, what="second factor") for _ in range(6)]
    assert outcomes == ["wrong"] * 5 + [60]


async def test_clients_without_an_address_count_together_and_are_at_home_nowhere(lockouts: Lockouts) -> None:
    await lockouts.remember(ANN, None)
    await lockouts.remember(ANN, "unknown")
    assert await KnownPlace.count() == 0
    assert [await guess(lockouts, address=None) for _ in range(6)] == ["wrong"] * 5 + [60]


async def test_the_last_try_knows_that_it_is_and_how_long_the_lock_would_be(lockouts: Lockouts) -> None:
    waits = []
    for _ in range(5):
        with suppress(CredentialsWrong):
            async with lockouts.guess("password", ANN, HOME) as guessed:
                waits.append(guessed.wait_s)
                raise CredentialsWrong
    assert waits == [None] * 4 + [60]


async def test_nothing_that_is_stored_tells_whose_account_it_is(lockouts: Lockouts) -> None:
    await guess(lockouts)
    await lockouts.remember(ANN, HOME)
    stored = [*await Lockout.find_all().to_list(), *await KnownPlace.find_all().to_list()]
    assert len(stored) == 3
    assert not [each for each in stored if "ann" in repr(each) or HOME in repr(each)]
