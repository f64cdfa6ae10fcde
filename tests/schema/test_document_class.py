from typing import Any
from uuid import UUID, uuid4

import pytest
from beanie import Document, PydanticObjectId, init_beanie
from mongomock_motor import AsyncMongoMockClient

from service.schema import classes, document_class
from service.schema import compile as compile_schema

FIRST = compile_schema({"type": "object", "properties": {"price": {"type": "number"}}})
SECOND = compile_schema(
    {
        "type": "object",
        "properties": {
            "price": {"type": ["number", "null"]},
            "made": {"type": "string", "format": "date-time"},
            "find": {"type": "string"},
            "class": {"type": "string"},
            "model_dump_all": {"type": "string"},
            "with space": {"type": "string"},
        },
    }
)


async def initialised(*models: type[Document]) -> Any:
    client: Any = AsyncMongoMockClient()
    for model in models:
        await init_beanie(database=client["goods"], document_models=[model])
    return client


async def test_two_versions_of_document_class_coexist() -> None:
    before = document_class("goods", 1, FIRST, PydanticObjectId)
    after = document_class("goods", 2, SECOND, PydanticObjectId)
    await initialised(before, after)

    old = await before(price=2).insert()
    new = await after(price=4, colour="red").insert()
    query: Any = after.price > 3

    assert (before.__name__, after.__name__) == ("goods__1", "goods__2")
    assert query == {"price": {"$gt": 3}}
    assert [found.id for found in await after.find(query).to_list()] == [new.id]
    assert [found.id for found in await before.find_all().to_list()] == [old.id, new.id]
    assert (await after.get(new.id)).colour == "red"  # type: ignore[union-attr]  # as above


@pytest.mark.parametrize(("id_type", "given"), [(int, 7), (str, "seven"), (UUID, uuid4())])
async def test_document_class_uses_id_type_of_collection(id_type: type, given: Any) -> None:
    model = document_class("goods", f"{id_type.__name__}_1", FIRST, id_type)
    await initialised(model)

    await model(id=given, price=1).insert()

    assert (await model.get(given)).id == given  # type: ignore[union-attr]  # it was just inserted


def test_names_that_are_no_attributes_become_extra_fields() -> None:
    model = document_class("goods", 3, SECOND, PydanticObjectId)

    assert model.model_fields.keys() - Document.model_fields.keys() == {
        "price",
        "made",
        "version",
        "created_at",
        "updated_at",
        "owner",
    }
    assert model.model_config["extra"] == "allow"
    assert classes._judge(model) is None
