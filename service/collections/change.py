"""Creating, replacing and deleting runtime collections: checked wholly first, then all or nothing."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from models.base import utc_now
from models.definition import CollectionDefinition
from service.audit import AuditContext
from service.collections import building, names
from service.collections import description as descriptions
from service.collections.description import Description
from service.collections.indexes import Index
from service.collections.registry import Collection, Registry
from service.kit.errors import (
    CollectionChanged,
    CollectionExists,
    CollectionNotFound,
    DefinitionInvalid,
    Violation,
)
from service.runtime import deadline
from service.storage import classes
from service.storage.errors import DuplicateKey
from service.storage.plans import Clear, Origin
from service.storage.store import Store

CUT_OFF_S = 60.0
"""After how long a deletion that has not come to its end counts as cut off."""

STRAY_S = 1.5
"""How long after a deletion a write may still arrive, from a worker that has not heard of it yet."""

MAXIMUM_NOTED = 4000
"""How many characters of rules are noted in the audit log."""

STRAY = timedelta(seconds=10)
"""How far from a deletion such a write may be dated, by another worker's clock."""


async def create(
    registry: Registry, body: dict[str, Any], owner: str | None, audit: AuditContext | None = None
) -> Collection:
    """Create a collection from `{"name", "schema", "rules"?, "indexes"?, "options"?}`.

    It is noted in the audit log, if there is a context, as the other changes are.

    Raises DefinitionInvalid, CollectionExists (also when MongoDB holds documents under that name that are not
    Sheaf's), Duplicate.
    """
    name = names.check(body.get("name"))
    description = descriptions.parse({member: part for member, part in body.items() if member != "name"})
    if any(collection.name == name for collection in registry.all()):
        raise _exists(name)
    deleted = await _deleted(registry, name, owner)
    store = Store.named(registry.database, name)
    if not await store.is_empty():
        raise CollectionExists(
            f"The database holds documents under `{name}` that no definition describes",
            hint="Choose another name, or move those documents away first.",
        )
    definition = CollectionDefinition(
        id=name, uid=uuid4().hex, owner=owner, **descriptions.texts(description)
    )
    try:
        await registry.database.patiently(lambda: building.build(store, description.indexes, []))
        await building.prepare_images(registry.database, name, description.options)
        await registry.database.transaction(partial(_store, definition, deleted, audit))
    except BaseException:  # a client that leaves cancels, and leaves no index behind either
        await _settle(registry, name, description.indexes)
        raise
    return await registry.apply(definition)


async def replace(
    registry: Registry, collection: Collection, body: dict[str, Any], audit: AuditContext | None = None
) -> Collection:
    """Replace the description of a runtime collection, which must be the stored one still.

    Raises DefinitionInvalid, Duplicate, CollectionChanged when somebody else was first; nothing changes then.
    """
    description = descriptions.parse(body)
    _refuse_other_id_type(collection, description)
    present = collection.description.indexes
    has_other_options = description.options != collection.description.options
    try:
        if has_other_options and description.options.is_live:  # before anybody relies on it
            await building.prepare_images(registry.database, collection.name, description.options)
        await registry.database.patiently(
            lambda: building.build(collection.store, description.indexes, present)
        )
        await registry.database.transaction(partial(_restate, collection, description, audit))
    except BaseException:  # a client that leaves cancels, and leaves no index behind either
        await _settle(registry, collection.name, description.indexes, images=has_other_options)
        raise
    await _settle(registry, collection.name, present, images=has_other_options)
    return await registry.apply(await stored(collection.name))


async def delete(
    registry: Registry, name: str, version: int | None = None, audit: AuditContext | None = None
) -> int:
    """Delete a runtime collection with all its documents; returns how many they were.

    Raises CollectionNotFound, and CollectionChanged when it is not the one known here any more, or not at the
    given version. The definition is marked first, so that a deletion cut off in the middle is finished by the
    next creation of that name, and its documents are never served again.
    """
    collection = registry.get(name)
    if not await registry.database.transaction(partial(_mark, collection, version, audit)):
        await stored(name)
        raise CollectionChanged
    registry.remove(name)
    count = await collection.store.estimated_count()
    await _empty(registry, name, collection.uid, None if audit is None else audit.actor.id)
    return count


async def stored(name: str) -> CollectionDefinition:
    """Read the stored definition of a collection; raises CollectionNotFound."""
    definition = await CollectionDefinition.get(name)
    if definition is None or definition.is_deleting:
        raise CollectionNotFound
    return definition


async def count(collection: Collection) -> int:
    """Estimate the number of documents of a collection from MongoDB's own books."""
    return await collection.store.estimated_count()


def _text(rules: Any) -> str:
    """Return rules as text for the audit log: their names may be such as MongoDB gives a meaning."""
    written = json.dumps(rules, ensure_ascii=False, separators=(",", ":"))
    return written if len(written) <= MAXIMUM_NOTED else f"{written[:MAXIMUM_NOTED]}…"


