"""Writing documents: validated wholly, then one conditional database operation."""

from collections.abc import Callable
from typing import Any

from bson.errors import BSONError
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError, PyMongoError

from models.base import SYSTEM_FIELDS, utc_now
from service.access.principals import Principal
from service.documents import body as bodies
from service.documents import encoding, failures, ids, patches
from service.documents.preconditions import Expected, version_of
from service.documents.reading import permit, selector
from service.errors import BodyTooLarge, Contention, DocumentNotFound, PatchInvalid
from service.query import Compare, Node, conjoin
from service.registry import Collection
from service.transactions import session

ATTEMPTS = 32
"""How often a change is tried again on the newest version before the client is told of the contention."""

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
    DocumentInvalid, FieldNotWritable, BodyTooLarge, Duplicate, Contention.
    """
    schema = collection.description.schema

    def replaced(now: dict[str, Any]) -> Any:
        return schema.keep_unwritable(body, now) if isinstance(body, dict) else body

    return await _change(collection, principal, document_id, expected, replaced)


async def merge(
    collection: Collection, principal: Principal, document_id: Any, patch: Any, expected: Expected | None
) -> dict[str, Any]:
    """Apply a merge patch (RFC 7396) to a document; gives it as stored now.

    Without `expected` it is applied to the newest version, so that patches of different fields all win.
    Raises PatchInvalid and what `replace` raises; it is the result that is validated.
    """
    return await _change(collection, principal, document_id, expected, merging(patch))


def merging(patch: Any) -> Change:
    """Give the change that a merge patch (RFC 7396) makes; raises PatchInvalid."""
    if not isinstance(patch, dict):
        raise PatchInvalid("A merge patch for a document is an object")
    named = {name: value for name, value in patch.items() if name in bodies.SYSTEM_NAMES}

    def merged(now: dict[str, Any]) -> Any:
        return {**patches.merge(now, patch), **named}  # a null for a system field is a value to refuse

    return merged


async def delete(
    collection: Collection, principal: Principal, document_id: Any, expected: Expected | None
) -> None:
    """Delete a document; raises DocumentNotFound, Stale."""
    where = permit(collection, principal, "delete")
    for _ in range(ATTEMPTS):
        condition = where
        if expected is not None:
            present = await _present(collection, document_id, where)
            expected.check(present)
            condition = conjoin(where, _at(present))
        deleted = await collection.documents.delete_one(selector(document_id, condition), session=session())
        if deleted.deleted_count:
            return
        if expected is None:
            raise DocumentNotFound
    raise Contention


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
    """Change a document when it is this request's turn among those of this worker.

    Within a transaction nobody waits for a turn: whoever held one could be waiting for this transaction.
    """
    where = permit(collection, principal, "update")
    if session() is not None:
        return await _change_now(collection, document_id, where, expected, change)
    async with collection.turns.of(document_id):
        return await _change_now(collection, document_id, where, expected, change)


async def _change_now(
    collection: Collection,
    document_id: Any,
    where: Node | None,
    expected: Expected | None,
    change: Change,
) -> dict[str, Any]:
    """Read, change, validate, and write back if nobody else wrote meanwhile; else again from the newest.

    The rule is part of the read and of the write.
    """
    for _ in range(ATTEMPTS):
        present = await _present(collection, document_id, where)
        if expected is not None:
            expected.check(present)
        changed = compute(collection, present, change)
        try:
            written: dict[str, Any] | None = await collection.documents.find_one_and_replace(
                selector(document_id, conjoin(where, _at(present))),
                changed,
                return_document=ReturnDocument.AFTER,
                session=session(),
            )
        except (PyMongoError, BSONError, OverflowError) as error:
            failures.translate(collection, error)
        if written is not None:
            return written
    raise Contention


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
    return {**encoded, **unchanged, **system}


def _is_same(one: Any, other: Any) -> bool:
    """Compare JSON values as JSON does: true is not 1, and 1 is not 1.0."""
    return bool(one == other) and encoding.dump(one) == encoding.dump(other)


async def _present(collection: Collection, document_id: Any, where: Node | None) -> dict[str, Any]:
    present: dict[str, Any] | None = await collection.documents.find_one(
        selector(document_id, where), session=session()
    )
    if present is None:
        raise DocumentNotFound
    return present


def _at(present: dict[str, Any]) -> Node:
    return Compare(("_version",), "eq", present.get("_version"))
