"""Bringing about in MongoDB what a definition wants of it: indexes, and images for who watches changes."""

from collections.abc import Container, Mapping, Sequence
from functools import partial

import structlog

from service.collections.description import Options
from service.collections.indexes import Index, has_text
from service.kit.errors import DatabaseUnavailable, DefinitionInvalid, Duplicate, Failure, Violation
from service.storage import images
from service.storage.codes import INDEX_CONFLICTS, is_transient
from service.storage.database import Database
from service.storage.errors import CommandFailed, DatabaseError, DuplicateKey
from service.storage.store import Store

log = structlog.get_logger("sheaf.indexes")
images_log = structlog.get_logger("sheaf.images")


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


async def prepare_images(database: Database, name: str, options: Options) -> None:
    """Have MongoDB keep the images of a collection, or not, as its options want it.

    Raises DefinitionInvalid where that cannot be though the options say so; where they say nothing it is
    logged.
    """
    can_keep = await database.keeps_images()
    if not can_keep and options.live:
        detail = "this MongoDB cannot tell what documents were before a change and are after it"
        violation = Violation(
            detail, "unsupported", pointer="/options/live", hint="MongoDB 6.0 and later can."
        )
        raise DefinitionInvalid(detail, errors=[violation])
    if can_keep and not await _set_images(database, name, options) and options.live:
        detail = "MongoDB refuses to keep what documents were before a change"
        raise DefinitionInvalid(detail, errors=[Violation(detail, "unsupported", pointer="/options/live")])


async def settle_images(database: Database, name: str, options: Options) -> None:
    """Have MongoDB keep the images of a collection, or not; a failure is logged."""
    try:
        if await database.keeps_images():
            await _set_images(database, name, options)
    except (DatabaseError, DatabaseUnavailable) as error:
        images_log.warning("images.not_set", collection=name, reason=type(error).__name__)


async def kept_images(database: Database) -> set[str] | None:
    """Return the names of the collections whose images are kept, None on a server that keeps none."""
    return await images.kept(database) if await database.keeps_images() else None


async def ensure_images(
    database: Database, kept: Container[str] | None, wanted: Mapping[str, Options], *, discards: bool
) -> list[str]:
    """Have images kept where they are not yet; returns of which collections that cannot be, and logs it.

    With `discards` those that are not wanted are switched off; a stored definition may be changing meanwhile.
    """
    if kept is None:
        for name in (name for name, options in wanted.items() if options.live):
            images_log.error("images.unsupported", collection=name)
        return []
    failed = []
    for name, options in wanted.items():
        is_to_change = name not in kept if options.is_live else discards and name in kept
        if is_to_change and not await _set_images(database, name, options) and options.is_live:
            failed.append(name)
    return failed


async def _set_images(database: Database, name: str, options: Options) -> bool:
    """Have images kept or not; returns whether MongoDB has done so. Raises DatabaseError if it is away."""
    change = images.keep if options.is_live else images.discard
    try:
        await database.patiently(partial(change, database, name))
    except CommandFailed as error:
        if is_transient(error):
            raise
        images_log.error("images.not_set", collection=name, reason=str(error))
        return False
    return True


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
