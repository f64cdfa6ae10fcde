"""Indexes that classes declare: built when the service starts, in the place of what cannot be beside them."""

from collections.abc import Mapping
from typing import Any

from litestar import Litestar

from models import Product
from service.app import create_app
from service.collections import building, indexes
from service.query.fields import Field
from service.query.kinds import Kind
from service.runtime.settings import Settings
from service.storage.database import Database
from service.storage.store import Store
from tests.conftest import opened
from tests.services import services_of

FIELDS = Field(
    kinds=frozenset({Kind.OBJECT}),
    fields={name: Field(frozenset({Kind.STRING})) for name in ("name", "description")},
)


def text_keys(information: Mapping[str, Any]) -> list[list[str]]:
    return [sorted(index["weights"]) for index in information.values() if "weights" in index]


async def test_indexes_of_class_exist_after_startup(app: Litestar) -> None:
    database: Database = services_of(app).database
    built = await database.motor["products"].index_information()
    (wanted,) = indexes.parse(Product.indexes, FIELDS)
    assert built[wanted.name]["weights"] == {"description": 1, "name": 1}
    assert services_of(app).registry.get("products").description.indexes == (wanted,)


async def test_text_index_of_class_replaces_existing_one(database: Database, settings: Settings) -> None:
    products = database.motor["products"]
    await products.create_index([("name", "text")], name="of_before")
    async with opened(create_app(settings)):
        assert text_keys(await products.index_information()) == [["description", "name"]]


async def test_unique_index_violated_by_documents_is_skipped(database: Database) -> None:
    things = database.motor["things"]
    await things.insert_many([{"name": "a"}, {"name": "a"}])
    wanted = indexes.parse([{"fields": ["name"], "unique": True}, {"text": ["name"]}], FIELDS)
    await building.ensure(Store(things), wanted)
    assert set(await things.index_information()) == {"_id_", wanted[1].name}
    await things.delete_many({})
    for _ in range(2):
        await building.ensure(Store(things), wanted)
        assert set(await things.index_information()) == {"_id_", *(index.name for index in wanted)}
