"""What is logged of slow queries: once per shape and minute, without a value, with the index they lack."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any

import httpx
import pytest
import pytest_asyncio

from service.app.application import slow_queries
from service.runtime import logs
from service.runtime.settings import Settings
from service.slow_queries import watch
from service.slow_queries.watch import SlowQueries
from service.storage.thread_pools import SlowCall
from tests.conftest import GOODS_RULES, Service, served
from tests.services import services_of
from tests.test_logs import _restored

__all__ = ["_restored"]  # the logs are as they were after each test

PATIENCE_S = 30.0
SECRET = "ada@sheaf.example"
SCHEMA = {
    "type": "object",
    "properties": {"category": {"type": "string"}, "price": {"type": "number"}, "name": {"type": "string"}},
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(mongodb_uri: str) -> AsyncIterator[Service]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch, "REST_S", 0.0)
        async with served(mongodb_uri, slow_query_ms=150) as running:
            headers = running.signed_in("admin")
            for name in ("goods", "wares"):
                definition = {"name": name, "schema": SCHEMA, "rules": GOODS_RULES}
                answer = await running.client.post("/api/collections", json=definition, headers=headers)
                assert answer.status_code == 201, answer.text
            for name in ("goods", "products"):
                running.database[name].insert_many(
                    {"category": f"c{number % 50}", "price": number, "_version": 1} for number in range(1000)
                )
            yield running


class SlowQueryLog:
    """The lines that are logged of slow queries, as they come."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.all: list[dict[str, Any]] = []

    def now(self) -> list[dict[str, Any]]:
        written = [json.loads(line) for line in self._capsys.readouterr().err.splitlines()]
        for line in written:
            if line["logger"] == "sheaf.queries":
                self.all.append({name: line[name] for name in line if name not in {"timestamp", "logger"}})
        return self.all

    async def wait(self, count: int = 1) -> list[dict[str, Any]]:
        ends_at = time.monotonic() + PATIENCE_S
        while len(self.now()) < count:
            assert time.monotonic() < ends_at, self.all
            await asyncio.sleep(0.01)
        return self.all


@pytest.fixture
def lines(service: Service, capsys: pytest.CaptureFixture[str]) -> SlowQueryLog:
    logs.configure("info", "json")
    return SlowQueryLog(capsys)


def tell(service: Service, command: dict[str, Any], took_s: float = 0.2, size: int = 1) -> None:
    """Report a call as the threads of the driver do."""
    calls = services_of(service.app).database.pools
    assert calls.slow_s == 0.15
    assert calls.on_slow is not None
    calls.on_slow(SlowCall("lists", command, size, took_s))


def find(collection: str, where: dict[str, Any], **sort: int) -> dict[str, Any]:
    return {"find": collection, "filter": where, "sort": sort, "limit": 21}


@pytest.mark.parametrize(
    ("collection", "index"),
    [
        ("goods", {"fields": ["category", "-price", "-id"]}),
        ("products", "IndexModel([('category', 1), ('price', -1), ('_id', -1)])"),
    ],
)
async def test_slow_query_is_logged_with_plan_and_missing_index(
    service: Service, lines: SlowQueryLog, collection: str, index: Any
) -> None:
    tell(service, find(collection, {"category": {"$eq": "c7"}, "price": {"$gte": 3}}, price=-1, _id=-1))
    plan = {"goods": "SORT in memory < COLLSCAN", "products": "SORT in memory < IXSCAN"}[collection]
    (line,) = await lines.wait()
    assert line.pop("plan").startswith(plan)
    examined = {"goods": (1000, 0), "products": (20, 21)}[collection]
    assert (line.pop("documents_examined"), line.pop("keys_examined")) == examined
    assert line.pop("superfluous_then", None) is None
    assert line == {
        "event": "query.slow",
        "level": "warning",
        "collection": collection,
        "operation": "find",
        "duration_ms": 200.0,
        "filter": "{category: ?, price: {$gte: ?}}",
        "sort": "-price,-_id",
        "returned": 20,
        "missing_indexes": [index],
    }


async def test_suggested_index_can_be_pasted_into_definition(service: Service, lines: SlowQueryLog) -> None:
    command = find("goods", {"name": "x"}, price=1, _id=1)
    tell(service, command)
    (line,) = await lines.wait()
    headers = service.signed_in("admin")
    change = {"indexes": line["missing_indexes"]}
    merge = {"content-type": "application/merge-patch+json"}
    answer: httpx.Response = await service.client.patch(
        "/api/collections/goods", json=change, headers=headers | merge
    )
    assert answer.status_code == 200, answer.text
    tell(service, find("goods", {"name": "x", "price": {"$ne": 3}}, price=1, _id=1))
    after = (await lines.wait(2))[1]
    assert after["plan"].startswith("IXSCAN name_price__id")
    assert after["documents_examined"] == 0
    assert "missing_indexes" not in after


