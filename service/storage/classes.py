"""What Beanie cannot say about documents of our classes: write on a condition, take one, read as stored."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from beanie import Document
from bson import Timestamp
from pymongo import ReturnDocument

from service.storage.database import Database
from service.storage.errors import DuplicateKey
from service.storage.transactions import session

_NOW = {"$toLong": "$$NOW"}
"""As a number, because SecantusDB takes no date for later than `$$NOW`."""


def is_past(moment: str) -> dict[str, Any]:
    """Return the expression that the time of a field (`"$expires_at"`) is over, or that there is none."""
    return {"$lte": [{"$toLong": moment}, _NOW]}


def is_to_come(moment: str) -> dict[str, Any]:
    """Return the expression that the time of a field (`"$expires_at"`) is later than now."""
    return {"$gt": [{"$toLong": moment}, _NOW]}


def until(moment: str) -> dict[str, Any]:
    """Return the expression of the milliseconds until the time of a field, null where there is none."""
    return {"$subtract": [{"$toLong": moment}, _NOW]}


Model = TypeVar("Model", bound=Document)
Stored = Mapping[str, Any]

INSERT_ATTEMPTS = 3


async def insert(document: Document) -> None:
    """Insert a document, in the present transaction; raises DuplicateKey."""
    await _collection(type(document)).insert_one(_written(document), session=session())


async def replace(document: Document, condition: Mapping[str, Any]) -> bool:
    """Put a document in the place of the one that fulfils a condition; returns whether there was one."""
    model = type(document)
    replaced = await _collection(model).replace_one(condition, _written(document), session=session())
    return bool(replaced.matched_count)


async def update(model: type[Document], condition: Mapping[str, Any], change: Mapping[str, Any]) -> bool:
    """Change the one document of a class that fulfils a condition; returns whether there was one."""
    updated = await _collection(model).update_one(condition, change, session=session())
    return bool(updated.matched_count)


async def take(model: type[Model], condition: dict[str, Any]) -> Model | None:
    """Delete one document that fulfils a condition and return it, None when there is none.

    One atomic operation, which Beanie lacks: its `delete` does not tell what was deleted. Joins the present
    transaction.
    """
    taken = await model.get_motor_collection().find_one_and_delete(condition, session=session())
    return None if taken is None else model.model_validate(taken)


async def compute(
    model: type[Model], condition: dict[str, Any], stages: Sequence[Mapping[str, Any]]
) -> Model | None:
    """Change one document that fulfils a condition by an update pipeline, and return it as it is then.

    One atomic operation, in which the new values are computed from the stored ones and the database's clock.
    None when there is no such document. Joins the present transaction.
    """
    computed: Model | None = await _compute(model, condition, stages, upsert=False)
    return computed


async def compute_or_insert(model: type[Model], key: str, stages: Sequence[Mapping[str, Any]]) -> Model:
    """Change the document of an id by an update pipeline as above; one that is not there begins empty.

    Not for use within a transaction.
    """
    for _ in range(INSERT_ATTEMPTS - 1):
        with suppress(DuplicateKey):  # two inserted it at once; now it is there to change
            made: Model = await _compute(model, {"_id": key}, stages, upsert=True)
            return made
    last: Model = await _compute(model, {"_id": key}, stages, upsert=True)
    return last


async def _compute(
    model: type[Model], condition: dict[str, Any], stages: Sequence[Mapping[str, Any]], *, upsert: bool
) -> Any:
    computed = await model.get_motor_collection().find_one_and_update(
        condition, list(stages), upsert=upsert, return_document=ReturnDocument.AFTER, session=session()
    )
    return None if computed is None else model.model_validate(computed)


async def found(
    database: Database,
    model: type[Document],
    condition: Mapping[str, Any],
    *,
    after: Timestamp,
    order: str = "_id",
    limit: int = 0,
) -> list[Stored]:
    """Return documents of a class as stored at a cluster time or later; 0 is no limit.

    Not by Beanie, which would make an object of each of hundreds of thousands, cannot read what somebody else
    has written into them, and knows no class yet when the database was away at the start.
    """
    async with database.reading_after(after) as opened:
        cursor = database.motor[name_of(model)].find(condition, limit=limit, session=opened).sort(order, 1)
        return [*await cursor.to_list(None)]


def name_of(model: type[Document]) -> str:
    """Return the name of a class's collection."""
    name: str = model.Settings.name
    return name


def _written(document: Document) -> dict[str, Any]:
    """Return a document as it is stored, with its id if it has one."""
    members = document.model_dump(by_alias=True, exclude={"id", "revision_id"})
    return members if document.id is None else {"_id": document.id, **members}


def _collection(model: type[Document]) -> Any:
    """Return the driver's collection of a class, as the present transaction can use it.

    Where applications share a process, a class belongs to the last that began, a transaction to its own.
    """
    collection, opened = model.get_motor_collection(), session()
    return collection if opened is None else opened.client[collection.database.name][collection.name]
