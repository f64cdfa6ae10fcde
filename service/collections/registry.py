"""Every collection that can be reached, and how definition changes come into force on every worker."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, get_args
from uuid import UUID

import structlog
from beanie import Document, PydanticObjectId
from bson import Timestamp

from models.definition import CollectionDefinition
from service import schema as schemas
from service.collections import building
from service.collections import description as descriptions
from service.collections.description import Description
from service.kit.errors import (
    CollectionNotFound,
    DatabaseUnavailable,
    DefinitionInvalid,
    Failure,
    StartupFailure,
)
from service.kit.tasks import Attempts, Backoff, background, comes_in_time
from service.query.kinds import Kind
from service.storage import classes
from service.storage.change_stream import Batch, Gap
from service.storage.codes import is_transient
from service.storage.database import Database
from service.storage.errors import DatabaseError
from service.storage.store import Store

DEFINITIONS = classes.name_of(CollectionDefinition)

RETRY = Backoff(0.2, 1.0)
"""Between tries to follow; one that finds no database takes the timeout of an operation anyway."""

ID_CLASSES: dict[Kind, type] = {
    Kind.OBJECT_ID: PydanticObjectId,
    Kind.UUID: UUID,
    Kind.STRING: str,
    Kind.INTEGER: int,
}

log = structlog.get_logger("sheaf.registry")


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """A named set of documents, the same whether a class or a runtime definition describes it.

    `uid` and `version` tell one state of its definition from all others. `store` is the way to its documents.
    `is_live` says whether its changes can be watched.
    """

    name: str
    uid: str
    version: int
    source: Literal["code", "runtime"]
    model: type[Document]
    description: Description
    store: Store
    document_limit_bytes: int
    is_live: bool

    @property
    def documents(self) -> Any:
        """The driver's collection."""
        return self.store.documents


