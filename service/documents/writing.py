"""Writing documents: validated wholly, then one conditional database operation."""

from collections.abc import Callable
from functools import partial
from typing import Any

from bson.errors import BSONError
from pymongo.errors import DuplicateKeyError, PyMongoError

from models.base import SYSTEM_FIELDS, utc_now
from service.access.principals import Principal
from service.documents import body as bodies
from service.documents import changes, encoding, failures, ids, preconditions
from service.documents.patches import Patch
from service.documents.preconditions import Expected, version_of
from service.documents.reading import permit, selector
from service.documents.turns import pause
from service.errors import (
    BodyTooLarge,
    Contention,
    DocumentNotFound,
    Duplicate,
    IdInvalid,
    Stale,
    Violation,
)
from service.query import conjoin
from service.registry import Collection
from service.transactions import session

ATTEMPTS = 32
"""How often an id is made, or a deletion tried again, before the client is told of the contention."""

PUT_ATTEMPTS = 4
"""How often a document that is there for the database, and not for the caller, is looked for again."""

Change = Callable[[dict[str, Any]], Any]
"""From a document as JSON to the body that shall replace it."""


async def create(collection: Collection, principal: Principal, body: Any) -> dict[str, Any]:
    """Create a document from a client's JSON; gives it as stored.

    Raises DocumentInvalid, FieldNotWritable, IdInvalid, Duplicate.
    """
    permit(collection, principal, "create")
    supplied_id, document = compose(collection, body)
    return await _insert(collection, principal, document, supplied_id)


def compose(collection: Collection, body: Any) -> tuple[Any, dict[str, Any]]:
    """Give the id that a new document brings, None without one, and its own members as they are stored.

    Raises DocumentInvalid, FieldNotWritable, IdInvalid.
    """
    supplied_id = None
    if collection.description.options.may_supply_ids and isinstance(body, dict) and "id" in body:
        supplied_id = ids.supplied(collection, body["id"])
        body = {name: value for name, value in body.items() if name != "id"}
    schema = collection.description.schema
    document = bodies.own_members(body, None)
    violations = schema.read_only_violations(document, None)
    if violations:
        raise bodies.refused(violations)
    document = schema.with_defaults(document)
    bodies.check(collection, document)
    return supplied_id, schema.encode(document)


def system_fields(principal: Principal) -> dict[str, Any]:
    """Give the system fields of a document that is created now."""
    now = utc_now().replace(tzinfo=None)
    return {"_version": 1, "_created_at": now, "_updated_at": now, "_owner": principal.id}


async def replace(
    collection: Collection, principal: Principal, document_id: Any, body: Any, expected: Expected | None
) -> dict[str, Any]:
    """Replace a document by a client's JSON; gives it as stored now.

    Members that the client cannot see or cannot write stay as they are. Raises DocumentNotFound, Stale,
    PreconditionRequired, DocumentInvalid, FieldNotWritable, BodyTooLarge, Duplicate, Contention.
    """
    schema = collection.description.schema

    def replaced(now: dict[str, Any]) -> Any:
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
    permit(collection, principal, "create")
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
            return await _create_at(collection, principal, document_id, body), True
        except Duplicate as duplicate:
            is_of_id = [each.pointer for each in duplicate.errors] == ["/id"]
            if not is_of_id or session() is not None or attempt == PUT_ATTEMPTS - 1:
                raise
        await pause(attempt)  # somebody created it just now
    raise Contention


async def patch(
    collection: Collection, principal: Principal, document_id: Any, change: Patch, expected: Expected | None
) -> dict[str, Any]:
    """Apply a patch (`service.documents.patches`) to a document; gives it as stored now.

    Without `expected` it is applied to the newest version, so that patches of different fields all win. It is
    the result that is validated. Raises PatchInvalid, PatchConflict, PatchTestFailed, and as `replace`.
    """
    return await _change(collection, principal, document_id, expected, partial(change, collection))


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
        deleted = await collection.documents.delete_one(selector(document_id, condition), session=session())
        if deleted.deleted_count:
            return
        if expected is None:
            raise DocumentNotFound
        await pause(attempt)
    raise Contention


async def _create_at(
    collection: Collection, principal: Principal, document_id: Any, body: Any
) -> dict[str, Any]:
    """Create a document under an id, which the body may repeat."""
    supplied_id, document = compose(collection, body)
    if supplied_id not in (None, document_id):
        violation = Violation("`id` is not the id of this address", "system_field", pointer="/id")
        raise bodies.refused([violation])
    return await _insert(collection, principal, document, document_id)


async def _insert(
    collection: Collection, principal: Principal, document: dict[str, Any], supplied_id: Any
) -> dict[str, Any]:
    system = system_fields(principal)
    attempts = ATTEMPTS if session() is None else 1  # what fails within a transaction has ended it
    for attempt in range(attempts):
        made_id = await ids.make(collection) if supplied_id is None else supplied_id
        stored = {"_id": made_id, **document, **system}
        try:
            await collection.documents.insert_one(stored, session=session())
        except DuplicateKeyError as error:
            is_ours = supplied_id is None and list((error.details or {}).get("keyPattern", {})) == ["_id"]
            if not is_ours or attempt == attempts - 1:
                failures.translate(collection, error)
        except (PyMongoError, BSONError, OverflowError) as error:
            failures.translate(collection, error)
        else:
            return stored
    raise Contention


async def _change(
    collection: Collection,
    principal: Principal,
    document_id: Any,
    expected: Expected | None,
    change: Change,
) -> dict[str, Any]:
    where = permit(collection, principal, "update").where
    preconditions.require(collection, expected)
    computed = partial(compute, collection, change=change)
    return await changes.make(collection, document_id, changes.Asked(where, expected, computed))


def compute(collection: Collection, present: dict[str, Any], change: Change) -> dict[str, Any]:
    """Give the document that takes the place of the present one, as it is stored, validated.

    Raises DocumentInvalid, FieldNotWritable, BodyTooLarge and what the change raises.
    """
    schema = collection.description.schema
    present_json = encoding.as_json(collection, present)
    document = bodies.own_members(change(present_json), present_json)
    violations = schema.read_only_violations(document, present_json)
    violations += schema.read_only_removals(document, present_json)
    if violations:
        raise bodies.refused(violations)
    bodies.check(collection, document)
    if len(encoding.dump(document)) > collection.document_limit_bytes:
        limit_bytes = collection.document_limit_bytes
        raise BodyTooLarge(f"The document would be larger than a body may be, {limit_bytes} bytes")
    encoded = schema.encode(document)
    unchanged = {
        name: present[name]
        for name, value in document.items()
        if name in present and _is_same(value, present_json.get(name))
    }
    system = {name: present.get(name) for name in SYSTEM_FIELDS}
    system |= {"_version": version_of(present) + 1, "_updated_at": utc_now().replace(tzinfo=None)}
    return {"_id": present["_id"], **encoded, **unchanged, **system}


def _is_same(one: Any, other: Any) -> bool:
    """Compare JSON values as JSON does: true is not 1, and 1 is not 1.0."""
    return bool(one == other) and encoding.dump(one) == encoding.dump(other)
