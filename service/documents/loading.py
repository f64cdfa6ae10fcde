"""Bringing in many documents at once: each validated and stored as a created one is, inserted in batches."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import bson
import pymongo
from bson import ObjectId
from bson.errors import InvalidDocument
from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError, DuplicateKeyError, WriteError

from service.access.principals import Principal
from service.collections.registry import Collection
from service.documents import composing, failures
from service.documents.reading import permit
from service.kit.errors import BodyTooLarge, DocumentInvalid, Failure, IdInvalid
from service.query.kinds import Kind
from service.storage.codes import DUPLICATE_KEY

MAXIMUM_BATCH_DOCUMENTS = 1000
MAXIMUM_BATCH_BYTES = 8 * 1024 * 1024
MAXIMUM_DOCUMENT_BYTES = 16 * 1024 * 1024
MAXIMUM_REFUSALS_TOLD = 5
INSERT_TIMEOUT_S = 15.0
ORDINAL_BYTES = 4
PREFIX_BYTES = 12 - ORDINAL_BYTES


@dataclass(frozen=True, slots=True)
class Refusal:
    """A document that could not be stored: its place among all, counted from zero, and why."""

    ordinal: int
    reason: str


@dataclass(slots=True)
class Loaded:
    """How many documents were created, skipped because their ids are there already, and refused."""

    created: int = 0
    skipped: int = 0
    refused: int = 0
    first_refusals: list[Refusal] = field(default_factory=list)

    def refuse(self, ordinal: int, failure: Failure) -> None:
        """Count a refused document, and keep the reason of the first ones."""
        self.refused += 1
        if len(self.first_refusals) < MAXIMUM_REFUSALS_TOLD:
            self.first_refusals.append(Refusal(ordinal, _reason(failure)))


async def load(
    collection: Collection, principal: Principal, documents: Iterable[Any], id_prefix: bytes
) -> Loaded:
    """Create documents given as a client's JSON; those whose ids are there already stay as they are.

    A document without an id gets the ObjectId of `id_prefix`, PREFIX_BYTES long, and its ordinal, so that the
    same documents loaded again, with the same prefix, are found again, and that their ids keep their order.
    Never holds more than one batch. A document that is refused does not keep the others from being created.
    Raises SignInRequired, Forbidden, and the driver's failures.
    """
    decision = permit(collection, principal, "create")
    loaded = Loaded()
    batch = _Batch(collection, loaded)
    for ordinal, body in enumerate(documents):
        try:
            system = composing.system_fields(principal, decision)
            compose = partial(composing.compose, collection, decision, system)
            document = _stored(collection, compose, body, id_prefix + ordinal.to_bytes(ORDINAL_BYTES))
        except Failure as failure:
            loaded.refuse(ordinal, failure)
            continue
        if not batch.has_room(document):
            await batch.insert()
        batch.add(ordinal, document)
    await batch.insert()
    return loaded


def _stored(
    collection: Collection, compose: Callable[..., dict[str, Any]], body: Any, next_id: bytes
) -> RawBSONDocument:
    """Give a document as BSON: encoded here once, so that one that cannot be does not spoil its batch."""
    is_made = not composing.brings_id(collection, body)
    has_made_ids = collection.description.options.id_kind is Kind.OBJECT_ID
    document = compose(body, ObjectId(next_id) if is_made and has_made_ids else None)
    if "_id" not in document:
        raise IdInvalid(
            f"the document has no `id`, and `{collection.name}` makes none for imported documents"
        )
    try:
        encoded = bson.encode(document, codec_options=collection.documents.codec_options)
    except (OverflowError, InvalidDocument) as error:
        raise DocumentInvalid(f"The document cannot be stored: {error}") from None
    if len(encoded) > MAXIMUM_DOCUMENT_BYTES:
        raise BodyTooLarge("The document would be larger than MongoDB's 16 MB")
    return RawBSONDocument(encoded)


class _Batch:
    """Documents on their way, within the bounds of one operation."""

    def __init__(self, collection: Collection, loaded: Loaded) -> None:
        self._collection = collection
        self._loaded = loaded
        self._ordinals: list[int] = []
        self._documents: list[RawBSONDocument] = []
        self._size_bytes = 0

    def has_room(self, document: RawBSONDocument) -> bool:
        """Tell whether a document may join."""
        is_small = self._size_bytes + len(document.raw) <= MAXIMUM_BATCH_BYTES
        return not self._documents or (is_small and len(self._documents) < MAXIMUM_BATCH_DOCUMENTS)

    def add(self, ordinal: int, document: RawBSONDocument) -> None:
        """Take a document in."""
        self._ordinals.append(ordinal)
        self._documents.append(document)
        self._size_bytes += len(document.raw)

    async def insert(self) -> None:
        """Insert what has been taken in, count what became of it, and begin anew."""
        if not self._documents:
            return
        errors: list[dict[str, Any]] = []
        try:
            with pymongo.timeout(INSERT_TIMEOUT_S):
                await self._collection.documents.insert_many(self._documents, ordered=False)
        except BulkWriteError as error:
            errors = error.details["writeErrors"]
            if error.details["writeConcernErrors"]:
                raise
        for each in errors:
            self._account_for(each)
        self._loaded.created += len(self._documents) - len(errors)
        self._ordinals, self._documents, self._size_bytes = [], [], 0

    def _account_for(self, error: dict[str, Any]) -> None:
        if error["code"] == DUPLICATE_KEY and list(error.get("keyPattern", {})) == ["_id"]:
            self._loaded.skipped += 1
            return
        kind = DuplicateKeyError if error["code"] == DUPLICATE_KEY else WriteError
        try:
            failures.translate(self._collection, kind(error["errmsg"], error["code"], error))
        except Failure as failure:
            self._loaded.refuse(self._ordinals[error["index"]], failure)


def _reason(failure: Failure) -> str:
    """Say in one clause what is wrong with a document: the first violation, with its place."""
    if not failure.errors:
        return failure.detail
    first = failure.errors[0]
    return f"{first.pointer or 'the document'}: {first.detail}"
