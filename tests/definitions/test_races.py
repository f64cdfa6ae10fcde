"""Definitions that two workers change at once, and collections deleted while they are written to."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar

from tests.conftest import connect
from tests.services import services_of

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
FILMS: dict[str, Any] = {"name": "films", "schema": SCHEMA, "rules": {"read": "anyone", "write": "user"}}
BY_A, BY_B = {"fields": ["a"], "unique": True}, {"fields": ["b"], "unique": True}


@pytest.fixture
async def clients(
    client: httpx.AsyncClient, second_worker: Litestar
) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Provide a client of each of two workers."""
    async with connect(second_worker) as second:
        yield [client, second]


async def until(client: httpx.AsyncClient, path: str, status: int) -> None:
    """Wait until a worker answers so."""
    for _ in range(500):
        if (await client.get(path)).status_code == status:
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"{path} was never {status}")


async def indexes(app: Litestar) -> list[list[tuple[str, int]]]:
    known = await services_of(app).registry.database.motor["films"].index_information()
    return sorted(index["key"] for index in known.values())


async def test_concurrent_creates_of_collection_succeed_once_with_its_indexes(
    clients: list[httpx.AsyncClient], app: Litestar, admin: dict[str, str]
) -> None:
    answers = await asyncio.gather(
        *(
            clients[number % 2].post(
                "/api/collections",
                json=FILMS | {"indexes": [BY_A if number % 4 else BY_B]},
                headers=admin,
            )
            for number in range(8)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    [created] = [answer.json()["data"] for answer in answers if answer.status_code == 201]
    own = [(created["indexes"][0]["fields"][0], 1)]
    assert await indexes(app) == [[("_id", 1)], own]


async def test_concurrent_definition_changes_succeed_once_with_its_indexes(
    clients: list[httpx.AsyncClient], app: Litestar, admin: dict[str, str]
) -> None:
    await clients[0].post("/api/collections", json=FILMS, headers=admin)
    await until(clients[1], "/api/films", 200)
    changes = [[BY_A], [BY_A, {"fields": ["b"]}], [{"fields": ["a"]}], [BY_B, BY_A]]
    answers = await asyncio.gather(
        *(
            clients[number % 2].patch(
                "/api/collections/films", json={"indexes": changes[number % 4]}, headers=admin
            )
            for number in range(8)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    [changed] = [answer.json()["data"] for answer in answers if answer.status_code == 200]
    own = [[(index["fields"][0], 1)] for index in changed["indexes"]]
    assert await indexes(app) == sorted([[("_id", 1)], *own])


async def test_writes_during_deletion_are_not_in_recreated_collection(
    clients: list[httpx.AsyncClient], app: Litestar, admin: dict[str, str], ann: dict[str, str]
) -> None:
    await clients[0].post("/api/collections", json=FILMS, headers=admin)
    await until(clients[1], "/api/films", 200)
    is_over = asyncio.Event()

    async def write(client: httpx.AsyncClient) -> None:
        while not is_over.is_set():
            await client.post("/api/films", json={"a": "old"}, headers=ann)
            await asyncio.sleep(0)

    writers = [asyncio.create_task(write(clients[number % 2])) for number in range(6)]
    await asyncio.sleep(0.1)
    deleted = await clients[0].delete("/api/collections/films?confirm=films", headers=admin)
    closed = FILMS | {"schema": {"type": "object", "properties": {}, "additionalProperties": False}}
    created = await clients[0].post("/api/collections", json=closed, headers=admin)
    is_over.set()
    await asyncio.gather(*writers)
    assert (deleted.status_code, created.status_code) == (200, 201)
    assert (await clients[0].get("/api/films")).json()["data"] == []


async def test_late_write_to_deleted_collection_does_not_block_its_name(
    client: httpx.AsyncClient, app: Litestar, admin: dict[str, str], ann: dict[str, str]
) -> None:
    await client.post("/api/collections", json=FILMS, headers=admin)
    await client.post("/api/films", json={"a": "old"}, headers=ann)
    films = services_of(app).registry.database.motor["films"]
    late = await films.find_one({})
    assert late is not None
    await client.delete("/api/collections/films?confirm=films", headers=admin)
    await films.insert_one(late)
    assert (await client.post("/api/collections", json=FILMS, headers=admin)).status_code == 201
    assert (await client.get("/api/films")).json()["data"] == []


async def test_foreign_documents_under_deleted_name_are_kept(
    client: httpx.AsyncClient, app: Litestar, admin: dict[str, str]
) -> None:
    await client.post("/api/collections", json=FILMS, headers=admin)
    await client.delete("/api/collections/films?confirm=films", headers=admin)
    films = services_of(app).registry.database.motor["films"]
    await films.insert_one({"a": "theirs"})
    answer = await client.post("/api/collections", json=FILMS, headers=admin)
    assert (answer.status_code, answer.json()["code"]) == (409, "collection.exists")
    assert await films.count_documents({"a": "theirs"}) == 1


async def test_interrupted_deletion_is_completed_by_next_creation(
    client: httpx.AsyncClient, app: Litestar, admin: dict[str, str], ann: dict[str, str]
) -> None:
    await client.post("/api/collections", json=FILMS, headers=admin)
    await client.post("/api/films", json={"a": "old"}, headers=ann)
    definitions = services_of(app).registry.database.motor["_collections"]
    await definitions.update_one({"_id": "films"}, {"$set": {"is_deleting": True}})
    await until(client, "/api/films", 404)
    under_way = await client.post("/api/collections", json=FILMS, headers=admin)
    assert (under_way.status_code, under_way.json()["code"]) == (409, "collection.exists")
    await definitions.update_one(
        {"_id": "films"}, [{"$set": {"_updated_at": {"$subtract": ["$$NOW", 61_000]}}}]
    )
    assert (await client.post("/api/collections", json=FILMS, headers=admin)).status_code == 201
    assert (await client.get("/api/films")).json()["data"] == []


async def test_worker_with_outdated_definition_cannot_delete_newer_collection(
    client: httpx.AsyncClient, app: Litestar, admin: dict[str, str]
) -> None:
    await client.post("/api/collections", json=FILMS, headers=admin)
    registry = services_of(app).registry
    outdated = registry.get("films")
    await client.delete("/api/collections/films?confirm=films", headers=admin)
    await client.post("/api/collections", json=FILMS, headers=admin)
    registry._collections = {**registry._collections, "films": outdated}
    answer = await client.delete("/api/collections/films?confirm=films", headers=admin)
    assert (answer.status_code, answer.json()["code"]) == (409, "collection.changed")
    kept = await registry.database.motor["_collections"].find_one({"_id": "films"})
    assert kept is not None
    assert kept["is_deleting"] is False
