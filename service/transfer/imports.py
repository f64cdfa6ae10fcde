"""Importing sources: each becomes a collection, and running again goes on from what is there."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from models.file_import import FileImport
from service.access.principals import OPERATOR
from service.collections import change, names
from service.collections import description as descriptions
from service.collections.registry import Collection, Registry
from service.documents import loading
from service.documents.access import Access
from service.documents.loading import Loaded
from service.kit.errors import CollectionNotFound
from service.schema.infer import Inference
from service.storage.plans import Clear, Origin
from service.transfer import files
from service.transfer.sources import Source

OPEN_RULES = {"read": "anyone", "write": "anyone"}
TIMESTAMP_BYTES = 4
MAXIMUM_RENAMES_SHOWN = 10

Circumstance = Literal["new", "cut off", "changed", "unchanged"]
"""What an import meets: nothing of it, a part of it, an earlier state of the file, or all of it."""


@dataclass(frozen=True, slots=True)
class Described:
    """A source, the definition of a collection that takes all it has, and its file's fingerprint."""

    source: Source
    definition: dict[str, Any]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a source: `in_file` documents are in it, `present` ones in the collection now."""

    collection: Collection
    circumstance: Circumstance
    loaded: Loaded
    in_file: int
    present: int
    notes: tuple[str, ...]


def describe(sources: Iterable[Source]) -> list[Described]:
    """Infer a checked definition for each source, open to everybody; raises StartupFailure."""
    fingerprints: dict[Path, str] = {}
    described = []
    for source in sources:
        if source.path not in fingerprints:
            fingerprints[source.path] = fingerprint(source.path)
        described.append(Described(source, _definition(source), fingerprints[source.path]))
    return described


def fingerprint(path: Path) -> str:
    """Return a fingerprint of a file's content; raises StartupFailure when it cannot be read."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "blake2b").hexdigest()
            return f"{file.tell()}-{digest[:64]}"
    except OSError as error:
        raise files.unreadable(path, error) from None


async def bring(registry: Registry, described: Described, documents: Iterable[dict[str, Any]]) -> Outcome:
    """Import a source, whose documents are given, into the collection of its name, created if need be.

    Documents that are there already stay as they are; an unchanged file that was imported wholly is not
    imported again. Raises CollectionExists, and the driver's failures.
    """
    source = described.source
    try:
        collection = registry.get(source.name)
    except CollectionNotFound:
        collection = await change.create(registry, described.definition, OPERATOR.id)
    remembered, circumstance = await _remembered(collection, described)
    loaded, notes = Loaded(), (*source.notes, *_renamed(source))
    if circumstance != "unchanged":
        await remembered.save()
        if source.id_type is not None and not collection.description.options.may_supply_ids:
            documents = _without_ids(documents)
            notes += (f"`{source.name}` makes its own ids: the file's `id` is left out.",)
        loaded = await loading.load(Access(collection, OPERATOR), documents, _id_prefix(remembered))
        remembered.is_finished = True
        await remembered.save()
    present = await count(registry, collection)
    return Outcome(collection, circumstance, loaded, source.count, present, notes)


async def reset(registry: Registry, name: str) -> None:
    """Delete a runtime collection, or all documents of a code-first one, and what is known of its imports."""
    try:
        collection = registry.get(name)
    except CollectionNotFound:
        return
    if collection.source == "runtime":
        await change.delete(registry, name)
    else:
        clear = Clear(Origin(OPERATOR.id, "import"))
        await registry.database.patiently(partial(collection.store.write, clear))
    await FileImport.find({"_id": name}).delete()


async def count(registry: Registry, collection: Collection) -> int:
    """Count the documents of a collection one by one: the books of MongoDB may be wrong after a crash."""
    return await registry.database.patiently(collection.store.count)


def _definition(source: Source) -> dict[str, Any]:
    inference = Inference(source.name)
    for document in source.documents():
        inference.add(document)
    options = {} if source.id_type is None else {"id_type": source.id_type}
    description = {"schema": inference.schema(), "rules": OPEN_RULES, "options": options}
    descriptions.parse(description)
    return {"name": names.check(source.name), **description}


async def _remembered(collection: Collection, described: Described) -> tuple[FileImport, Circumstance]:
    """Return what is to be remembered of this import, and what it meets.

    The time of the first import is kept: the ids are made of it.
    """
    now = FileImport(
        id=collection.name,
        uid=collection.uid,
        fingerprint=described.fingerprint,
        documents=described.source.count,
    )
    before = await FileImport.get(collection.name)
    if before is None or before.uid != collection.uid:
        return now, "new"
    if before.fingerprint == described.fingerprint:
        return before, "unchanged" if before.is_finished else "cut off"
    now.created_at = before.created_at
    return now, "changed"


def _id_prefix(remembered: FileImport) -> bytes:
    """Return how the ids of this import begin: as those of documents created at the time of the first one."""
    seconds = int(remembered.created_at.timestamp()).to_bytes(TIMESTAMP_BYTES)
    which = f"{remembered.id}/{remembered.uid}".encode()
    return seconds + hashlib.blake2b(which, digest_size=loading.PREFIX_BYTES - TIMESTAMP_BYTES).digest()


def _renamed(source: Source) -> Iterator[str]:
    changes = [f"`{name}` is `{stored}`" for name, stored in source.renames.items()]
    if changes:
        more = f", and {len(changes) - MAXIMUM_RENAMES_SHOWN} more" * (len(changes) > MAXIMUM_RENAMES_SHOWN)
        shown = ", ".join(changes[:MAXIMUM_RENAMES_SHOWN])
        yield f"Members whose names cannot be stored have new ones: {shown}{more}."


def _without_ids(documents: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for document in documents:
        yield {name: value for name, value in document.items() if name != "id"}
