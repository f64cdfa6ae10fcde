"""Creating many documents at once."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from bson.errors import BSONError
from pymongo.errors import BulkWriteError, OperationFailure

from service.access.principals import Principal
from service.database import Database
from service.documents import ids, writing
from service.documents.bulk.refusals import (
    BREATH,
    MAXIMUM_DOCUMENTS,
    Refusals,
    cause,
    of_write,
)
from service.documents.reading import permit
from service.errors import Contention, DocumentInvalid, Duplicate, Failure, IdInvalid, Violation
from service.registry import Collection
from service.schema.pointers import escape
from service.transactions import session

Composed = tuple[Any, dict[str, Any]]
"""The id that a document brings, None without one, and its own members."""


async def create(
    database: Database, collection: Collection, principal: Principal, documents: Sequence[Any]
) -> list[dict[str, Any]]:
    """Create documents from a client's JSON, all or none; gives them as stored, in order.

    Raises DocumentInvalid, FieldNotWritable, IdInvalid, Duplicate, each violation with the document's index
    at the front of its pointer, Contention.
    """
    permit(collection, principal, "create")
    if not 1 <= len(documents) <= MAXIMUM_DOCUMENTS:
        detail = f"An array creates 1 to {MAXIMUM_DOCUMENTS} documents, and this one has {len(documents)}"
        raise DocumentInvalid(detail, errors=[Violation(detail, "length", pointer="")])
    composed = await _compose(collection, documents)
    _refuse_repeated(composed)
    for _ in range(writing.ATTEMPTS):
        stored = await _complete(collection, principal, composed)
        try:
            await database.transaction(partial(_insert, collection, stored))
        except BulkWriteError as error:
            index, refused = cause(error)
            is_made = composed[index][0] is None and _is_about_ids(refused)
            if not is_made or session() is not None:  # else the id that we made was taken meanwhile
                raise of_write(collection, refused).below(escape(index)) from None
        except (BSONError, OverflowError) as error:
            raise of_write(collection, error) from None
        else:
            return stored
    raise Contention


async def _compose(collection: Collection, documents: Sequence[Any]) -> list[Composed]:
    """Validate all the documents; raises what is wrong with any of them."""
    composed: list[Composed] = []
    refusals = Refusals()
    for index, document in enumerate(documents):
        if index % BREATH == BREATH - 1:
            await asyncio.sleep(0)
        try:
            composed.append(writing.compose(collection, document))
        except IdInvalid as failure:
            refusals.add(failure.below(escape(index) + "/id"))
        except Failure as failure:
            refusals.add(failure.below(escape(index)))
    refusals.raise_if_any()
    return composed


def _refuse_repeated(composed: Sequence[Composed]) -> None:
    """Raise Duplicate when documents of one array bring the same id."""
    counts = Counter(supplied_id for supplied_id, _ in composed if supplied_id is not None)
    violations = [
        Violation("the id is there more than once", "unique", pointer=f"/{index}/id")
        for index, (supplied_id, _) in enumerate(composed)
        if counts[supplied_id] > 1
    ]
    if violations:
        raise Duplicate("Documents of the array have the same `id`", errors=violations)


async def _complete(
    collection: Collection, principal: Principal, composed: Sequence[Composed]
) -> list[dict[str, Any]]:
    """Give the documents as they are stored, with new ids for those that bring none."""
    supplied = [supplied_id for supplied_id, _ in composed if supplied_id is not None]
    made = iter(await ids.make_many(collection, len(composed) - len(supplied), supplied))
    system = writing.system_fields(principal)
    return [
        {"_id": next(made) if supplied_id is None else supplied_id, **document, **system}
        for supplied_id, document in composed
    ]


async def _insert(collection: Collection, stored: list[dict[str, Any]]) -> None:
    await collection.documents.insert_many(stored, session=session())


def _is_about_ids(error: OperationFailure) -> bool:
    return list((error.details or {}).get("keyPattern", {})) == ["_id"]
