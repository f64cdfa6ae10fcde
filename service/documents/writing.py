"""Writing documents: validated wholly, then one conditional database operation."""

from functools import partial
from typing import Any

from bson.errors import BSONError
from pymongo.errors import DuplicateKeyError, PyMongoError

from service.access.decisions import Decision
from service.access.principals import Principal
from service.collections.registry import Collection
from service.documents import body as bodies
from service.documents import changes, composing, failures, ids, preconditions, terms
from service.documents.computing import compute
from service.documents.patches import Patch
from service.documents.preconditions import Expected
from service.documents.reading import permit
from service.kit.errors import (
    Contention,
    DocumentNotFound,
    Duplicate,
    IdInvalid,
    Stale,
    Violation,
)
from service.query import conjoin
from service.schema import Schema
from service.storage.database import calls_of
from service.storage.store import selector
from service.storage.transactions import delegate_session, session
from service.storage.turns import RETRY

ATTEMPTS = 32
"""How often an id is made, or a deletion tried again, before the client is told of the contention."""

PUT_ATTEMPTS = 4
"""How often a document that is there for the database, and not for the caller, is looked for again."""


async def create(collection: Collection, principal: Principal, body: Any) -> dict[str, Any]:
    """Create a document from a client's JSON; gives it as stored.

    Raises DocumentInvalid, FieldNotWritable, IdInvalid, Forbidden, Duplicate.
    """
    decision = permit(collection, principal, "create")
    return await _create(collection, principal, decision, body)


async def replace(
    collection: Collection, principal: Principal, document_id: Any, body: Any, expected: Expected | None
) -> dict[str, Any]:
    """Replace a document by a client's JSON; gives it as stored now.

    Members that the client cannot see or cannot write stay as they are. Raises DocumentNotFound, Stale,
    PreconditionRequired, DocumentInvalid, FieldNotWritable, Forbidden, BodyTooLarge, Duplicate, Contention.
    """

    def replaced(now: dict[str, Any], schema: Schema, _: int) -> Any:
        return schema.keep_unwritable(body, now) if isinstance(body, dict) else body

    return await _change(collection, principal, document_id, expected, replaced)


async def put(
    collection: Collection,
    principal: Principal,
    document_id: Any,
    body: Any,
    expected: Expected | None,
    *,
    may_create: bool,
) -> tuple[dict[str, Any], bool]:
    """Replace a document, or create it under that id if it may and there is none; gives it, and if it is new.

    Who may create must have the right to do either, and whichever comes to pass does so within its rule: of
    many at once one creates. Raises what `replace` and `create` raise; Duplicate for an id whose document the
    rule hides, as `create` does; Stale for `If-Match` when there is none (RFC 9110, 13.1.1).
    """
    if not may_create:
        return await replace(collection, principal, document_id, body, expected), False
    creation = permit(collection, principal, "create")
    where = permit(collection, principal, "update").where
    if not collection.description.options.may_supply_ids:
        raise IdInvalid(
            f"`{collection.name}` makes its ids itself, so that PUT cannot create",
            hint="Create with POST, or give the collection the option `id_type`.",
        )
    preconditions.require(collection, expected)
    for attempt in range(PUT_ATTEMPTS):
        try:
            if expected is not None and expected.is_absent:
                expected.check(await changes.find(collection, document_id, where))
            return await replace(collection, principal, document_id, body, expected), False
        except DocumentNotFound:
            if expected is not None and expected.has_if_match:
                raise Stale("There is no such document") from None
        try:
            return await _create_at(collection, principal, creation, document_id, body), True
        except Duplicate as duplicate:
            is_of_id = [each.pointer for each in duplicate.errors] == ["/id"]
            if not is_of_id or session() is not None or attempt == PUT_ATTEMPTS - 1:
                raise
        await RETRY.sleep(attempt)  # somebody created it just now
    raise Contention


async def patch(
    collection: Collection, principal: Principal, document_id: Any, change: Patch, expected: Expected | None
) -> dict[str, Any]:
    """Apply a patch (`service.documents.patches`) to a document; gives it as stored now.

    Without `expected` it is applied to the newest version, so that patches of different fields all win. It is
    the result that is validated. Raises PatchInvalid, PatchConflict, PatchTestFailed, and as `replace`.
    """
    return await _change(collection, principal, document_id, expected, change)


async def delete(
    collection: Collection, principal: Principal, document_id: Any, expected: Expected | None
) -> None:
    """Delete a document; raises DocumentNotFound, Stale, PreconditionRequired, Contention."""
    where = permit(collection, principal, "delete").where
    preconditions.require(collection, expected)
    for attempt in range(ATTEMPTS):
        condition = where
        if expected is not None:
            present = await changes.find(collection, document_id, where)
            expected.check(present)
            condition = conjoin(where, changes.at_version(present))
        delete_one = partial(
            collection.documents.delegate.delete_one,
            selector(document_id, condition),
            session=delegate_session(),
        )
        deleted = await calls_of(collection.documents).writes.run(delete_one)
        if deleted.deleted_count:
            return
        if expected is None:
            raise DocumentNotFound
        await RETRY.sleep(attempt)
    raise Contention


async def _create_at(
    collection: Collection, principal: Principal, decision: Decision, document_id: Any, body: Any
) -> dict[str, Any]:
    """Create a document under an id, which the body may repeat."""
    if isinstance(body, dict):
        if "id" in body and ids.supplied(collection, body["id"]) != document_id:
            violation = Violation("`id` is not the id of this address", "system_field", pointer="/id")
            raise bodies.refused([violation])
        body = {name: part for name, part in body.items() if name != "id"}
    return await _create(collection, principal, decision, body, document_id)


async def _create(
    collection: Collection, principal: Principal, decision: Decision, body: Any, given_id: Any = None
) -> dict[str, Any]:
    """Create a document under an id that is given, or that it brings, or that is made."""
    system = composing.system_fields(principal, decision)
    compose = partial(composing.compose, collection, decision, system, body)
    is_made = given_id is None and not composing.brings_id(collection, body)
    is_decided_by_id = is_made and composing.looks_at_id(decision)
    document = {} if is_decided_by_id else compose(given_id)
    attempts = ATTEMPTS if session() is None else 1  # what fails within a transaction has ended it
    for attempt in range(attempts):
        stored = document
        if is_made:
            made_id = await ids.make(collection)
            stored = compose(made_id) if is_decided_by_id else {"_id": made_id, **document}
        try:
            await _insert(collection, stored)
        except DuplicateKeyError as error:
            is_ours = is_made and list((error.details or {}).get("keyPattern", {})) == ["_id"]
            if not is_ours or attempt == attempts - 1:
                failures.translate(collection, error)
        except (PyMongoError, BSONError, OverflowError) as error:
            failures.translate(collection, error)
        else:
            return stored
    raise Contention


async def _insert(collection: Collection, document: dict[str, Any]) -> None:
    """Insert a document: together with others, but for transactions, which are of one task."""
    if session() is None:
        await collection.joined_creates.create(document)
    else:
        await collection.documents.insert_one(document, session=session())


async def _change(
    collection: Collection,
    principal: Principal,
    document_id: Any,
    expected: Expected | None,
    change: Patch,
) -> dict[str, Any]:
    agreed = terms.agreed(collection, principal, "update")
    preconditions.require(collection, expected)
    computed = partial(compute, collection, agreed, change=change)
    asked = changes.Asked(agreed.write.where, expected, computed, agreed.wheres)
    return await changes.make(collection, document_id, asked)
