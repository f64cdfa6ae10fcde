"""Claims when something goes wrong: workers that die, are late or meet, days that pass."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from litestar import Litestar
from pymongo.errors import AutoReconnect

from models.remembered_answer import RememberedAnswer
from service.access.principals import Principal
from service.documents.idempotency import Answer, Claims, KeyedRequest
from service.kit.errors import (
    Contention,
    DatabaseUnavailable,
    DocumentNotFound,
    Failure,
    Forbidden,
    IdempotencyMismatch,
    IdempotencyRunning,
)
from service.storage.database import Database
from service.storage.transactions import session
from tests.services import services_of

REQUEST = KeyedRequest.of(Principal("user", "1", frozenset()), "k", [b"POST", b"{}"])
DONE = Answer(201, "application/json", {"ETag": '"1"'}, b'{"data":1}')
NAME = RememberedAnswer.Settings.name

Doing = Callable[[], Awaitable[Answer]]


@pytest.fixture
async def claims(database: Database) -> Claims:
    await database.initialise([RememberedAnswer])
    return Claims(database, lease_s=60)


def told(failure: Failure) -> Answer:
    return Answer(failure.status, "application/problem+json", {}, failure.code.encode())


def doing(database: Database, number: int = 1) -> Doing:
    """Return work that stores a thing."""

    async def work() -> Answer:
        await database.motor.things.insert_one({"number": number}, session=session())
        return DONE

    return work


async def things(database: Database) -> list[int]:
    return [thing["number"] async for thing in database.motor.things.find(sort=[("_id", 1)])]


async def change(database: Database, **fields: Any) -> None:
    changed = await database.motor[NAME].update_one({"_id": REQUEST.slot}, {"$set": fields})
    assert changed.matched_count == 1


async def died(claims: Claims, database: Database) -> None:
    """Leave things as a worker does that dies between its claim and its transaction."""
    await claims._claim(REQUEST)
    assert await things(database) == []


def long_ago(hours: int = 1) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


async def test_claim_is_stored_as_model_declares(claims: Claims, database: Database) -> None:
    await claims.once(REQUEST, doing(database), told)
    stored = await database.motor[NAME].find_one({"_id": REQUEST.slot})
    assert stored is not None
    await database.initialise([RememberedAnswer])
    read = RememberedAnswer.model_validate(stored)
    assert set(stored) <= {"_id", "_version", "_created_at", "_updated_at", "_owner"} | set(
        RememberedAnswer.model_fields
    )
    assert (read.is_done, read.status, read.body, read.owner) == (True, 201, DONE.body, "1")
    assert read.expires_at - read.created_at == timedelta(hours=24)
    assert read.lease_until - read.created_at == timedelta(seconds=61)


async def test_stored_answers_have_ttl_index(app: Litestar, client: httpx.AsyncClient) -> None:
    known = await services_of(app).database.motor[NAME].index_information()
    assert known["expires_at_1"]["expireAfterSeconds"] == 0


async def test_repeat_during_claim_is_refused_with_retry_after(claims: Claims, database: Database) -> None:
    await died(claims, database)
    with pytest.raises(IdempotencyRunning) as waiting:
        await claims.once(REQUEST, doing(database), told)
    assert waiting.value.headers == {"Retry-After": "1"}
    assert await things(database) == []


async def test_repeat_takes_over_expired_claim(claims: Claims, database: Database) -> None:
    await died(claims, database)
    await change(database, lease_until=long_ago())
    assert await claims.once(REQUEST, doing(database), told) == DONE
    assert (await claims.once(REQUEST, doing(database), told)).is_replayed
    assert await things(database) == [1]


async def test_concurrent_takeovers_of_claim_run_once(claims: Claims, database: Database) -> None:
    await died(claims, database)
    await change(database, lease_until=long_ago())
    outcomes = await asyncio.gather(
        *(claims.once(REQUEST, doing(database), told) for _ in range(10)), return_exceptions=True
    )
    assert [outcome for outcome in outcomes if outcome == DONE] == [DONE]
    assert all(isinstance(outcome, Answer | IdempotencyRunning) for outcome in outcomes)
    assert await things(database) == [1]


async def test_request_with_other_fingerprint_does_not_take_over_claim(
    claims: Claims, database: Database
) -> None:
    await died(claims, database)
    await change(database, lease_until=long_ago(), fingerprint="another")
    with pytest.raises(IdempotencyMismatch):
        await claims.once(REQUEST, doing(database), told)
    assert await things(database) == []


async def test_late_worker_with_lost_claim_changes_nothing(claims: Claims, database: Database) -> None:
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def late() -> Answer:
        has_begun.set()
        await may_end.wait()
        return await doing(database, 2)()

    first = asyncio.create_task(claims.once(REQUEST, late, told))
    await has_begun.wait()
    await change(database, lease_until=long_ago())
    assert await claims.once(REQUEST, doing(database, 1), told) == DONE
    may_end.set()
    with pytest.raises(IdempotencyRunning):
        await first
    assert await things(database) == [1]
    assert (await claims.once(REQUEST, doing(database, 3), told)).is_replayed


async def test_late_refusal_does_not_replace_stored_answer(claims: Claims, database: Database) -> None:
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def late() -> Answer:
        has_begun.set()
        await may_end.wait()
        raise DocumentNotFound

    first = asyncio.create_task(claims.once(REQUEST, late, told))
    await has_begun.wait()
    await change(database, lease_until=long_ago())
    await claims.once(REQUEST, doing(database), told)
    may_end.set()
    with pytest.raises(IdempotencyRunning):
        await first
    assert (await claims.once(REQUEST, doing(database), told)).body == DONE.body
    assert await things(database) == [1]


async def test_cancelled_request_has_no_effect_and_can_be_repeated(
    claims: Claims, database: Database
) -> None:
    has_written = asyncio.Event()

    async def endless() -> Answer:
        await doing(database, 2)()
        has_written.set()
        await asyncio.sleep(60)
        return DONE

    task = asyncio.create_task(claims.once(REQUEST, endless, told))
    await has_written.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.gather(*claims._releases)
    assert await claims.once(REQUEST, doing(database), told) == DONE
    assert await things(database) == [1]


@pytest.mark.parametrize(
    "error",
    [Forbidden(), Contention(), DatabaseUnavailable(), AutoReconnect("gone"), ZeroDivisionError("a bug")],
    ids=lambda error: type(error).__name__,
)
async def test_transient_or_unexpected_failure_is_not_stored(
    claims: Claims, database: Database, error: Exception
) -> None:
    async def failing() -> Answer:
        await doing(database, 2)()
        raise error

    with pytest.raises(type(error)):
        await claims.once(REQUEST, failing, told)
    assert await things(database) == []
    assert await claims.once(REQUEST, doing(database), told) == DONE
    assert await things(database) == [1]


async def test_refusal_is_stored_and_its_writes_rolled_back(claims: Claims, database: Database) -> None:
    async def refused() -> Answer:
        await doing(database, 2)()
        raise DocumentNotFound

    first = await claims.once(REQUEST, refused, told)
    again = await claims.once(REQUEST, doing(database), told)
    assert (first.status, again.status, again.body) == (404, 404, b"document.not_found")
    assert (first.is_replayed, again.is_replayed) == (False, True)
    assert await things(database) == []


async def test_expired_key_can_be_reused_before_its_deletion(claims: Claims, database: Database) -> None:
    await claims.once(REQUEST, doing(database), told)
    await change(database, expires_at=long_ago(), fingerprint="another")
    assert await claims.once(REQUEST, doing(database, 2), told) == DONE
    assert await things(database) == [1, 2]
    assert (await claims.once(REQUEST, doing(database, 3), told)).is_replayed


async def test_work_with_write_conflict_is_retried_and_stored_once(
    claims: Claims, database: Database
) -> None:
    await database.motor.things.insert_one({"_id": 1, "number": 0})
    tries = 0

    async def meeting() -> Answer:
        nonlocal tries
        tries += 1
        await database.motor.things.find_one({"_id": 1}, session=session())
        if tries == 1:
            await database.motor.things.update_one({"_id": 1}, {"$inc": {"number": 10}})
        await database.motor.things.update_one({"_id": 1}, {"$inc": {"number": 1}}, session=session())
        return DONE

    assert await claims.once(REQUEST, meeting, told) == DONE
    assert (tries, await things(database)) == (2, [11])
    assert await database.motor[NAME].count_documents({"is_done": True}) == 1
