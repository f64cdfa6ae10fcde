import asyncio
from collections.abc import AsyncIterator

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type

from service.identity.core.hashing import Cost, Passwords, _decoy
from service.kit.errors import Busy
from service.runtime.deadline import Clock, Watch

PASSWORD = "correct horse battery staple"


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    passwords = Passwords(threads=2, waiting=2)
    yield passwords
    passwords.close()


async def test_password_matches_its_own_hash_only(passwords: Passwords) -> None:
    hashed = await passwords.hash(PASSWORD)
    assert await passwords.verify(hashed, PASSWORD) is True
    assert await passwords.verify(hashed, PASSWORD + " ") is False


async def test_same_password_has_another_hash_each_time(passwords: Passwords) -> None:
    assert await passwords.hash(PASSWORD) != await passwords.hash(PASSWORD)


async def test_hash_is_argon2id_at_the_cost_of_owasp(passwords: Passwords) -> None:
    parameters = extract_parameters(await passwords.hash(PASSWORD))
    assert (parameters.type, parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (
        Type.ID,
        19_456,
        2,
        1,
    )


@pytest.mark.parametrize("password", ["pässwörd ☃", "\U0001f600" * 128, "with\0nul char"])
async def test_any_text_can_be_hashed(passwords: Passwords, password: str) -> None:
    assert await passwords.verify(await passwords.hash(password), password) is True


async def test_only_hash_of_another_cost_needs_rehash(passwords: Passwords) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    assert passwords.needs_rehash(weak) is True
    assert passwords.needs_rehash(await passwords.hash(PASSWORD)) is False
    assert await passwords.verify(weak, PASSWORD) is True


async def test_raised_cost_holds_for_new_hashes_and_the_decoy(passwords: Passwords) -> None:
    dearer = Passwords(threads=1, cost=Cost(memory_kib=20_480, passes=3))
    hashed = await dearer.hash(PASSWORD)
    assert hashed.startswith("$argon2id$v=19$m=20480,t=3,p=1$")
    assert _decoy(dearer._hasher).startswith("$argon2id$v=19$m=20480,t=3,p=1$")
    assert (dearer.needs_rehash(hashed), passwords.needs_rehash(hashed)) == (False, True)
    assert dearer.needs_rehash(await passwords.hash(PASSWORD)) is True
    dearer.close()


async def test_full_queue_raises_busy_at_once(passwords: Passwords) -> None:
    outcomes = await asyncio.gather(*(passwords.hash(PASSWORD) for _ in range(9)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [str] * 4 + [Busy] * 5
    await passwords.verify_decoy(PASSWORD)  # there is room again


async def test_event_loop_runs_while_passwords_are_hashed(passwords: Passwords) -> None:
    hashing = asyncio.gather(*(passwords.hash(PASSWORD) for _ in range(4)))
    turns = 0
    while not hashing.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 100


async def test_cancelled_caller_frees_its_slot(passwords: Passwords) -> None:
    for _ in range(5):
        tasks = [asyncio.create_task(passwords.hash(PASSWORD)) for _ in range(4)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while passwords.occupied:  # noqa: ASYNC110 - threads tell nobody
            await asyncio.sleep(0.01)
    assert len(await asyncio.gather(*(passwords.hash(PASSWORD) for _ in range(4)))) == 4


async def test_closed_pool_hashes_no_more() -> None:
    closed = Passwords(threads=1, waiting=0)
    closed.close()
    for _ in range(3):
        with pytest.raises(RuntimeError, match="shutdown"):
            await closed.hash(PASSWORD)


async def test_time_in_the_queue_is_not_counted_as_database_time() -> None:
    passwords = Passwords(threads=1, waiting=20)
    hashed = await passwords.hash(PASSWORD)

    async def sign_in() -> bool:
        clock = Clock(Watch(0.02))
        clock.begin()
        try:
            return await passwords.verify(hashed, PASSWORD)
        finally:
            clock.close()

    assert await asyncio.gather(*(sign_in() for _ in range(20))) == [True] * 20
    passwords.close()
