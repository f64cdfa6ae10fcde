"""Changing or deleting all the documents that fulfil a filter."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bson.errors import BSONError
from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError, OperationFailure

from service.access.decisions import Decision
from service.access.principals import Principal
from service.collections.registry import Collection
from service.documents import encoding, terms, visibility
from service.documents.bulk.refusals import Refusals, cause, of_write
from service.documents.computing import compute, is_altered
from service.documents.patches import Patch
from service.documents.preconditions import Expected
from service.documents.reading import permit
from service.documents.terms import Terms
from service.kit.errors import (
    BodyTooLarge,
    Contention,
    Failure,
    PreconditionRequired,
    Stale,
    TooManyAffected,
    Violation,
)
from service.kit.tasks import Breather
from service.query import Node, conjoin, to_mongo
from service.query.changes import ChangeQuery
from service.query.search import searched, unsearchable
from service.storage.codes import INDEX_NOT_FOUND
from service.storage.database import Database
from service.storage.timing import timed
from service.storage.transactions import session

MAXIMUM_BYTES = 64 * 1024 * 1024
"""How large the documents that one request changes may be together, as JSON: all are held in memory."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change of many documents did: those that it was for, as stored now, and how many it altered."""

    documents: list[dict[str, Any]]
    altered: int


async def update(
    database: Database,
    collection: Collection,
    principal: Principal,
    query: ChangeQuery,
    change: Patch,
    *,
    expected: Expected | None,
) -> Changed:
    """Change every document that fulfils the query and that the caller may see and change; all or none.

    A document that the change leaves as it is keeps its version. Raises TooManyAffected, Stale,
    PreconditionRequired, BodyTooLarge, Duplicate, Contention, and what single changes raise, each violation
    with the document's id.
    """
    _check(collection, expected)
    agreed = terms.agreed(collection, principal, "update")
    where = _narrowed(collection, principal, agreed.write, query)
    return await database.transaction(partial(_update, collection, agreed, where, query, change))


async def delete(
    database: Database,
    collection: Collection,
    principal: Principal,
    query: ChangeQuery,
    *,
    expected: Expected | None,
) -> int:
    """Delete every document that fulfils the query and that the caller may see and delete; all or none.

    Gives their number. Raises TooManyAffected, Stale, PreconditionRequired, Contention.
    """
    _check(collection, expected)
    where = _narrowed(collection, principal, permit(collection, principal, "delete"), query)
    return await database.transaction(partial(_delete, collection, where, query))


def _check(collection: Collection, expected: Expected | None) -> None:
    """Raise unless the request says nothing of versions, or, where it has to, that any will do."""
    if expected is None and collection.description.options.requires_if_match:
        raise PreconditionRequired(
            f"A change of a document of `{collection.name}` says which version it is of",
            hint="Send a batch of changes, each with its `if_match`, or If-Match: * if any version will do.",
        )
    if expected not in (None, Expected(None)):
        raise Stale(
            "A change by filter is for many documents, which have no version in common",
            hint="Send a batch of changes, each with its `if_match`.",
        )


def _narrowed(
    collection: Collection, principal: Principal, decision: Decision, query: ChangeQuery
) -> Node | None:
    """Give the condition on the documents; a filter also reads, so that it asks for the right to list."""
    listed = visibility.condition(collection, permit(collection, principal, "list"), query)
    return conjoin(decision.where, listed)


async def _ids(collection: Collection, where: Node | None, query: ChangeQuery) -> list[Any]:
    """Find the ids of the documents; raises TooManyAffected."""
    condition = {} if where is None else to_mongo(where)
    if query.search is not None:
        condition = searched(condition, query.search)
    limit = query.maximum + 1
    cursor = collection.documents.find(
        condition, {"_id": 1}, limit=limit, batch_size=limit, session=session()
    )
    try:
        with timed(collection.documents, {"find": collection.name, "filter": condition, "limit": limit}):
            found = [document["_id"] async for document in cursor]
    except OperationFailure as error:
        if error.code == INDEX_NOT_FOUND:
            raise unsearchable(collection.description.schema.root) from None
        raise
    if len(found) > query.maximum:
        raise TooManyAffected(
            f"At least {len(found)} documents match, and max_affected is {query.maximum}",
            hint="Narrow the filter, or raise max_affected if so many are meant.",
        )
    return found


async def _update(
    collection: Collection, agreed: Terms, where: Node | None, query: ChangeQuery, change: Patch
) -> Changed:
    found = await _ids(collection, where, query)
    documents: list[dict[str, Any]] = []
    replacements: list[dict[str, Any]] = []
    versions: list[Any] = []
    refusals = Refusals()
    size = 0
    if not found:
        return Changed([], 0)
    breather = Breather()
    cursor = collection.documents.find({"_id": {"$in": found}}, sort=[("_id", 1)], session=session())
    async for present in cursor:
        await breather.breathe()
        try:
            changed = compute(collection, agreed, present, change)
        except Failure as failure:
            refusals.add(_named(collection, present, failure))
            continue
        if is_altered(collection, agreed, present, changed):
            replacements.append(changed)
            versions.append(present.get("_version"))
        else:
            changed = present
        documents.append(changed)
        size += len(encoding.dump(changed))
        if size > MAXIMUM_BYTES:
            detail = f"The documents are larger than {MAXIMUM_BYTES} bytes together; change fewer at once"
            raise BodyTooLarge(detail)
    refusals.raise_if_any()
    await _replace(collection, replacements, versions)
    return Changed(documents, len(replacements))


async def _replace(collection: Collection, replacements: list[dict[str, Any]], versions: list[Any]) -> None:
    """Put documents in the place of those of the same ids at these versions, in one operation."""
    if not replacements:
        return
    operations = [
        ReplaceOne({"_id": document["_id"], "_version": version}, document)
        for document, version in zip(replacements, versions, strict=True)
    ]
    try:
        written = await collection.documents.bulk_write(operations, session=session())
    except BulkWriteError as error:
        index, refused = cause(error)
        raise _named(collection, replacements[index], of_write(collection, refused)) from None
    except (BSONError, OverflowError) as error:
        raise of_write(collection, error) from None
    if written.matched_count != len(operations):
        raise Contention


async def _delete(collection: Collection, where: Node | None, query: ChangeQuery) -> int:
    found = await _ids(collection, where, query)
    if not found:
        return 0
    # The transaction's snapshot still fulfils the condition, and a document that somebody else has changed
    # since then ends it: no gap lies between finding and deleting.
    deleted = await collection.documents.delete_many({"_id": {"$in": found}}, session=session())
    if deleted.deleted_count != len(found):
        raise Contention
    return len(found)


def _named(collection: Collection, document: dict[str, Any], failure: Failure) -> Failure:
    """Have every violation name the document that it is about."""
    shown = encoding.as_json(collection, {"_id": document["_id"]})["id"]
    whole = Violation(failure.detail, failure.code, pointer="", hint=failure.hint)
    failure.errors = tuple(replace(each, id=shown) for each in failure.errors or (whole,))
    return failure
