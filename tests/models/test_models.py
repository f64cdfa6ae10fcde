"""What is stored: names, system fields, precision; in memory, for behaviour is tested on a real MongoDB."""

from datetime import UTC, timedelta
from typing import Any

import pytest
from beanie import Document, init_beanie
from mongomock_motor import AsyncMongoMockClient

import models
from models import DOCUMENTS, CollectionDefinition, Product
from models.base import SYSTEM_FIELDS, Stored, utc_now


@pytest.fixture
async def database() -> None:
    client: Any = AsyncMongoMockClient(tz_aware=True)
    await init_beanie(database=client["models"], document_models=list(DOCUMENTS))


def test_utc_now_is_in_utc_with_millisecond_precision() -> None:
    assert utc_now().utcoffset() == timedelta(0)
    assert utc_now().microsecond % 1000 == 0


def test_every_exported_document_class_is_in_documents() -> None:
    exported = {
        each
        for name in models.__all__
        if isinstance(each := getattr(models, name), type) and issubclass(each, Document)
    }
    assert exported == set(DOCUMENTS)


@pytest.mark.parametrize("model", DOCUMENTS, ids=lambda model: model.__name__)
def test_no_document_class_derives_from_another(model: type[Document]) -> None:
    assert issubclass(model, Stored)
    assert [base for base in model.__mro__[1:] if issubclass(base, Document) and base in DOCUMENTS] == []


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("model", DOCUMENTS, ids=lambda model: model.__name__)
def test_only_products_collection_is_public(model: type[Document]) -> None:
    assert model.get_collection_name().startswith("_") == (model is not Product)


@pytest.mark.usefixtures("database")
async def test_system_fields_are_stored_under_public_names() -> None:
    product = await Product(name="Mug", price=9.5).insert()
    stored = await Product.get_motor_collection().find_one({"_id": product.id})
    assert stored is not None
    assert set(SYSTEM_FIELDS) <= stored.keys()
    assert (stored["_version"], stored["_owner"], stored["name"]) == (1, None, "Mug")
    assert stored["_created_at"].replace(tzinfo=UTC) == product.created_at


@pytest.mark.usefixtures("database")
async def test_stored_definition_is_read_back() -> None:
    definition = CollectionDefinition(id="films", uid="u1", schema_text='{"$ref": "#/$defs/a.b"}')
    await definition.insert()
    assert await CollectionDefinition.get("films") == definition
