"""Ids: read from a path or a body, made for new documents."""

import os
from collections.abc import Iterable
from itertools import count
from time import time
from typing import Any
from uuid import uuid4

from bson import ObjectId
from pymongo import ReturnDocument

from models.counter import Counter
from service.collections.registry import Collection
from service.kit.errors import IdInvalid
from service.query import kinds
from service.query.kinds import Kind
from service.storage.transactions import session

MAXIMUM_ID_LENGTH = 200
RESERVED = frozenset({"query", "queries"})
"""What stands in the place of an id in the paths of a collection's own endpoints, so that no id can be it."""


def parse(collection: Collection, text: str) -> Any:
    """Turn the id in a path into the stored id; raises IdInvalid, saying what ids here look like."""
    kind = collection.description.options.id_kind
    try:
        return _READERS[kind](text)
    except ValueError as error:
        raise IdInvalid(f"`{text[:80]}` is not an id of `{collection.name}`: {error}") from None


def supplied(collection: Collection, value: Any) -> Any:
    """Turn the id in a body into the stored id; raises IdInvalid."""
    kind = collection.description.options.id_kind
    expected = int if kind is Kind.INTEGER else str
    if type(value) is not expected:
        raise IdInvalid(f"The id of a document of `{collection.name}` is {_ARTICLES[kind]}")
    return parse(collection, str(value))


async def make(collection: Collection) -> Any:
    """Give an id that no document of the collection has had."""
    kind = collection.description.options.id_kind
    return _object_id() if kind is Kind.OBJECT_ID else (await make_many(collection, 1))[0]


async def make_many(collection: Collection, count: int, taken: Iterable[Any] = ()) -> list[Any]:
    """Give so many ids that no document of the collection has had, and that are not among those `taken`.

    In order, and at the cost of one. Raises IdInvalid when there are no larger integers of 53 bits.
    """
    kind = collection.description.options.id_kind
    if kind is Kind.INTEGER:
        return await _next_integers(collection, count, max(taken, default=0)) if count else []
    new = uuid4 if kind is Kind.UUID else _object_id if kind is Kind.OBJECT_ID else _text_id
    return [new() for _ in range(count)]


def _object_id() -> ObjectId:
    """Make an ObjectId of the time, the process and a counter, as the driver does (BSON ObjectID, 2).

    Without a system call for each: the driver asks whether the process is still the same one.
    """
    counted = next(_of_process.counter) & 0xFFFFFF
    return ObjectId(int(time()).to_bytes(4) + _of_process.random + counted.to_bytes(3))


class _OfProcess:
    """What tells this process' ids from those of others; made anew in a process that was forked."""

    def __init__(self) -> None:
        self.renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        """Begin anew, from random numbers."""
        self.random = os.urandom(5)
        self.counter = count(int.from_bytes(os.urandom(3)))


_of_process = _OfProcess()


def _text_id() -> str:
    return str(_object_id())


async def _next_integers(collection: Collection, count: int, taken: int) -> list[int]:
    """Count on from the last integer given out or, when documents came with larger ones, from the largest.

    The counter is no part of a transaction: those who create would wait for each other. What the transaction
    itself has created is seen.
    """
    counters = Counter.get_motor_collection()
    last = await collection.documents.find_one({}, {"_id": 1}, sort=[("_id", -1)], session=session())
    largest = last["_id"] if last is not None and isinstance(last["_id"], int) else 0
    counter = await counters.find_one_and_update(
        {"_id": collection.name},
        [{"$set": {"value": {"$add": [{"$max": ["$value", largest, taken, 0]}, count]}}}],
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    end = int(counter["value"]) + 1
    if end > kinds.MAXIMUM_SAFE_INTEGER + 1:  # a client brought the largest, or nearly
        raise IdInvalid(
            f"`{collection.name}` has no integer left that is larger than all its ids",
            hint="Send an id with the document.",
        )
    return list(range(end - count, end))


def _integer(text: str) -> int:
    number = int(kinds.to_bson(Kind.INT64, text))
    if abs(number) > kinds.MAXIMUM_SAFE_INTEGER:
        raise ValueError("not within 53 bits")
    return number


def _string(text: str) -> str:
    if not text or len(text) > MAXIMUM_ID_LENGTH:
        raise ValueError(f"not 1 to {MAXIMUM_ID_LENGTH} characters long")
    if "/" in text or not text.isprintable() or text in {".", ".."}:
        raise ValueError("a `/` or an unprintable character is in it")
    if text in RESERVED:
        raise ValueError("the word is reserved")
    return text


_READERS = {
    Kind.OBJECT_ID: lambda text: kinds.to_bson(Kind.OBJECT_ID, text),
    Kind.UUID: lambda text: kinds.to_bson(Kind.UUID, text),
    Kind.INTEGER: _integer,
    Kind.STRING: _string,
}
_ARTICLES = {
    Kind.OBJECT_ID: "a string of 24 hexadecimal digits",
    Kind.UUID: "a UUID as a string",
    Kind.INTEGER: "an integer",
    Kind.STRING: "a string",
}
