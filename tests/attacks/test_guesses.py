"""Guessing passwords and codes: how many are tried, what the answers tell, and what is left behind."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import httpx
import pymongo
import pytest
import pytest_asyncio
from argon2 import PasswordHasher
from litestar import Litestar

from models.user import User
from service.app import create_app
from service.identity.core.hashing import Cost, Passwords
from tests.conftest import connect, opened, settings_of
from tests.pace import begun
from tests.services import replaced, services_of

LOGIN = "/api/auth/login"
PASSWORD = "plum tractor under seven moons"
CHEAP = Cost(memory_kib=8, passes=1)
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
ANN, NOBODY = "ann@example.com", "bob@example.com"
HOME = "192.0.2.7"
OF_SIGNING_IN = ("_users", "_lockouts", "_known_places", "_audit", "_sessions", "_second_factors")


class CountingPasswords(Passwords):
    """Verifies passwords and counts how many."""

    verified = 0

    async def verify(self, hashed: str, password: str) -> bool:
        self.verified += 1
        return await super().verify(hashed, password)


def counting(app: Litestar) -> CountingPasswords:
    passwords = services_of(app).passwords
    assert isinstance(passwords, CountingPasswords)
    return passwords


class TwoInstances(NamedTuple):
    """Two instances of the service on one database, and the database without them.

    The models belong to the second instance, which alone can complete a sign-in here.
    """

    workers: list[Litestar]
    database: pymongo.database.Database[dict[str, Any]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TwoInstances]:
    settings = settings_of(mongodb_uri, tmp_path_factory.mktemp("data"))
    async with AsyncExitStack() as stack:
        mongodb = stack.enter_context(pymongo.MongoClient[dict[str, Any]](mongodb_uri))
        workers = [create_app(settings) for _ in range(2)]
        for app in workers:
            await stack.enter_async_context(opened(app))
            stack.enter_context(replaced(app, passwords=CountingPasswords(2, cost=CHEAP)))
        await User(email=ANN, email_key=ANN, password_hash=HASH).insert()
        yield TwoInstances(workers, mongodb[settings.database])
        mongodb.drop_database(settings.database)


@pytest.fixture
def target(shared: TwoInstances) -> TwoInstances:
    """Provide the service as if nobody had come yet, but for Ann, who has an account."""
    for name in OF_SIGNING_IN[1:]:
        shared.database[name].delete_many({})
    for app in shared.workers:
        counting(app).verified = 0
    return shared


@pytest.fixture
def workers(target: TwoInstances) -> list[Litestar]:
    return target.workers


async def login(app: Litestar, email: str, password: str = "wrong", address: str = HOME) -> httpx.Response:
    async with connect(app, address) as client:
        return await client.post(LOGIN, json={"email": email, "password": password})


async def flood(workers: list[Litestar], email: str) -> list[httpx.Response]:
    """Send a hundred wrong passwords at once, from as many addresses, to both instances."""
    return await asyncio.gather(
        *(login(workers[each % 2], email, f"guess {each}", f"203.0.113.{each}") for each in range(100))
    )


def seen(answer: httpx.Response) -> dict[str, Any]:
    """Return all that a client sees of an answer, but for what differs from each to the next."""
    body = answer.json()
    del body["request_id"]
    headers = dict(answer.headers)
    del headers["x-request-id"]
    if answer.status_code == 429:  # the seconds go on between one question and the next
        left = headers["retry-after"]
        headers["retry-after"] = str(begun(int(left), 60))
        body["detail"] = body["detail"].replace(f" {left} ", f" {headers['retry-after']} ")
    return {"status": answer.status_code, "headers": headers, "body": body}


@pytest.mark.parametrize("email", [ANN, NOBODY])
async def test_a26_only_5_of_100_concurrent_guesses_are_verified(workers: list[Litestar], email: str) -> None:
    answers = await flood(workers, email)
    assert Counter(answer.status_code for answer in answers) == {401: 5, 429: 95}
    assert sum(counting(app).verified for app in workers) == 5
    locked = await login(workers[0], email, PASSWORD)
    assert (locked.status_code, locked.json()["code"]) == (429, "auth.locked")
    assert begun(int(locked.headers["retry-after"]), 60) == 60
    assert sum(counting(app).verified for app in workers) == 5


async def test_a26_guessing_does_not_lock_owner_out_of_known_network(workers: list[Litestar]) -> None:
    assert (await login(workers[1], ANN, PASSWORD)).status_code == 200
    await flood(workers, ANN)
    assert (await login(workers[1], ANN, PASSWORD)).status_code == 200
    assert (await login(workers[1], ANN, PASSWORD, "198.51.100.9")).status_code == 429


@pytest.mark.parametrize(
    "addresses", [[HOME], [f"2001:db8::{each:x}" for each in range(1, 31)]], ids=["IPv4", "IPv6"]
)
async def test_a26_password_spraying_from_one_network_is_limited_to_20_tries(
    workers: list[Litestar], addresses: list[str]
) -> None:
    answers = await asyncio.gather(
        *(
            login(workers[each % 2], f"{each}@example.com", address=addresses[each % len(addresses)])
            for each in range(30)
        )
    )
    assert Counter(answer.status_code for answer in answers) == {401: 20, 429: 10}
    assert (await login(workers[0], ANN, PASSWORD, addresses[0])).status_code == 429
    assert (await login(workers[1], ANN, PASSWORD, "198.51.100.9")).status_code == 200


@pytest.mark.parametrize("spelling", ["ANN@example.com", "ann@EXAMPLE.com", "\uff41nn@example.com"])
async def test_a26_spellings_of_same_email_share_guess_limit(workers: list[Litestar], spelling: str) -> None:
    answers = await asyncio.gather(
        *(
            login(workers[0], email, address=f"203.0.113.{each}")
            for each, email in enumerate([ANN, spelling] * 5)
        )
    )
    assert Counter(answer.status_code for answer in answers) == {401: 5, 429: 5}


async def test_a26_audit_log_records_verified_guesses_and_one_lock(
    target: TwoInstances,
) -> None:
    await flood(target.workers, ANN)
    events = list(target.database["_audit"].find())
    noted = Counter(event["action"] for event in events)
    assert noted == {"sign_in.failed": 5, "sign_in.locked": 1}
    user = await User.find_one()
    assert user is not None
    assert {event["target"]["id"] for event in events} == {str(user.id)}
    assert "guess" not in repr(events)


async def test_a28_login_responses_are_equal_for_known_and_unknown_email(workers: list[Litestar]) -> None:
    guesses = ["wrong"] * 6 + [PASSWORD]
    answers = [
        [seen(await login(workers[0], email, guess, address)) for guess in guesses]
        for email, address in ((ANN, "203.0.113.1"), (NOBODY, "203.0.113.2"))
    ]
    assert [answer["status"] for answer in answers[0]] == [401] * 5 + [429] * 2
    assert answers[0] == answers[1]


async def test_a28_login_runs_same_database_commands_for_known_and_unknown_email(
    target: TwoInstances,
) -> None:
    async def work(email: str, address: str) -> list[list[str]]:
        """Return, for each of seven wrong passwords, what was asked of the database."""
        asked = []
        for _ in range(7):
            target.database.command("profile", 2)
            await login(target.workers[1], email, address=address)
            target.database.command("profile", 0)
            found = target.database["system.profile"].find().sort("ts")
            names = [
                (each["ns"].partition(".")[2], each["op"], next(iter(each["command"]))) for each in found
            ]
            asked.append([" ".join(each) for each in names if each[0] in OF_SIGNING_IN])
            target.database.drop_collection("system.profile")
        return asked

    known, unknown = await work(ANN, "203.0.113.1"), await work(NOBODY, "203.0.113.2")
    assert len(known[0]) >= 5
    assert known == unknown


@pytest.mark.parametrize("path", [LOGIN, f"{LOGIN}/second-factor"])
@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"email": {"$gt": ""}, "password": {"$gt": ""}},
        {"token": {"$regex": "."}, "code": {"$ne": None}},
        {"email": ANN, "password": PASSWORD, "code": "123456"},
        {"email": ANN, "password": PASSWORD, "mode": {"$in": ["bearer"]}},
        {"token": ["x"], "code": "123456"},
        {"token": "x", "code": True},
    ],
)
async def test_a1_a2_operators_as_credentials_return_400_and_count_no_guess(
    target: TwoInstances, path: str, body: Any
) -> None:
    async with connect(target.workers[1]) as client:
        answer = await client.post(path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "document.invalid")
    written = {name: target.database[name].count_documents({}) for name in OF_SIGNING_IN}
    assert {name: number for name, number in written.items() if number} == {"_users": 1}
