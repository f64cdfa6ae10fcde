"""Bringing in many documents at once: each validated and stored as a created one is, inserted in batches."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import bson
from bson import CodecOptions, ObjectId
from bson.errors import InvalidDocument
from bson.raw_bson import RawBSONDocument

from service.documents.access import Access
from service.documents.build_document import BuildDocument
from service.documents.writing import origin_of
from service.kit.errors import BodyTooLarge, DocumentInvalid, Failure, IdInvalid
from service.query.kinds import Kind
from service.storage.plans import Load
from service.storage.raw_bson import CODEC

MAXIMUM_BATCH_DOCUMENTS = 1000
MAXIMUM_BATCH_BYTES = 8 * 1024 * 1024
MAXIMUM_DOCUMENT_BYTES = 16 * 1024 * 1024
MAXIMUM_REFUSALS_TOLD = 5
ORDINAL_BYTES = 4
PREFIX_BYTES = 12 - ORDINAL_BYTES

_RAW: "CodecOptions[RawBSONDocument]" = CODEC.with_options(document_class=RawBSONDocument)


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


async def load(access: Access, documents: Iterable[Any], id_prefix: bytes) -> Loaded:
    """Create documents given as a client's JSON; those whose ids are there already stay as they are.

    A document without an id gets the ObjectId of `id_prefix`, PREFIX_BYTES long, and its ordinal, so that the
    same documents loaded again, with the same prefix, are found again, and that their ids keep their order.
    Never holds more than one batch. A document that is refused does not keep the others from being created.
    Raises SignInRequired, Forbidden, and the driver's failures.
    """
    access.permit("create")
    loaded = Loaded()
    batch = _Batch(access, loaded)
    for ordinal, body in enumerate(documents):
        try:
            document = _stored(BuildDocument.of(access), body, id_prefix + ordinal.to_bytes(ORDINAL_BYTES))
        except Failure as failure:
            loaded.refuse(ordinal, failure)
            continue
        if not batch.has_room(document):
            await batch.insert()
        batch.add(ordinal, document)
    await batch.insert()
    return loaded


def _stored(builder: BuildDocument, body: Any, next_id: bytes) -> RawBSONDocument:
    """Return a document as BSON: encoded here once, so that one that cannot be does not spoil its batch."""
    collection = builder.collection
    is_made = not builder.brings_id(body)
    has_made_ids = collection.description.options.id_kind is Kind.OBJECT_ID
    document = builder.build(body, ObjectId(next_id) if is_made and has_made_ids else None)
    if "_id" not in document:
        raise IdInvalid(
            f"the document has no `id`, and `{collection.name}` makes none for imported documents"
        )
    try:
        encoded = bson.encode(document, codec_options=CODEC)
    except (OverflowError, InvalidDocument) as error:
        raise DocumentInvalid(f"The document cannot be stored: {error}") from None
    if len(encoded) > MAXIMUM_DOCUMENT_BYTES:
        raise BodyTooLarge("The document would be larger than MongoDB's 16 MB")
    return RawBSONDocument(encoded, codec_options=_RAW)


class _Batch:
    """Documents on their way, within the bounds of one operation."""

    def __init__(self, access: Access, loaded: Loaded) -> None:
        self._access = access
        self._loaded = loaded
        self._ordinals: list[int] = []
        self._documents: list[RawBSONDocument] = []
        self._size_bytes = 0

    def has_room(self, document: RawBSONDocument) -> bool:
        """Return whether a document may join."""
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
        documents, loaded = self._documents, self._loaded
        plan = Load(tuple(documents), origin_of(self._access, "import"))
        written = await self._access.collection.store.write(plan)
        for position, failure in written.refused:
            loaded.refuse(self._ordinals[position], failure)
        loaded.created += written.affected
        loaded.skipped += len(documents) - written.affected - len(written.refused)
        self._ordinals, self._documents, self._size_bytes = [], [], 0


def _reason(failure: Failure) -> str:
    """Say in one clause what is wrong with a document: the first violation, with its place."""
    if not failure.errors:
        return failure.detail
    first = failure.errors[0]
    return f"{first.pointer or 'the document'}: {first.detail}"
