"""Two workers on one database: what is defined on one is in force on the other."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from litestar import Litestar

from models import CollectionDefinition
from service.app import create_app
from service.runtime.settings import Settings
from tests import streams
from tests.conftest import Service, connect, opened
from tests.pace import within
from tests.services import services_of

BOUND_S = 1.0
FILMS: dict[str, Any] = {
    "name": "films",
    "schema": {"type": "object", "properties": {"title": {"type": "string"}}},
    "rules": {"read": "anyone", "write": "user"},
}


@pytest.fixture
async def other(second_worker: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a second worker."""
    async with connect(second_worker) as client:
        yield client


async def within_bound(is_true: Callable[[], Awaitable[bool]]) -> None:
    with within(BOUND_S):
        while not await is_true():  # noqa: ASYNC110  # another worker has no event to wait for
            await asyncio.sleep(0.02)


async def test_definition_change_reaches_every_worker_within_one_second(
    client: httpx.AsyncClient, other: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    async def status() -> int:
        return (await other.get("/api/films")).status_code

    async def is_open() -> bool:
        return await status() == 200

    async def is_closed() -> bool:
        return await status() == 401

    async def is_gone() -> bool:
        return await status() == 404

    assert await is_gone()
    assert (await client.post("/api/collections", json=FILMS, headers=admin)).status_code == 201
    await within_bound(is_open)
    closed = {"rules": {"read": "user"}}
    assert (await client.patch("/api/collections/films", json=closed, headers=admin)).status_code == 200
    await within_bound(is_closed)
    assert (await client.delete("/api/collections/films?confirm=films", headers=admin)).status_code == 200
    await within_bound(is_gone)


async def test_recreated_collection_reaches_every_worker(
    client: httpx.AsyncClient, other: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    for rules in ({"read": "anyone"}, {"read": "nobody"}, {"read": "anyone"}, {"read": "user"}):
        created = await client.post("/api/collections", json=FILMS | {"rules": rules}, headers=admin)
        assert created.status_code == 201, created.text
        expected = 200 if rules == {"read": "anyone"} else 401
        assert (await client.get("/api/films")).status_code == expected

        async def agrees(wanted: int = expected) -> bool:
            return (await other.get("/api/films")).status_code == wanted

        await within_bound(agrees)
        if rules != {"read": "user"}:
            await client.delete("/api/collections/films?confirm=films", headers=admin)


async def test_concurrent_changes_on_two_workers_do_not_share_version(
    client: httpx.AsyncClient, other: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    await client.post("/api/collections", json=FILMS, headers=admin)

    async def is_there() -> bool:
        return (await other.get("/api/films")).status_code == 200

    await within_bound(is_there)
    changes = [{"rules": {"read": "user"}}, {"rules": {"read": "nobody"}}]
    answers = await asyncio.gather(
        *(
            each.patch("/api/collections/films", json=change, headers=admin)
            for each, change in zip((client, other), changes, strict=True)
        )
    )
    assert sorted(answer.status_code for answer in answers) in ([200, 200], [200, 409])
    stored = await CollectionDefinition.get("films")
    assert stored is not None
    assert stored.version == 1 + sum(answer.status_code == 200 for answer in answers)


async def test_definitions_are_reloaded_after_change_stream_gap(
    client: httpx.AsyncClient, shared: Service, app: Litestar, admin: dict[str, str]
) -> None:
    await client.post("/api/collections", json=FILMS, headers=admin)

    async def is_gone() -> bool:
        return (await client.get("/api/films")).status_code == 404

    async with streams.interrupted(shared.database, shared.workers):
        shared.database["_collections"].delete_one({"_id": "films"})
        await within_bound(is_gone)


async def test_unreadable_definition_closes_only_its_own_collection(
    client: httpx.AsyncClient, settings: Settings, app: Litestar, admin: dict[str, str]
) -> None:
    await client.post("/api/collections", json=FILMS, headers=admin)
    await client.post("/api/collections", json=FILMS | {"name": "books"}, headers=admin)
    broken = {"$set": {"schema_text": '{"type": "nonsense"}'}, "$inc": {"_version": 1}}
    await services_of(app).database.motor["_collections"].update_one({"_id": "films"}, broken)

    async def is_gone() -> bool:
        return (await client.get("/api/films")).status_code == 404

    await within_bound(is_gone)
    assert (await client.get("/api/books")).status_code == 200
    anew = create_app(settings)
    async with opened(anew), connect(anew) as fresh:
        assert (await fresh.get("/api/films")).status_code == 404
        assert (await fresh.get("/api/books")).status_code == 200
