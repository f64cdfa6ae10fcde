"""Ids made for new documents."""

import os
from collections.abc import Iterable
from itertools import count
from time import time
from typing import Any
from uuid import uuid4

from bson import ObjectId
from pymongo import ReturnDocument

from models.counter import Counter
from service.kit.errors import IdInvalid
from service.query import kinds
from service.query.kinds import Kind
from service.storage.transactions import session


async def make_many(documents: Any, kind: Kind, count: int, taken: Iterable[Any] = ()) -> list[Any]:
    """Return so many ids that no document of the driver's collection has had, and that are not `taken`.

    In order, and at the cost of one. Raises IdInvalid when there are no larger integers of 53 bits.
    """
    if kind is Kind.INTEGER:
        return await _next_integers(documents, count, max(taken, default=0)) if count else []
    new = uuid4 if kind is Kind.UUID else object_id if kind is Kind.OBJECT_ID else _text_id
    return [new() for _ in range(count)]


async def make(documents: Any, kind: Kind) -> Any:
    """Return an id that no document of the driver's collection has had."""
    return object_id() if kind is Kind.OBJECT_ID else (await make_many(documents, kind, 1))[0]


async def forget(name: str) -> None:
    """Have the integers of a collection that has no documents any more begin at 1 again."""
    await Counter.get_motor_collection().delete_one({"_id": name})


def object_id() -> ObjectId:
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
    return str(object_id())


async def _next_integers(documents: Any, count: int, taken: int) -> list[int]:
    """Count on from the last integer given out or, when documents came with larger ones, from the largest.

    The counter is no part of a transaction: those who create would wait for each other. What the transaction
    itself has created is seen.
    """
    last = await documents.find_one({}, {"_id": 1}, sort=[("_id", -1)], session=session())
    largest = last["_id"] if last is not None and isinstance(last["_id"], int) else 0
    counter = await Counter.get_motor_collection().find_one_and_update(
        {"_id": documents.name},
        [{"$set": {"value": {"$add": [{"$max": ["$value", largest, taken, 0]}, count]}}}],
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    end = int(counter["value"]) + 1
    if end > kinds.MAXIMUM_SAFE_INTEGER + 1:  # a client brought the largest, or nearly
        raise IdInvalid(
            f"`{documents.name}` has no integer left that is larger than all its ids",
            hint="Send an id with the document.",
        )
    return list(range(end - count, end))