def _exists(name: str) -> CollectionExists:
    return CollectionExists(f"There is a collection `{name}` already")


def _unchanged(collection: Collection, version: int | None) -> dict[str, Any]:
    """Return the filter for a stored definition that has not changed since it was read here."""
    same = {"_id": collection.name, "uid": collection.uid, "is_deleting": False}
    return same if version is None else same | {"_version": version}


async def _deleted(registry: Registry, name: str, by: str | None) -> CollectionDefinition | None:
    """Return the mark that a deleted collection left under a name, None for a new name.

    What was being written while it was deleted is swept away before. Raises CollectionExists.
    """
    present = await CollectionDefinition.get(name)
    if present is None:
        return None
    if not present.is_deleting:
        raise _exists(name)
    if present.deleted_at is None:
        if (utc_now() - present.updated_at).total_seconds() < CUT_OFF_S:
            raise CollectionExists(f"`{name}` is being deleted at this moment; try again when it is gone")
        await _empty(registry, name, present.uid, by)
    deleted_at = present.deleted_at or utc_now()
    with deadline.lifted():
        await asyncio.sleep(STRAY_S - (utc_now() - deleted_at).total_seconds())
    around = (deleted_at - STRAY, deleted_at + STRAY)
    await Store.named(registry.database, name).write(Clear(Origin(by, "definition"), around))
    return present


async def _empty(registry: Registry, name: str, uid: str, by: str | None) -> None:
    """Drop the documents of a collection marked as being deleted, and mark it as deleted."""
    drop = Clear(Origin(by, "definition"), drops=True)
    await registry.database.patiently(partial(Store.named(registry.database, name).write, drop))
    mark = {"_id": name, "uid": uid, "is_deleting": True}
    await classes.update(CollectionDefinition, mark, {"$set": {"deleted_at": utc_now()}})


async def _store(
    definition: CollectionDefinition, deleted: CollectionDefinition | None, audit: AuditContext | None
) -> None:
    """Store a new definition, in place of a deleted one's mark if there is one; raises CollectionExists."""
    if deleted is None:
        try:
            await classes.insert(definition)
        except DuplicateKey:
            raise _exists(definition.id) from None
    else:
        mark = {"_id": deleted.id, "uid": deleted.uid, "is_deleting": True}
        if not await classes.replace(definition, mark):
            raise _exists(definition.id)
    if audit is not None:
        await audit.note("collection.created", "collection", definition.id)


async def _mark(collection: Collection, version: int | None, audit: AuditContext | None) -> bool:
    """Mark a collection as being deleted; returns whether it was still the one known here."""
    change = {"$set": {"is_deleting": True, "_updated_at": utc_now()}}
    is_marked = await classes.update(CollectionDefinition, _unchanged(collection, version), change)
    if is_marked and audit is not None:
        await audit.note("collection.deleted", "collection", collection.name)
    return is_marked


async def _restate(collection: Collection, description: Description, audit: AuditContext | None) -> None:
    """Store another description of a collection; raises CollectionChanged when somebody else was first."""
    texts = {**descriptions.texts(description), "_updated_at": utc_now()}
    present = _unchanged(collection, collection.version)
    change = {"$set": texts, "$inc": {"_version": 1}}
    if not await classes.update(CollectionDefinition, present, change):
        raise CollectionChanged
    if audit is not None:
        before, after = collection.description.source, description.source
        parts = [name for name in after if before.get(name) != after[name]]
        details: dict[str, Any] = {"version": collection.version + 1, "parts": parts}
        if "rules" in parts:
            details |= {"rules": {"before": _text(before["rules"]), "after": _text(after["rules"])}}
        await audit.note("collection.changed", "collection", collection.name, details)


async def _settle(registry: Registry, name: str, others: Sequence[Index], *, images: bool = False) -> None:
    """Have all indexes that the stored definition wants, and drop those of the others that it does not.

    With `images` these too are kept as it wants it. Again when it changes meanwhile: somebody else's change
    may have taken an index of ours for its own.
    """
    settled: tuple[str, int] | None = None
    while True:
        definition = await CollectionDefinition.get(name)
        is_there = definition is not None and not definition.is_deleting
        state = (definition.uid, definition.version) if definition is not None and is_there else ("", 0)
        if state == settled:
            return
        description = descriptions.stored(definition) if definition is not None and is_there else None
        wanted = () if description is None else description.indexes
        await registry.database.patiently(
            partial(building.settle, Store.named(registry.database, name), wanted, others)
        )
        if images and description is not None:
            await building.settle_images(registry.database, name, description.options)
        settled = state


def _refuse_other_id_type(collection: Collection, description: Description) -> None:
    if description.options.id_kind != collection.description.options.id_kind:
        detail = "the id_type of a collection cannot change"
        violation = Violation(detail, "immutable", pointer="/options/id_type")
        raise DefinitionInvalid(detail, errors=[violation])
