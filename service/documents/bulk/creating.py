"""Creating many documents at once."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from bson.errors import BSONError
from pymongo.errors import BulkWriteError, OperationFailure

from service.access.decisions import Decision
from service.access.principals import Principal
from service.collections.registry import Collection
from service.documents import composing, ids
from service.documents.bulk.refusals import (
    MAXIMUM_DOCUMENTS,
    Refusals,
    cause,
    of_write,
)
from service.documents.reading import permit
from service.kit.errors import (
    Contention,
    DocumentInvalid,
    Duplicate,
    Failure,
    IdInvalid,
    Violation,
)
from service.kit.pointers import escape
from service.kit.tasks import Breather
from service.storage.database import Database
from service.storage.transactions import session

ATTEMPTS = 32
"""How often ids are made, before the client is told of the contention."""


async def create(
    database: Database, collection: Collection, principal: Principal, documents: Sequence[Any]
) -> list[dict[str, Any]]:
    """Create documents from a client's JSON, all or none; gives them as stored, in order.

    Raises DocumentInvalid, FieldNotWritable, IdInvalid, Forbidden, Duplicate, each violation with the
    document's index at the front of its pointer, Contention.
    """
    decision = permit(collection, principal, "create")
    if not 1 <= len(documents) <= MAXIMUM_DOCUMENTS:
        detail = f"An array creates 1 to {MAXIMUM_DOCUMENTS} documents, and this one has {len(documents)}"
        raise DocumentInvalid(detail, errors=[Violation(detail, "length", pointer="")])
    system = composing.system_fields(principal, decision)
    composed: list[dict[str, Any]] = []
    for _ in range(ATTEMPTS):
        if not composed or composing.looks_at_id(decision):
            made = await _made_first(collection, decision, documents)
            compose = partial(composing.compose, collection, decision, system)
            composed = await _compose(compose, documents, made)
            _refuse_repeated(composed)
        stored = await _complete(collection, composed)
        try:
            await database.transaction(partial(_insert, collection, stored))
        except BulkWriteError as error:
            index, refused = cause(error)
            is_made = not composing.brings_id(collection, documents[index])
            if (
                not (is_made and _is_about_ids(refused)) or session() is not None
            ):  # else the id that we made was taken meanwhile
                raise of_write(collection, refused).below(escape(index)) from None
        except (BSONError, OverflowError) as error:
            raise of_write(collection, error) from None
        else:
            return stored
    raise Contention


async def _made_first(
    collection: Collection, decision: Decision, documents: Sequence[Any]
) -> list[Any] | list[None]:
    """Make the ids of documents that bring none, if these decide on what may be created; else give None."""
    made: list[Any] = [None] * len(documents)
    if composing.looks_at_id(decision):
        without = [at for at, body in enumerate(documents) if not composing.brings_id(collection, body)]
        for at, made_id in zip(without, await ids.make_many(collection, len(without)), strict=True):
            made[at] = made_id
    return made


async def _compose(
    compose: Callable[..., dict[str, Any]], documents: Sequence[Any], made: Sequence[Any]
) -> list[dict[str, Any]]:
    """Give all the documents as they are stored, without ids where none is; raises what is wrong with any."""
    composed: list[dict[str, Any]] = []
    refusals = Refusals()
    breather = Breather()
    for index, document in enumerate(documents):
        await breather.breathe()
        try:
            composed.append(compose(document, made[index]))
        except IdInvalid as failure:
            refusals.add(failure.below(escape(index) + "/id"))
        except Failure as failure:
            refusals.add(failure.below(escape(index)))
    refusals.raise_if_any()
    return composed


def _refuse_repeated(composed: Sequence[dict[str, Any]]) -> None:
    """Raise Duplicate when documents of one array bring the same id."""
    counts = Counter(document["_id"] for document in composed if "_id" in document)
    violations = [
        Violation("the id is there more than once", "unique", pointer=f"/{index}/id")
        for index, document in enumerate(composed)
        if "_id" in document and counts[document["_id"]] > 1
    ]
    if violations:
        raise Duplicate("Documents of the array have the same `id`", errors=violations)


async def _complete(collection: Collection, composed: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the documents with new ids for those that have none."""
    known = [document["_id"] for document in composed if "_id" in document]
    made = iter(await ids.make_many(collection, len(composed) - len(known), known))
    return [document if "_id" in document else {"_id": next(made), **document} for document in composed]


async def _insert(collection: Collection, stored: list[dict[str, Any]]) -> None:
    await collection.documents.insert_many(stored, session=session())


def _is_about_ids(error: OperationFailure) -> bool:
    return list((error.details or {}).get("keyPattern", {})) == ["_id"]
