"""The option `live`: MongoDB keeps the images of documents where it is on, and nowhere else."""

from collections.abc import AsyncIterator
from typing import Any, ClassVar

import httpx
import pytest
from beanie import Document
from litestar import Litestar
from structlog.testing import capture_logs

from models import Counter
from models.base import Stored
from models.definition import CollectionDefinition
from service.app import create_app
from service.collections.registry import Registry
from service.runtime.settings import Settings
from service.storage import images
from service.storage.database import Database
from tests.conftest import connect, opened
from tests.services import services_of
from tests.storage.listener import Commands
from tests.storage.listener import connect as connect_listening

FILMS: dict[str, Any] = {
    "name": "films",
    "schema": {"type": "object", "properties": {"title": {"type": "string"}}},
    "rules": {"read": "anyone", "write": "user"},
}
PATH = "/api/collections/films"

Answered = tuple[bool, bool]


async def state(app: Litestar) -> Answered:
    """Whether `films` is live by its definition, and whether MongoDB keeps its images."""
    services = services_of(app)
    return services.registry.get("films").is_live, "films" in await images.kept(services.database)


@pytest.mark.parametrize(
    ("options", "is_live"),
    [({}, True), ({"live": True}, True), ({"live": None}, True), ({"live": False}, False)],
)
async def test_collection_is_live_unless_its_definition_says_otherwise(
    app: Litestar,
    client: httpx.AsyncClient,
    admin: dict[str, str],
    options: dict[str, Any],
    is_live: bool,
) -> None:
    created = await client.post("/api/collections", json=FILMS | {"options": options}, headers=admin)
    assert created.status_code == 201, created.text
    assert created.json()["data"]["options"] == options
    assert await state(app) == (is_live, is_live)


