"""Queries that fail on their way: what passes is tried again, and nobody waits twice."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import bson
import pymongo
import pytest
from pymongo.errors import ExecutionTimeout, PyMongoError

from service.dev import mongod
from tests.pace import within
from tests.storage.listener import Commands, connect
from tests.storage.queries import Query, alone, together

Failing = Callable[..., None]


@pytest.fixture(scope="module")
def testing_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = mongod.find()
    if server.kind != "mongod":
        # Failpoints are MongoDB's own: where only the substitute runs, nothing can be told to fail.
        pytest.skip("the substitute cannot be told to fail")
    told = replace(server, parameters=(*server.parameters, "enableTestCommands=1"))
    with mongod.start(tmp_path_factory.mktemp("failing"), server=told) as running:
        yield running.uri


@pytest.fixture
async def failing(testing_uri: str) -> AsyncIterator[tuple[Any, Commands, Failing]]:
    """Provide a database, what is sent to it, and a function that has its next commands fail."""
    database, commands = connect(testing_uri, "failing", timeout_s=2)
    data = database.motor.delegate
    data["few"].drop()
    data["few"].insert_many({"_id": number} for number in range(7))
    admin = data.client.admin

    def fail(times: int, *names: str, **how: Any) -> None:
        mode: Any = {"times": times} if times else "off"
        told = {"failCommands": [*names], "appName": "sheaf", **how}
        admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": told})
        commands.sent.clear()

    yield data, commands, fail
    fail(0)
    await asyncio.to_thread(database.close)


@pytest.mark.parametrize(
    "how",
    [{"closeConnection": True}, *({"errorCode": code} for code in (6, 89, 134, 10107))],
    ids=lambda how: str(next(iter(how.values()))),
)
def test_transient_failure_is_retried(failing: tuple[Any, Commands, Failing], how: dict[str, Any]) -> None:
    data, commands, fail = failing
    fail(1, "find", **how)
    found = alone(Query(data["few"], {}, keys=[("_id", 1)]))
    assert [bson.decode(each)["_id"] for each in found] == list(range(7))
    assert commands.names() == ["find", "find"]


def test_persistent_failure_is_raised_within_timeout(failing: tuple[Any, Commands, Failing]) -> None:
    data, commands, fail = failing
    fail(1000, "find", closeConnection=True)
    with within(1.5), pymongo.timeout(0.7), pytest.raises(PyMongoError):
        alone(Query(data["few"], {}))
    assert len(commands.names()) >= 2


def test_server_timeout_is_not_retried(
    failing: tuple[Any, Commands, Failing],
) -> None:
    data, commands, fail = failing
    fail(1, "find", errorCode=50)
    with pytest.raises(ExecutionTimeout):
        alone(Query(data["few"], {}))
    assert commands.names() == ["find"]


def test_unanswered_find_takes_timeout_once(failing: tuple[Any, Commands, Failing]) -> None:
    data, commands, fail = failing
    fail(1, "find", blockConnection=True, blockTimeMS=500)
    with within(0.5), pymongo.timeout(0.2), pytest.raises(PyMongoError) as caught:
        alone(Query(data["few"], {}))
    assert caught.value.timeout
    assert commands.names() == ["find"]


def test_broken_connection_of_batch_is_raised(failing: tuple[Any, Commands, Failing]) -> None:
    data, _, fail = failing
    fail(1, "aggregate", closeConnection=True)
    with pytest.raises(pymongo.errors.AutoReconnect):
        together([Query(data["few"], {}), Query(data["few"], {})])
    assert len(together([Query(data["few"], {}), Query(data["few"], {})])[1]) == 7


def test_failed_kill_cursors_is_ignored(failing: tuple[Any, Commands, Failing]) -> None:
    data, _, fail = failing
    data["large"].insert_many({"text": "x" * 4_300_000} for _ in range(4))
    fail(1, "killCursors", errorCode=8)
    assert len(alone(Query(data["large"], {}))) == 4
    data["large"].drop()
