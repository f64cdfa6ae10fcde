"""Creates that share inserts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.errors import (
    BulkWriteError,
    DocumentTooLarge,
    DuplicateKeyError,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
    WriteError,
    WTimeoutError,
)

from service.storage.batcher import Batcher, SpanInfo
from service.storage.codes import DUPLICATE_KEY, NOT_PRIMARY, UNREADABLE_COMMANDS, WRITE_CONCERN_TIMEOUT
from service.storage.database import pools_of

MAXIMUM_DOCUMENT_BYTES = 16 * 1024 * 1024


class BatchedCreates(Batcher[RawBSONDocument, None]):
    """Creates of documents in one collection: what is wrong with one is nothing to the others.

    An insert is sent again once if the connection breaks, under its number: MongoDB does it only once.
    """

    def __init__(self, documents: Any) -> None:
        pools = pools_of(documents)
        super().__init__(pools.creates, pools.timeout_s)
        self._documents = documents.delegate
        self._codec_options = documents.codec_options
        self._span_info = SpanInfo.of("insert", documents)

    async def create(self, document: dict[str, Any]) -> None:
        """Insert a document that has its id; raises Busy, and what the driver raises for this one alone.

        After an error of the connection it is not known whether it was inserted.
        """
        encoded = bson.encode(document, codec_options=self._codec_options)
        if len(encoded) > MAXIMUM_DOCUMENT_BYTES:
            raise DocumentTooLarge(f"BSON document too large ({len(encoded)} bytes)")
        await self.ask(RawBSONDocument(encoded), self._span_info, len(encoded))

    def command(self, questions: Sequence[RawBSONDocument]) -> Mapping[str, Any]:  # noqa: ARG002  # all are alike
        """Return the command of an insert."""
        return {"insert": self._documents.name}

    def serve(self, questions: Sequence[RawBSONDocument]) -> Iterable[Exception | None]:
        """Insert documents."""
        try:
            self._documents.insert_many(questions, ordered=False)
        except BulkWriteError as error:
            return _outcomes(len(questions), error)
        except OperationFailure as error:
            if error.code not in UNREADABLE_COMMANDS or len(questions) == 1:
                raise
            return [self._alone(document) for document in questions]
        return [None] * len(questions)

    def _alone(self, document: RawBSONDocument) -> Exception | None:
        try:
            return next(iter(self.serve([document])))
        except PyMongoError as error:
            return error


def _outcomes(count: int, error: BulkWriteError) -> list[Exception | None]:
    """Return what MongoDB says of each document of an insert."""
    unconfirmed = error.details.get("writeConcernErrors")
    outcomes: list[Exception | None] = [_of_write_concern(unconfirmed[-1]) if unconfirmed else None] * count
    for each in error.details.get("writeErrors", []):
        kind = DuplicateKeyError if each["code"] == DUPLICATE_KEY else WriteError
        reported = {name: part for name, part in each.items() if name != "op"}  # which is the document
        outcomes[each["index"]] = kind(each["errmsg"], each["code"], reported)
    return outcomes


def _of_write_concern(error: dict[str, Any]) -> Exception:
    """Return the error of writes that were done, but may be undone: the majority did not confirm them."""
    code, message = error.get("code"), str(error.get("errmsg", ""))
    if code in NOT_PRIMARY:
        return NotPrimaryError(message, error)
    if code == WRITE_CONCERN_TIMEOUT:
        return WTimeoutError(message, code, error)
    return WriteConcernError(message, code, error)
