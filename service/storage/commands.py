"""Queries as MongoDB's commands, answered in BSON that nobody has decoded: one, or several in one round trip.

All of it is synchronous, for a thread, and outside of transactions.
"""

from collections.abc import Hashable, Iterable, Sequence
from contextlib import suppress
from struct import Struct
from time import monotonic
from typing import Any

import bson
import pymongo
from bson import CodecOptions
from bson.binary import UuidRepresentation
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError, ServerSelectionTimeoutError

from service.runtime import deadline
from service.storage import raw_bson
from service.storage.codes import UNREACHABLE

Document = dict[str, Any]
Stage = dict[str, Any]

_RAW: "CodecOptions[RawBSONDocument]" = CodecOptions(
    document_class=RawBSONDocument, uuid_representation=UuidRepresentation.STANDARD
)
_POSITION = Struct("<i")
_MARK = (b"\x10n\0", b"\x03d\0")
"""How a document that is marked with its query's position begins, and what comes between the two."""


class CutShort(Exception):  # it is no error: there was more than one answer holds
    """MongoDB's answer does not hold all that was asked for."""


class Find:
    """The command for some documents of a collection, in an order.

    `limit` 0 is for all; what fulfils the filter is few then. `shape` is its filter without the values.
    """

    __slots__ = ("_key", "collection", "keys", "limit", "projection", "shape", "skip", "where")

    def __init__(
        self,
        collection: str,
        where: Document,
        *,
        keys: Sequence[tuple[str, int]] = (),
        skip: int = 0,
        limit: int = 0,
        projection: dict[str, int] | None = None,
        shape: str = "",
    ) -> None:
        self.collection = collection
        self.where = where
        self.keys = keys
        self.skip = skip
        self.limit = limit
        self.projection = projection
        self.shape = shape
        self._key: Hashable = None

    def key(self) -> Hashable:
        """Return what tells it from all others on its database; what cannot be encoded is like no other."""
        if self._key is None:
            try:
                self._key = bson.encode(self.command(), codec_options=_RAW)
            except (BSONError, OverflowError, ValueError):  # MongoDB's driver will say what is wrong with it
                self._key = id(self)
        return self._key

    def command(self) -> Document:
        """Return the command as the server takes it."""
        command: Document = {"find": self.collection, "filter": self.where}
        if self.keys:
            command["sort"] = dict(self.keys)
        if self.projection is not None:
            command["projection"] = self.projection
        if self.skip:
            command["skip"] = self.skip
        if self.limit:
            command["limit"] = self.limit
        # With room in the batch for one more than there can be, MongoDB need not be asked for others.
        command["batchSize"] = self.limit + 1 if self.limit else MAXIMUM_UNBOUNDED
        return command

    def stages(self) -> list[Stage]:
        """Return the stages of an aggregation with the same outcome."""
        stages: list[Stage] = [{"$match": self.where}] if self.where else []
        stages += [{"$sort": dict(self.keys)}] if self.keys else []
        stages += [{"$skip": self.skip}] if self.skip else []
        stages += [{"$limit": self.limit}] if self.limit else []
        stages += [{"$project": self.projection}] if self.projection is not None else []
        return stages


MAXIMUM_UNBOUNDED = 1000
"""Documents that come at once of a find that has no limit, which asks for no more ids than that."""


def alone(documents: Any, find: Find) -> list[bytes]:
    """Run one query on its synchronous collection; return the documents as BSON.

    A command costs two thirds of what the driver's cursors do, but is sent once. Where that is not enough
    (the connection broke, there is more than one answer holds) the cursor follows, which tries again as all
    reads are tried. Raises what the driver raises.
    """
    timeout_s = documents.database.client.options.timeout or float("inf")
    ends_at_s = monotonic() + timeout_s
    try:
        return list(_found(documents, find.command()))
    except CutShort:
        pass
    except ServerSelectionTimeoutError:
        raise
    except AutoReconnect as error:
        if error.timeout:
            raise
    except OperationFailure as error:
        if error.code not in UNREACHABLE:  # of NOT_PRIMARY the driver makes an AutoReconnect
            raise
    with pymongo.timeout(max(deadline.SHORTEST_S, ends_at_s - monotonic())):
        return _by_cursor(documents, find)


def together(documents: Any, finds: Sequence[Find]) -> list[list[bytes]]:
    """Run several queries on one database by one command; return the outcome of each as BSON.

    `documents` is the synchronous collection of one of them, which says how all are read.
    MongoDB works on one after the other, but reads, plans and answers once, which is most of the work where
    each finds little. Raises CutShort when they do not fit into one answer, and what the driver raises.
    """
    first, *others = [[*find.stages(), _marked(position)] for position, find in enumerate(finds)]
    unions = [
        {"$unionWith": {"coll": find.collection, "pipeline": stages}}
        for find, stages in zip(finds[1:], others, strict=True)
    ]
    most = sum(find.limit or MAXIMUM_UNBOUNDED for find in finds) + 1
    command = {
        "aggregate": finds[0].collection,
        "pipeline": [*first, *unions],
        "cursor": {"batchSize": most},
    }
    found: list[list[bytes]] = [[] for _ in finds]
    for marked in _found(documents, command):
        if (marked[4:7], marked[11:14]) != _MARK:
            raise CutShort  # a server of another kind marks it otherwise
        found[_POSITION.unpack_from(marked, 7)[0]].append(marked[14:-1])
    return found


def _marked(position: int) -> Stage:
    return {"$project": {"_id": 0, "n": {"$literal": position}, "d": "$$ROOT"}}


def _found(documents: Any, command: Document) -> Iterable[bytes]:
    """Return the documents of the one answer to a command; raises CutShort when it does not hold all."""
    level = documents.read_concern.document
    answer = documents.database.command(
        command | ({"readConcern": level} if level else {}),
        read_preference=documents.read_preference,
        codec_options=_RAW,
    )
    cursor = bytes(answer["cursor"].raw)
    begin = 0
    for _, name, value, end in raw_bson.elements(cursor):
        if name == b"firstBatch":
            begin = value
        elif name == b"id" and any(cursor[value:end]):
            _close(documents, answer["cursor"]["id"])
            raise CutShort
    return raw_bson.objects(cursor, begin)


def _close(documents: Any, cursor_id: int) -> None:
    """Close a cursor on the server that has it; one that cannot be closed closes itself in the end."""
    with suppress(PyMongoError):
        documents.database.command(
            {"killCursors": documents.name, "cursors": [cursor_id]},
            read_preference=documents.read_preference,
        )


def _by_cursor(documents: Any, find: Find) -> list[bytes]:
    raw = documents.with_options(codec_options=_RAW)
    cursor = raw.find(
        find.where,
        find.projection,
        sort=list(find.keys) or None,
        skip=find.skip,
        limit=find.limit,
        batch_size=find.limit + 1 if find.limit else MAXIMUM_UNBOUNDED,
    )
    return [bytes(document.raw) for document in cursor]


def decode(documents: Any, raw: bytes) -> Document:
    """Return a document as a driver's collection reads it; raises InvalidBSON."""
    found: Document = bson.decode(raw, codec_options=documents.codec_options)
    return found
