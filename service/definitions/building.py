"""Bringing a definition's indexes about in MongoDB, wholly or not at all."""

from collections.abc import Sequence
from typing import Any

import structlog
from pymongo.errors import DuplicateKeyError, OperationFailure, PyMongoError

from service.definitions.indexes import Index
from service.errors import DefinitionInvalid, Duplicate, Failure, Violation

OPTIONS_CONFLICT, KEYS_CONFLICT = 85, 86

log = structlog.get_logger("sheaf.indexes")


async def build(documents: Any, wanted: Sequence[Index], present: Sequence[Index]) -> None:
    """Create what is wanted and not present, however long it takes; on failure leave what was there before.

    Raises Duplicate when the documents already break a unique index, DefinitionInvalid when MongoDB refuses.
    """
    present_names = {index.name for index in present}
    created: list[Index] = []
    replaced: list[Index] = []
    try:
        for position, index in enumerate(wanted):
            if index.name not in present_names:
                replaced += await _build_one(documents, index, position, present)
                created.append(index)
    except Exception:
        await _undo(documents, created, replaced)
        raise


async def drop_unwanted(documents: Any, wanted: Sequence[Index], present: Sequence[Index]) -> None:
    """Drop what is present and no longer wanted; a failure is logged, for nothing depends on it."""
    names = {index.name for index in wanted}
    await _drop(documents, [index for index in present if index.name not in names])


async def _build_one(documents: Any, index: Index, position: int, present: Sequence[Index]) -> list[Index]:
    """Create one index; gives the present ones that had to go first, for MongoDB allows one of the kind."""
    try:
        try:
            await _create(documents, index)
        except OperationFailure as error:
            if error.code not in {OPTIONS_CONFLICT, KEYS_CONFLICT}:
                raise
            rivals = [each for each in present if _are_rivals(each, index)]
            await _drop(documents, rivals)
            await _create(documents, index)
            return rivals
    except OperationFailure as error:
        raise _translate(error, index, position) from None
    return []


def _are_rivals(one: Index, other: Index) -> bool:
    both_text = all(any(kind == "text" for _, kind in index.keys) for index in (one, other))
    return both_text or one.keys == other.keys


async def _create(documents: Any, index: Index) -> None:
    await documents.create_index(list(index.keys), name=index.name, **index.options)


async def _drop(documents: Any, indexes: Sequence[Index]) -> None:
    for index in indexes:
        try:
            await documents.drop_index(index.name)
        except PyMongoError as error:
            log.warning("index.not_dropped", index=index.name, reason=type(error).__name__)


async def _undo(documents: Any, created: Sequence[Index], replaced: Sequence[Index]) -> None:
    await _drop(documents, created)
    for index in replaced:
        try:
            await _create(documents, index)
        except PyMongoError as error:
            log.warning("index.not_restored", index=index.name, reason=type(error).__name__)


def _translate(error: OperationFailure, index: Index, position: int) -> Failure:
    pointer = f"/indexes/{position}"
    paths = ", ".join(f"`{path}`" for path, _ in index.keys)
    if isinstance(error, DuplicateKeyError):
        detail = f"the documents already hold the same {paths} more than once"
        return Duplicate(detail, errors=[Violation(detail, "unique", pointer=pointer)])
    detail = f"MongoDB cannot build an index on {paths}"
    return DefinitionInvalid(detail, errors=[Violation(detail, "index", pointer=pointer)])
