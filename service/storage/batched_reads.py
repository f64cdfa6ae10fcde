"""Reads by id that share a query, whatever collections they are of."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import bson
from bson import CodecOptions, Decimal128, ObjectId
from bson.binary import UuidRepresentation
from pymongo.errors import PyMongoError

from service.storage import commands, raw_bson
from service.storage.batcher import Batcher, SpanInfo
from service.storage.commands import Find
from service.storage.database import pools_of
from service.storage.thread_pools import ThreadPools

MAXIMUM_COLLECTIONS = 32
"""Of how many collections one query reads."""

OBJECT_ID_FIRST = b"\x07_id\0"
"""How the members of a document begin whose id is an ObjectId."""

BY_ID: "CodecOptions[dict[str, Any]]" = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)

Outcome = bytes | Exception | None


class _Question(NamedTuple):
    documents: Any
    """The driver's synchronous collection."""

    document_id: Any


class BatchedReads:
    """Reads of one collection by id, never stale, which join those of all others on the same connection.

    A document that cannot be decoded fails no read but its own.
    """

    def __init__(self, documents: Any) -> None:
        self._documents = documents.delegate
        self._all = pools_of(documents).once(_AllReads)
        self._span_info = SpanInfo.of("find", documents)

    async def get(self, document_id: Any) -> dict[str, Any] | None:
        """Read the document of an id, None when there is none; raises Busy, and what the driver raises."""
        raw = await self.get_raw(document_id)
        return None if raw is None else commands.decode(self._documents, raw)

    async def get_raw(self, document_id: Any) -> bytes | None:
        """Read the document of an id as MongoDB has it, in BSON; raises Busy, and what the driver raises."""
        return await self._all.ask(_Question(self._documents, document_id), self._span_info)


class _AllReads(Batcher[_Question, bytes | None]):
    def __init__(self, pools: ThreadPools) -> None:
        super().__init__(pools.quick, pools.timeout_s)

    def command(self, questions: Sequence[_Question]) -> Mapping[str, Any] | None:
        """Return the command for reads of one collection."""
        names = {each.documents.name for each in questions}
        return {"find": names.pop(), "filter": {"_id": {"$in": []}}} if len(names) == 1 else None

    def serve(self, questions: Sequence[_Question]) -> Iterable[Outcome]:
        """Find documents by their ids, of which some may be questions for several times."""
        wanted: dict[str, list[_Question]] = {}
        for each in questions:
            wanted.setdefault(each.documents.name, []).append(each)
        names = list(wanted)
        found: dict[str, _Found] = {}
        for begin in range(0, len(names), MAXIMUM_COLLECTIONS):
            some = names[begin : begin + MAXIMUM_COLLECTIONS]
            parts = _read([_query(wanted[name]) for name in some])
            found.update(zip(some, parts, strict=True))
        return [_outcome(found[each.documents.name], each.document_id) for each in questions]


_Found = dict[Any, bytes] | Exception
"""What was read of one collection: BSON by its id, or what is wrong with all of it."""


def _query(questions: Sequence[_Question]) -> tuple[Any, Find]:
    ids = list(dict.fromkeys(each.document_id for each in questions))
    documents = questions[0].documents
    return documents, Find(documents.name, {"_id": {"$in": ids}})


def _read(queries: Sequence[tuple[Any, Find]]) -> list[_Found]:
    """Read ids of collections, by one query if that can be; raises what is wrong with all of them."""
    if len(queries) > 1:
        try:
            documents, _ = queries[0]
            return [_by_id(part) for part in commands.together(documents, [find for _, find in queries])]
        except Exception as error:  # it may be the matter of one of them
            if isinstance(error, PyMongoError) and error.timeout:
                raise
    return [_read_alone(documents, find) for documents, find in queries]


def _read_alone(documents: Any, find: Find) -> _Found:
    try:
        return _by_id(commands.alone(documents, find))
    except Exception as error:  # noqa: BLE001  # whatever it is, it is for those of this collection
        return error


def _by_id(documents: Iterable[bytes]) -> dict[Any, bytes]:
    return {_id_of(document): document for document in documents}


def _id_of(document: bytes) -> Any:
    """Return an id, which MongoDB puts first in each document: of an ObjectId its bytes, which is quicker."""
    if document.startswith(OBJECT_ID_FIRST, 4):
        return document[9:21]
    _, _, _, end = next(raw_bson.elements(document))
    alone = (end + 1).to_bytes(4, "little") + document[4:end] + b"\0"
    found = bson.decode(alone, codec_options=BY_ID)["_id"]
    return found.to_decimal() if isinstance(found, Decimal128) else found  # which is equal to its number


def _outcome(found: _Found, document_id: Any) -> Outcome:
    if isinstance(found, Exception):
        return found
    return found.get(document_id.binary if isinstance(document_id, ObjectId) else document_id)