async def test_changed_option_is_in_force_with_the_answer(
    app: Litestar, client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    await client.post("/api/collections", json=FILMS, headers=admin)
    await client.post("/api/films", json={"title": "Stalker"}, headers=admin)
    for options, is_live in (
        ({"live": False}, False),
        ({"live": True}, True),
        ({"live": False}, False),
        ({}, True),
    ):
        answer = await client.put(PATH, json=FILMS | {"options": options}, headers=admin)
        assert answer.status_code == 200, answer.text
        assert await state(app) == (is_live, is_live)


async def test_collection_of_a_name_used_before_has_its_own_option(
    app: Litestar, client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    await client.post("/api/collections", json=FILMS, headers=admin)
    await client.delete(f"{PATH}?confirm=films", headers=admin)
    await images.keep(services_of(app).database, "films")  # as a creation leaves it that was cut off
    answer = await client.post("/api/collections", json=FILMS | {"options": {"live": False}}, headers=admin)
    assert answer.status_code == 201, answer.text
    assert await state(app) == (False, False)


@pytest.mark.parametrize("live", ["yes", 1, []])
async def test_wrong_option_is_refused(client: httpx.AsyncClient, admin: dict[str, str], live: Any) -> None:
    answer = await client.post("/api/collections", json=FILMS | {"options": {"live": live}}, headers=admin)
    assert answer.status_code == 400
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [
        ("/options/live", "type")
    ]


async def test_refused_change_leaves_images_as_they_were(
    app: Litestar, client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    await client.post("/api/collections", json=FILMS | {"options": {"live": False}}, headers=admin)
    await client.post("/api/films", json={"title": "Stalker"}, headers=admin)
    await client.post("/api/films", json={"title": "Stalker"}, headers=admin)
    unique = {"options": {"live": True}, "indexes": [{"fields": ["title"], "unique": True}]}
    answer = await client.put(PATH, json=FILMS | unique, headers=admin)
    assert answer.status_code == 409
    assert await state(app) == (False, False)


async def test_server_without_images_refuses_the_option_and_serves_without(
    app: Litestar, client: httpx.AsyncClient, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    services = services_of(app)
    monkeypatch.setattr(services.database, "_keeps_images", False)
    monkeypatch.setattr(services.registry, "_keeps_images", False)
    answer = await client.post("/api/collections", json=FILMS | {"options": {"live": True}}, headers=admin)
    assert answer.status_code == 400
    [fault] = answer.json()["errors"]
    assert (fault["pointer"], fault["code"]) == ("/options/live", "unsupported")
    assert (await client.get(PATH, headers=admin)).status_code == 404
    created = await client.post("/api/collections", json=FILMS, headers=admin)
    assert created.status_code == 201, created.text
    assert await state(app) == (False, False)
    changed = await client.patch(PATH, json={"options": {"live": True}}, headers=admin)
    assert [each["pointer"] for each in changed.json()["errors"]] == ["/options/live"]


class Radio(Stored, Document):
    station: str

    class Settings:
        name = "radios"


class Safe(Stored, Document):
    content: str

    options: ClassVar[dict[str, Any]] = {"live": False}

    class Settings:
        name = "safes"


async def test_class_is_live_unless_it_says_otherwise(database: Database) -> None:
    models = (CollectionDefinition, Counter, Radio, Safe)
    registry = Registry(database, models, document_limit_bytes=10_000)
    async with database.stream.running(), registry.following():
        assert await registry.wait_until_loaded(10)
        assert (registry.get("radios").is_live, registry.get("safes").is_live) == (True, False)
        assert await images.kept(database) == {"radios"}


async def test_class_that_is_live_no_more_loses_its_images(database: Database) -> None:
    await images.keep(database, "safes")
    registry = Registry(database, (CollectionDefinition, Counter, Safe), document_limit_bytes=10_000)
    async with database.stream.running(), registry.following():
        assert await registry.wait_until_loaded(10)
        assert await images.kept(database) == set()


class Stage(Stored, Document):
    options: ClassVar[dict[str, Any]] = {"live": True}

    class Settings:
        name = "stages"


async def test_class_that_wants_to_be_live_on_a_server_without_images_is_told_of(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_keeps_images", False)
    registry = Registry(database, (CollectionDefinition, Counter, Stage, Radio), document_limit_bytes=10_000)
    with capture_logs() as logs:
        async with database.stream.running(), registry.following():
            assert await registry.wait_until_loaded(10)
            assert (registry.get("stages").is_live, registry.get("radios").is_live) == (False, False)
    assert [(each["event"], each["collection"]) for each in logs] == [("images.unsupported", "stages")]


@pytest.fixture
async def heard(mongodb_uri: str, settings: Settings) -> AsyncIterator[tuple[Database, Commands]]:
    database, commands = connect_listening(mongodb_uri, settings.database)
    yield database, commands
    database.close()


async def test_images_of_earlier_collections_are_kept_from_the_next_start_on(
    heard: tuple[Database, Commands],
) -> None:
    database, commands = heard
    await database.motor["radios"].insert_one({"station": "x", "_version": 1})
    for changes in (["collMod"], []):  # a second start finds nothing to do
        commands.sent.clear()
        registry = Registry(database, (CollectionDefinition, Counter, Radio), document_limit_bytes=10_000)
        async with database.stream.running(), registry.following():
            assert await registry.wait_until_loaded(10)
        assert await images.kept(database) == {"radios"}
        names = [name for name in commands.names() if name in {"collMod", "create", "listCollections"}]
        assert names == ["listCollections", *changes, "listCollections"]


async def test_definition_stored_before_the_option_was_known_is_live_after_a_start(
    app: Litestar, client: httpx.AsyncClient, admin: dict[str, str], settings: Settings
) -> None:
    await client.post("/api/collections", json=FILMS, headers=admin)
    await images.discard(services_of(app).database, "films")
    anew = create_app(settings)
    async with opened(anew), connect(anew):
        assert await state(anew) == (True, True)


async def test_collection_whose_images_mongodb_refuses_is_served_and_not_live(database: Database) -> None:
    """A time series has none."""
    await database.motor.command({"create": "radios", "timeseries": {"timeField": "_created_at"}})
    registry = Registry(database, (CollectionDefinition, Counter, Radio), document_limit_bytes=10_000)
    with capture_logs() as logs:
        async with database.stream.running(), registry.following():
            assert await registry.wait_until_loaded(10), logs
            assert not registry.get("radios").is_live
    assert [(each["event"], each["collection"]) for each in logs] == [("images.not_set", "radios")]
    await database.client.drop_database(database.motor.name)  # the next test could not empty it
