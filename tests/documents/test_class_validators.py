"""What a code-first class demands in Python is demanded of every write, as its schema is."""

from collections.abc import Callable
from functools import partial

import pytest
from beanie import Document
from pydantic import field_validator

from models import CollectionDefinition, Counter
from models.base import Stored
from service.collections.registry import Collection, Registry
from service.documents import patches, writing
from service.kit.errors import DocumentInvalid
from service.storage.database import Database
from service.storage.plans import WritePlan
from tests import operator


class Room(Stored, Document):
    number: int

    @field_validator("number")
    @classmethod
    def _is_even(cls, number: int) -> int:
        if number % 2:
            raise ValueError("rooms on this side are even")
        return number

    class Settings:
        name = "rooms"


@pytest.fixture
async def rooms(database: Database) -> Collection:
    registry = Registry(database, (CollectionDefinition, Counter, Room), document_limit_bytes=10_000)
    async with database.stream.running(), registry.following():
        assert await registry.wait_until_loaded(10)
        return registry.get("rooms")


async def refusal(rooms: Collection, plan: Callable[[], WritePlan]) -> list[tuple[str | None, str]]:
    with pytest.raises(DocumentInvalid) as caught:
        await rooms.store.write(plan())
    return [(error.pointer, error.detail) for error in caught.value.errors]


async def test_validators_of_code_first_class_apply_to_every_write(rooms: Collection) -> None:
    room = await operator.created(rooms, {"number": 2})
    odd = [("/number", "rooms on this side are even")]
    access, room_id = operator.access(rooms), room["_id"]
    merged = patches.read("application/merge-patch+json", {"number": 5})
    assert await refusal(rooms, partial(writing.create, access, {"number": 1})) == odd
    assert await refusal(rooms, partial(writing.replace, access, room_id, {"number": 3}, None)) == odd
    assert await refusal(rooms, partial(writing.patch, access, room_id, merged, None)) == odd
    assert await rooms.documents.find({}).to_list(None) == [room]
