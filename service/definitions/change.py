"""Creating, replacing and deleting runtime collections: checked wholly first, then all or nothing."""

from typing import Any
from uuid import uuid4

from pymongo.errors import DuplicateKeyError

from models.base import utc_now
from models.definition import CollectionDefinition
from service.definitions import building, names
from service.definitions import description as descriptions
from service.definitions.description import Description
from service.errors import (
    CollectionChanged,
    CollectionExists,
    CollectionNotFound,
    DefinitionInvalid,
    Violation,
)
from service.registry import Collection, Registry


async def create(registry: Registry, body: dict[str, Any], owner: str | None) -> Collection:
    """Create a collection from `{"name", "schema", "rules"?, "indexes"?, "options"?}`.

    Raises DefinitionInvalid, CollectionExists (also when MongoDB holds documents under that name that are not
    Sheaf's), Duplicate.
    """
    name = names.check(body.get("name"))
    description = descriptions.parse({member: part for member, part in body.items() if member != "name"})
    await _refuse_taken(registry, name)
    documents = registry.database.motor[name]
    definition = CollectionDefinition(
        id=name, uid=uuid4().hex, owner=owner, **descriptions.texts(description)
    )
    await registry.database.patiently(lambda: building.build(documents, description.indexes, []))
    try:
        await definition.insert()
    except DuplicateKeyError:
        raise CollectionExists(f"There is a collection `{name}` already") from None
    return await registry.apply(definition)


async def replace(registry: Registry, collection: Collection, body: dict[str, Any]) -> Collection:
    """Replace the description of a runtime collection, which must be the stored one still.

    Raises DefinitionInvalid, Duplicate, CollectionChanged when somebody else was first; nothing changes then.
    """
    description = descriptions.parse(body)
    _refuse_other_id_type(collection, description)
    documents = registry.database.motor[collection.name]
    present = collection.description.indexes
    await registry.database.patiently(lambda: building.build(documents, description.indexes, present))
    changed = await CollectionDefinition.get_motor_collection().update_one(
        {"_id": collection.name, "uid": collection.uid, "_version": collection.version, "is_deleting": False},
        {
            "$set": {**descriptions.texts(description), "_updated_at": utc_now()},
            "$inc": {"_version": 1},
        },
    )
    if changed.modified_count == 0:
        await building.drop_unwanted(documents, present, description.indexes)
        raise CollectionChanged
    await building.drop_unwanted(documents, description.indexes, present)
    return await registry.apply(await stored(collection.name))


async def delete(registry: Registry, name: str) -> int:
    """Delete a runtime collection with all its documents; gives how many they were.

    The definition is marked first and removed last, so that a deletion cut off in the middle is finished by
    the next deletion or creation of that name, and its documents are never served again.
    """
    definitions = CollectionDefinition.get_motor_collection()
    marked = await definitions.update_one({"_id": name}, {"$set": {"is_deleting": True}})
    if marked.matched_count == 0:
        raise CollectionNotFound
    registry.remove(name)
    documents = registry.database.motor[name]
    count = int(await documents.estimated_document_count())
    await registry.database.patiently(documents.drop)
    await definitions.delete_one({"_id": name, "is_deleting": True})
    await registry.database.motor["_counters"].delete_one({"_id": name})
    return count


async def stored(name: str) -> CollectionDefinition:
    """Read the stored definition of a collection; raises CollectionNotFound."""
    definition = await CollectionDefinition.get(name)
    if definition is None or definition.is_deleting:
        raise CollectionNotFound
    return definition


async def count(collection: Collection) -> int:
    """Estimate the number of documents of a collection from MongoDB's own books."""
    return int(await collection.documents.estimated_document_count())


async def _refuse_taken(registry: Registry, name: str) -> None:
    if any(collection.name == name for collection in registry.all()):
        raise CollectionExists(f"There is a collection `{name}` already")
    left_over = await CollectionDefinition.get(name)
    if left_over is not None and left_over.is_deleting:
        await delete(registry, name)
    elif left_over is None and await registry.database.motor[name].find_one({}, {"_id": 1}) is not None:
        raise CollectionExists(
            f"The database holds documents under `{name}` that no definition describes",
            hint="Choose another name, or move those documents away first.",
        )


def _refuse_other_id_type(collection: Collection, description: Description) -> None:
    if description.options.id_kind != collection.description.options.id_kind:
        detail = "the id_type of a collection cannot change"
        violation = Violation(detail, "immutable", pointer="/options/id_type")
        raise DefinitionInvalid(detail, errors=[violation])
