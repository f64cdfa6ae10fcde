"""Bringing a definition's indexes about in MongoDB, wholly or not at all."""

from collections.abc import Sequence

import structlog

from service.collections.indexes import Index, has_text
from service.kit.errors import DefinitionInvalid, Duplicate, Failure, Violation
from service.storage.codes import INDEX_CONFLICTS
from service.storage.errors import CommandFailed, DatabaseError, DuplicateKey
from service.storage.store import Store

log = structlog.get_logger("sheaf.indexes")


async def build(store: Store, wanted: Sequence[Index], present: Sequence[Index]) -> None:
    """Create what is wanted and not present, however long it takes; what fails leaves a part behind.

    Raises Duplicate when the documents already break a unique index, DefinitionInvalid when MongoDB refuses.
    """
    present_names = {index.name for index in present}
    for position, index in enumerate(wanted):
        if index.name not in present_names:
            await _build_one(store, index, position, present)


async def ensure(store: Store, wanted: Sequence[Index]) -> None:
    """Create what is wanted and not there, in the place of what MongoDB cannot have beside it.

    What cannot be built is logged: the collection is served without that index.
    """
    there = await store.indexes()
    present = [Index(name, tuple(described["key"])) for name, described in there.items()]
    names = {index.name for index in present}
    for position, index in enumerate(wanted):
        try:
            if index.name not in names:
                await _build_one(store, index, position, present)
        except Failure as failure:
            log.error("index.not_built", index=index.name, reason=failure.detail)  # noqa: TRY400


async def settle(store: Store, wanted: Sequence[Index], others: Sequence[Index]) -> None:
    """Leave those of the other indexes that are wanted, and all that are wanted; a failure is logged."""
    names = {index.name for index in wanted}
    await _drop(store, [index for index in others if index.name not in names])
    for index in wanted:
        try:
            await _create(store, index)
        except DatabaseError as error:
            log.warning("index.not_restored", index=index.name, reason=type(error).__name__)


async def _build_one(store: Store, index: Index, position: int, present: Sequence[Index]) -> None:
    """Create one index, without the present ones that have to go first: MongoDB allows one of the kind."""
    try:
        try:
            await _create(store, index)
        except CommandFailed as error:
            if error.code not in INDEX_CONFLICTS:
                raise
            await _drop(store, [each for each in present if _are_rivals(each, index)])
            await _create(store, index)
    except CommandFailed as error:
        raise _translate(error, index, position) from None


def _are_rivals(one: Index, other: Index) -> bool:
    return (has_text([one]) and has_text([other])) or one.keys == other.keys


async def _create(store: Store, index: Index) -> None:
    await store.create_index(index.name, index.keys, index.options)


async def _drop(store: Store, indexes: Sequence[Index]) -> None:
    for index in indexes:
        try:
            await store.drop_index(index.name)
        except DatabaseError as error:
            log.warning("index.not_dropped", index=index.name, reason=type(error).__name__)


def _translate(error: CommandFailed, index: Index, position: int) -> Failure:
    pointer = f"/indexes/{position}"
    paths = ", ".join(f"`{path}`" for path, _ in index.keys)
    if isinstance(error, DuplicateKey):
        detail = f"the documents already hold the same {paths} more than once"
        return Duplicate(detail, errors=[Violation(detail, "unique", pointer=pointer)])
    detail = f"MongoDB cannot build an index on {paths}"
    return DefinitionInvalid(detail, errors=[Violation(detail, "index", pointer=pointer)])