class Registry:
    """The collections by name; each change replaces the whole table at once, so readers need no lock.

    `heard_at_s` is when it last heard of a change, in seconds since 1970.

    Raises StartupFailure for a class that does not describe a collection, or whose rules fail their tests.
    """

    def __init__(
        self, database: Database, models: Sequence[type[Document]], *, document_limit_bytes: int
    ) -> None:
        self.database = database
        self._document_limit_bytes = document_limit_bytes
        self._models = tuple(models)
        self._descriptions = {model: _description_of(model) for model in models if _is_public(model)}
        self._collections: dict[str, Collection] = {}
        self._is_loaded = asyncio.Event()
        self._is_subscribed = False
        self._keeps_images = False
        self._without_images: frozenset[str] = frozenset()
        self.heard_at_s = 0.0
        database.stream.include(DEFINITIONS)

    @property
    def is_following(self) -> bool:
        """Whether this worker hears of changes."""
        return self._is_subscribed and self.database.stream.is_alive

    def get(self, name: str) -> Collection:
        """Find a collection; raises CollectionNotFound, or DatabaseUnavailable before the first load."""
        collection = self._collections.get(name)
        if collection is not None:
            return collection
        if not self._is_loaded.is_set():
            raise DatabaseUnavailable
        raise CollectionNotFound

    def all(self) -> list[Collection]:
        """Return every collection by name; raises DatabaseUnavailable before the first load."""
        if not self._is_loaded.is_set():
            raise DatabaseUnavailable
        return [collection for _, collection in sorted(self._collections.items())]

    async def wait_until_loaded(self, timeout_s: float) -> bool:
        """Wait for the first load; returns whether it came in time."""
        return await comes_in_time(self._is_loaded, timeout_s)

    async def apply(self, definition: CollectionDefinition) -> Collection:
        """Put a definition into force here, unless it or a newer one already is; returns what is in force."""
        collection = self._in_force(definition)
        if collection is None:
            compiled = await self._compile(definition)
            collection = self._in_force(definition) or compiled  # another change may have been quicker
            self._collections = {**self._collections, definition.id: collection}
        return collection

    def _in_force(self, definition: CollectionDefinition) -> Collection | None:
        """Return what is in force of a definition, if it is this version or a newer one."""
        present = self._collections.get(definition.id)
        if present is None or present.uid != definition.uid or present.version < definition.version:
            return None
        return present

    def remove(self, name: str) -> None:
        """Forget a runtime collection here."""
        self._collections = {each: kept for each, kept in self._collections.items() if each != name}

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Keep the registry in step with the stored definitions until the context ends."""
        async with background(self._follow(), "registry"):
            yield

    async def _follow(self) -> None:
        """Load everything and follow changes; after any gap load everything again."""
        attempts = Attempts(RETRY)
        async for _ in attempts:
            try:
                kept = await self._prepare_images()
                await self.database.initialise(self._models)
                # The load comes within, so that nothing between load and follow is missed.
                async with self.database.stream.subscribed([DEFINITIONS]) as subscription:
                    await self._load(subscription.time, kept)
                    attempts.reset()
                    self._is_subscribed, self.heard_at_s = True, time.time()
                    async for batch in subscription:
                        await self._heed(batch)
            except Gap:
                pass  # the stream has told the log why
            except Exception as error:
                if is_transient(error):
                    reason = type(error).__name__
                    log.warning("registry.reconnecting", reason=reason, retry_s=attempts.pause_s)
                else:
                    log.exception("registry.failed", retry_s=attempts.pause_s)
            self._is_subscribed = False

    async def _heed(self, batch: Batch) -> None:
        for change in batch.changes:
            self.heard_at_s = time.time()
            if change.operation == "drop":  # all definitions at once
                raise Gap("dropped")
            await self._refresh(change.id, change.time)

    async def _load(self, after: Timestamp, kept: set[str] | None) -> None:
        """Load everything; `kept` is of which collections images were kept before."""
        loaded = {collection.name: collection for collection in map(self._of_class, self._descriptions)}
        for collection in loaded.values():
            if collection.description.indexes:
                await self.database.patiently(partial(self._build_indexes, collection))
        self._collections = {**self._collections, **loaded}
        stored = await self._stored({}, after)
        for definition in stored:
            await self._apply_stored(definition)
        names = loaded.keys() | {str(definition["_id"]) for definition in stored}
        self._collections = {name: kept for name, kept in self._collections.items() if name in names}
        await self._ensure_images(kept)
        self._is_loaded.set()

    async def _prepare_images(self) -> set[str] | None:
        """Have the images of classes kept; returns of which collections they were before.

        Before an index makes the collection: to create it with images takes fewer rights than to change it.
        """
        kept = await building.kept_images(self.database)
        wanted = {_name_of(model): description.options for model, description in self._descriptions.items()}
        failed = await building.ensure_images(self.database, kept, wanted, discards=True)
        self._keeps_images = kept is not None
        self._without_images = frozenset(failed)
        return kept

    async def _ensure_images(self, kept: set[str] | None) -> None:
        """Have the images of stored definitions kept; one of which that cannot be is live no more."""
        collections = self._collections
        wanted = {
            name: each.description.options for name, each in collections.items() if each.source == "runtime"
        }
        failed = await building.ensure_images(self.database, kept, wanted, discards=False)
        self._collections = collections | {name: replace(collections[name], is_live=False) for name in failed}

    async def _build_indexes(self, collection: Collection) -> None:
        await building.ensure(collection.store, collection.description.indexes)

    async def _stored(self, which: Mapping[str, Any], after: Timestamp) -> list[Mapping[str, Any]]:
        """Read stored definitions as they are at a cluster time or later, but for deleted ones."""
        condition = {"is_deleting": {"$ne": True}, **which}
        return await classes.found(self.database, CollectionDefinition, condition, after=after)

    async def _refresh(self, name: Any, after: Timestamp) -> None:
        """Bring one collection in step with what is stored now, whatever the change was."""
        stored = await self._stored({"_id": name}, after)
        for definition in stored:
            await self._apply_stored(definition)
        if not stored:
            self.remove(str(name))

    async def _apply_stored(self, stored: Mapping[str, Any]) -> None:
        """Put a stored definition into force; one that cannot be read closes its own collection alone.

        Somebody else may have written it, so it can be anything, and fail in any way.
        """
        name = str(stored["_id"])
        present = self._collections.get(name)
        if present is not None and present.source == "code":
            log.warning("registry.hidden_by_class", collection=name)
            return
        try:
            await self.apply(CollectionDefinition.model_validate(stored))
        except (DatabaseError, DatabaseUnavailable):
            raise
        except (Failure, ValueError) as error:
            log.error("registry.unreadable", collection=name, reason=str(error))  # noqa: TRY400
            self.remove(name)
        except Exception:
            log.exception("registry.unreadable", collection=name)
            self.remove(name)

    async def _compile(self, definition: CollectionDefinition) -> Collection:
        description = descriptions.stored(definition)
        model = schemas.document_class(
            definition.id,
            f"{definition.uid}_{definition.version}",
            description.schema,
            ID_CLASSES[description.options.id_kind],
        )
        await self.database.initialise([model])
        identity = (definition.id, definition.uid, definition.version)
        return self._collection("runtime", identity, model, description)

    def _of_class(self, model: type[Document]) -> Collection:
        """Make the collection of a code-first class; its version is fixed: code changes with a restart."""
        identity = (model.get_collection_name(), "code", 1)
        return self._collection("code", identity, model, self._descriptions[model])

    def _collection(
        self,
        source: Literal["code", "runtime"],
        identity: tuple[str, str, int],
        model: type[Document],
        description: Description,
    ) -> Collection:
        """Make a collection of what describes it; `identity` is its name, uid and version."""
        name, uid, version = identity
        return Collection(
            name=name,
            uid=uid,
            version=version,
            source=source,
            model=model,
            description=description,
            store=Store.of(model),
            document_limit_bytes=self._document_limit_bytes,
            is_live=self._keeps_images and description.options.is_live and name not in self._without_images,
        )


def _is_public(model: type[Document]) -> bool:
    return not _name_of(model).startswith("_")


def _name_of(model: type[Document]) -> str:
    """Return the name of a class's collection, also before Beanie knows the class."""
    return str(getattr(getattr(model, "Settings", None), "name", model.__name__))


def _description_of(model: type[Document]) -> Description:
    """Read and check how a code-first class describes itself; raises StartupFailure."""
    annotation = model.model_fields["id"].annotation
    classes = {annotation, *get_args(annotation)}
    id_kind = next(kind for kind, id_class in ID_CLASSES.items() if id_class in classes)
    id_type = {} if id_kind is Kind.OBJECT_ID else {"id_type": id_kind.value}
    parts = {
        "rules": getattr(model, "rules", {}),
        "rule_tests": getattr(model, "rule_tests", []),
        "indexes": getattr(model, "indexes", []),
        "options": id_type | getattr(model, "options", {}),
        "queries": getattr(model, "queries", {}),
    }
    try:
        return descriptions.parse({"schema": schemas.of_model(model), **parts})
    except DefinitionInvalid as failure:
        fault = failure.errors[0]
        raise StartupFailure(
            f"The class {model.__name__} cannot be served: {fault.pointer}: {fault.detail}"
        ) from None