async def test_query_shape_is_logged_once_a_minute_with_count(
    service: Service, lines: SlowQueryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        tell(service, find("goods", {"name": f"{SECRET}{number}"}, _id=1), 0.2 + number / 10)
    (line,) = await lines.wait()
    assert (line["duration_ms"], "times" in line) == (200.0, False)
    monkeypatch.setattr(watch, "INTERVAL_S", 0.0)
    tell(service, find("goods", {"name": SECRET}, _id=1))
    line = (await lines.wait(2))[1]
    assert (line["duration_ms"], line["times"], line["longest_ms"]) == (200.0, 5, 600.0)
    assert SECRET not in str(lines.all)


@pytest.mark.parametrize(
    ("command", "plan"),
    [
        ({"insert": "goods", "documents": [{"name": SECRET}]}, None),
        ({"delete": "goods", "deletes": [{"q": {"price": {"$gt": 5000}}, "limit": 0}]}, "COLLSCAN"),
        ({"update": "goods", "updates": [{"q": {"price": 5000}, "u": {"$set": {"a": 1}}}]}, "COLLSCAN"),
        (
            {"findAndModify": "goods", "query": {"_id": SECRET, "price": 1}, "update": {"$set": {"a": 1}}},
            "IXSCAN _id_",
        ),
        ({"count": "goods", "query": {"price": 5001}}, "COLLSCAN"),
        ({"aggregate": "goods", "pipeline": [{"$match": {"price": 5002}}, {"$count": "n"}]}, "COLLSCAN"),
        (
            {"find": "goods", "filter": {"price": 1}, "lsid": {"id": 1}, "txnNumber": 3, "autocommit": False},
            "COLLSCAN",
        ),
        ({"find": "goods", "filter": {"$bad": 1}}, None),
        ({"find": "no-such-collection", "filter": {"price": 1}}, "EOF"),
    ],
)
async def test_slow_writes_are_logged_and_not_repeated(
    service: Service, lines: SlowQueryLog, command: dict[str, Any], plan: str | None
) -> None:
    before = list(service.database["goods"].find().sort("_id"))
    tell(service, command)
    (line,) = await lines.wait()
    assert (line["operation"], line.get("plan")) == (next(iter(command)), plan)
    assert SECRET not in str(line)
    assert list(service.database["goods"].find().sort("_id")) == before


async def test_commands_on_other_collections_are_not_logged(service: Service, lines: SlowQueryLog) -> None:
    for command in (find("_users", {"email": SECRET}), find("system.views", {}), {"ping": 1}, {}):
        tell(service, command)
    tell(service, find("goods", {"price": 1, "name": "x", "category": "y"}))
    assert [line["collection"] for line in await lines.wait()] == ["goods"]


async def test_query_slower_than_a_second_is_not_run_again(service: Service, lines: SlowQueryLog) -> None:
    tell(service, find("goods", {"price": {"$gte": 1}}, category=1), 1.5)
    (line,) = await lines.wait()
    assert "documents_examined" not in line
    assert line["plan"].startswith("SORT in memory")
    assert line["missing_indexes"]


async def test_remembered_query_shapes_are_bounded(service: Service, lines: SlowQueryLog) -> None:
    services = services_of(service.app)
    slow = SlowQueries(services.database, services.registry, 0.1)
    calls = services.database.pools
    before = calls.slow_s, calls.on_slow
    async with slow.watching():
        for number in range(watch.MAXIMUM_SHAPES + 100):
            slow.note(find("goods", {f"x{number}": 1}), 0.2)
        assert len(slow._seen) == watch.MAXIMUM_SHAPES
        count = watch.MAXIMUM_SHAPES + 100
        found = await lines.wait(count - watch.MAXIMUM_WAITING)
        assert sum("plan" not in line for line in found) == count - watch.MAXIMUM_WAITING
        assert slow._waiting.qsize() <= watch.MAXIMUM_WAITING
    assert calls.on_slow is None
    calls.slow_s, calls.on_slow = before  # of the service, whose connection this one has borrowed


QUERY = {
    "pipeline": [{"match": {"price": {"gt": "$min"}}}, {"sort": "-price"}],
    "parameters": {"min": "number"},
}


async def test_slow_requests_of_every_kind_are_logged(service: Service, lines: SlowQueryLog) -> None:
    client, headers = service.client, service.signed_in("admin")
    calls = services_of(service.app).database.pools
    path = "/api/wares"
    answer = await client.post(path, json={"name": "x", "price": 1}, headers=headers)
    one = answer.headers["location"]
    calls.slow_s = 0.0
    try:
        for method, target, body in (
            ("GET", one, None),
            ("POST", path, {"name": "y", "price": 2}),
            ("GET", f"{path}?filter[price][gte]=999&filter[category]=c1&sort=-name&fields=name", None),
            ("GET", f"{path}?filter[price][lt]=2&count=exact", None),
            ("PATCH", f"{path}?filter[name]=none&max_affected=5", {"price": 3}),
            ("PATCH", one, {"price": 4}),
            ("DELETE", one, None),
        ):
            answer = await client.request(method, target, json=body, headers=headers)
            assert answer.status_code < 300, answer.text
    finally:
        calls.slow_s = 0.15
    await lines.wait(8)
    noted = {(line["operation"], line["filter"], line.get("sort")): line for line in lines.all}
    listed = noted.pop(("find", "{category: ?, price: {$gte: ?}}", "-name,-_id"))
    assert listed["missing_indexes"] == [{"fields": ["category", "-name", "-id", "price"]}]
    assert noted.keys() >= {
        ("insert", "{}", None),
        ("find", "{_id: {$in: ?}}", None),
        ("find", "{price: {$lt: ?}}", "_id"),
        ("count", "{price: {$lt: ?}}", None),
        ("find", "{name: ?}", None),
    }
    for changing in ("update", "delete"):
        assert any(operation == changing and "_id: ?" in where for operation, where, _ in noted), changing
    assert not any("missing_indexes" in line for key, line in noted.items() if "_id" in key[1])


def test_slow_query_log_with_threshold_zero_is_off(service: Service, settings: Settings) -> None:
    services = services_of(service.app)
    off = settings.model_copy(update={"slow_query_ms": 0})
    assert isinstance(slow_queries(off, services), nullcontext)
