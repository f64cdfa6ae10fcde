"""Work of several operations: each has its effect once, and is remembered until all are done."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from models.remembered_answer import RememberedAnswer
from service.access.principals import Principal
from service.documents.idempotency import (
    STEP_LIMIT_BYTES,
    Answer,
    Claims,
    KeyedRequest,
    Operate,
    Step,
    StepResult,
)
from service.http import problems
from service.kit.errors import Busy, DocumentNotFound, Failure, IdempotencyRunning
from service.storage.database import Database
from service.storage.transactions import session

REQUEST = KeyedRequest.of(Principal("user", "1", frozenset()), "k", [b"POST", b"{}"])
NAME = RememberedAnswer.Settings.name

Work = Callable[[Step], Awaitable[Answer]]


@pytest.fixture
async def claims(database: Database) -> Claims:
    await database.initialise([RememberedAnswer])
    return Claims(database, lease_s=60)


def failure_result(error: Exception) -> StepResult:
    return {"status": problems.translate(error).status}


def failure_answer(failure: Failure) -> Answer:
    raise AssertionError(failure)


def storing(database: Database, number: int) -> Operate:
    """Return an operation that stores a number."""

    async def operate() -> StepResult:
        await database.motor.things.insert_one({"number": number}, session=session())
        return {"status": 201, "data": {"id": number}}

    return operate


def failing(database: Database, error: Exception) -> Operate:
    """Return an operation that fails after it has written."""

    async def operate() -> StepResult:
        await storing(database, -1)()
        raise error

    return operate


def all_of(*operations: Operate) -> Work:
    async def work(step: Step) -> Answer:
        answers = [await step(place, operation, failure_result) for place, operation in enumerate(operations)]
        return Answer(200, "application/json", {}, orjson.dumps(answers))

    return work


async def things(database: Database) -> list[int]:
    return [thing["number"] async for thing in database.motor.things.find(sort=[("_id", 1)])]


async def note(database: Database) -> dict[str, Any]:
    found = await database.motor[NAME].find_one({"_id": REQUEST.slot})
    assert found is not None
    return found


async def test_repeated_operations_take_effect_once(claims: Claims, database: Database) -> None:
    work = all_of(storing(database, 1), failing(database, DocumentNotFound()), storing(database, 2))
    first = await claims.in_steps(REQUEST, work, failure_answer)
    again = await claims.in_steps(REQUEST, work, failure_answer)
    assert orjson.loads(first.body) == [
        {"status": 201, "data": {"id": 1}},
        {"status": 404},
        {"status": 201, "data": {"id": 2}},
    ]
    assert (again.body, first.is_replayed, again.is_replayed) == (first.body, False, True)
    assert await things(database) == [1, 2]
    assert (await note(database))["steps"] == {}


async def test_repeat_continues_after_last_completed_operation(claims: Claims, database: Database) -> None:
    has_come_so_far = asyncio.Event()

    async def endless() -> StepResult:
        await storing(database, 2)()
        has_come_so_far.set()
        await asyncio.sleep(60)
        return {}

    task = asyncio.create_task(
        claims.in_steps(REQUEST, all_of(storing(database, 1), endless), failure_answer)
    )
    await has_come_so_far.wait()
    with pytest.raises(IdempotencyRunning):
        await claims.in_steps(REQUEST, all_of(), failure_answer)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.gather(*claims._releases)
    assert await things(database) == [1]
    work = all_of(storing(database, 1), storing(database, 2), storing(database, 3))
    answer = await claims.in_steps(REQUEST, work, failure_answer)
    assert [each["data"]["id"] for each in orjson.loads(answer.body)] == [1, 2, 3]
    assert await things(database) == [1, 2, 3]


@pytest.mark.parametrize("error", [Busy(), ZeroDivisionError("a bug")], ids=["busy", "a fault of ours"])
async def test_repeat_runs_only_transiently_failed_operation(
    claims: Claims, database: Database, error: Exception
) -> None:
    work = all_of(storing(database, 1), failing(database, error), storing(database, 3))
    first = await claims.in_steps(REQUEST, work, failure_answer)
    assert [each["status"] for each in orjson.loads(first.body)][::2] == [201, 201]
    assert await things(database) == [1, 3]
    work = all_of(storing(database, 1), storing(database, 2), storing(database, 3))
    again = await claims.in_steps(REQUEST, work, failure_answer)
    assert [each["data"]["id"] for each in orjson.loads(again.body)] == [1, 2, 3]
    assert await things(database) == [1, 3, 2]
    assert (await claims.in_steps(REQUEST, work, failure_answer)).body == again.body


async def test_worker_with_lost_claim_stops_before_next_operation(claims: Claims, database: Database) -> None:
    async def too_slow() -> StepResult:
        lease = {"lease_until": datetime.now(UTC) - timedelta(hours=1)}
        await database.motor[NAME].update_one({"_id": REQUEST.slot}, {"$set": lease})
        await claims._claim(REQUEST)
        return await storing(database, 2)()

    work = all_of(storing(database, 1), too_slow, storing(database, 3))
    with pytest.raises(IdempotencyRunning):
        await claims.in_steps(REQUEST, work, failure_answer)
    assert await things(database) == [1]


async def test_large_step_result_is_stored_as_id_only(claims: Claims, database: Database) -> None:
    large = {"status": 200, "data": {"id": "1", "text": "x" * STEP_LIMIT_BYTES}, "etag": '"1"'}

    async def operate() -> StepResult:
        return large

    async def interrupted() -> StepResult:
        raise Busy

    first = await claims.in_steps(REQUEST, all_of(operate, interrupted), failure_answer)
    assert orjson.loads(first.body) == [large, {"status": 503}]
    again = await claims.in_steps(REQUEST, all_of(operate, storing(database, 2)), failure_answer)
    assert orjson.loads(again.body)[0] == {"status": 200, "id": "1", "etag": '"1"'}
