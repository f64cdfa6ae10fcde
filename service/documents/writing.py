"""Planning the writes of single documents: from a client's request to a plan, validated as far as it goes.

    await access.collection.store.write(writing.create(access, body))

Each function raises SignInRequired or Forbidden where the rules allow none of it. What the plan raises when
it is executed stands in `service.storage.writes`.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from service.documents import body as bodies
from service.documents import ids, preconditions
from service.documents.access import Access
from service.documents.apply_patch import ApplyPatch
from service.documents.build_document import BuildDocument
from service.documents.patches import Patch
from service.documents.preconditions import Expected
from service.documents.write_policy import WritePolicy
from service.kit.errors import Failure, IdInvalid, Stale, Violation
from service.schema import Schema
from service.storage.plans import Create, Delete, Origin, Through, Update, Upsert


@dataclass(frozen=True, slots=True)
class Replacement:
    """The patch that puts a client's JSON in a document's place: what the client cannot write stays."""

    body: Any

    def __call__(self, present: dict[str, Any], schema: Schema, _: int) -> Any:
        """Return the body, with members of the present document that the client cannot write."""
        return schema.keep_unwritable(self.body, present) if isinstance(self.body, dict) else self.body


def origin_of(access: Access, through: Through) -> Origin:
    """Return whose write it is, and through what it comes."""
    return Origin(access.principal.id, through)


def create(access: Access, body: Any, *, through: Through = "request") -> Create:
    """Plan the creation of a document from a client's JSON.

    Raises DocumentInvalid, FieldNotWritable, IdInvalid; as the plan does where the rule looks at an id that
    is yet to be made.
    """
    builder = BuildDocument.of(access)
    origin = origin_of(access, through)
    if builder.brings_id(body):
        return Create(builder.build(body), origin)
    kind = access.collection.description.options.id_kind
    if builder.looks_at_id:
        return Create({}, origin, kind, partial(builder.build, body))
    return Create(builder.build(body), origin, kind)


def patch(
    access: Access,
    document_id: Any,
    change: Patch,
    expected: Expected | None,
    *,
    through: Through = "request",
) -> Update:
    """Plan a patch (`service.documents.patches`) of a document.

    Without `expected` it is applied to the newest version, so that patches of different fields all win. It is
    the result that is validated. The plan raises PatchInvalid, PatchConflict, PatchTestFailed, and as
    `replace`. Raises PreconditionRequired.
    """
    policy = WritePolicy.of(access, "update")
    preconditions.require(access.collection, expected)
    applied = ApplyPatch(access.collection, policy, change, expected)
    return Update(document_id, applied, policy.write.where, origin_of(access, through))


def replace(
    access: Access, document_id: Any, body: Any, expected: Expected | None, *, through: Through = "request"
) -> Update:
    """Plan the replacement of a document by a client's JSON.

    Members that the client cannot see or cannot write stay as they are. The plan raises Stale,
    DocumentInvalid, FieldNotWritable, Forbidden, BodyTooLarge. Raises PreconditionRequired.
    """
    return patch(access, document_id, Replacement(body), expected, through=through)


def put(
    access: Access,
    document_id: Any,
    body: Any,
    expected: Expected | None,
    *,
    may_create: bool,
    through: Through = "request",
) -> Update | Upsert:
    """Plan the replacement of a document, or its creation under that id if it may and there is none.

    Who may create must have the right to do either, and whichever comes to pass does so within its rule. The
    plan raises what those of `replace` and `create` raise; Duplicate for an id whose document the rule hides;
    Stale for `If-Match` when there is none (RFC 9110, 13.1.1). Raises IdInvalid, PreconditionRequired.
    """
    if not may_create:
        return replace(access, document_id, body, expected, through=through)
    access.permit("create")
    access.permit("update")
    collection = access.collection
    if not collection.description.options.may_supply_ids:
        raise IdInvalid(
            f"`{collection.name}` makes its ids itself, so that PUT cannot create",
            hint="Create with POST, or give the collection the option `id_type`.",
        )
    update = replace(access, document_id, body, expected, through=through)
    if expected is not None and expected.has_if_match:
        return Update(update.id, update.change, update.where, update.origin, _no_such_document)
    return Upsert(update, partial(_create_at, access, document_id, body, through))


def delete(
    access: Access, document_id: Any, expected: Expected | None, *, through: Through = "request"
) -> Delete:
    """Plan the deletion of a document. The plan raises Stale. Raises PreconditionRequired."""
    where = access.permit("delete").where
    preconditions.require(access.collection, expected)
    return Delete(document_id, where, origin_of(access, through), expected)


def _create_at(access: Access, document_id: Any, body: Any, through: Through) -> Create:
    """Plan the creation of a document under an id, which the body may repeat."""
    if isinstance(body, dict):
        if "id" in body and ids.supplied(access.collection, body["id"]) != document_id:
            violation = Violation("`id` is not the id of this address", "system_field", pointer="/id")
            raise bodies.refused([violation])
        body = {name: part for name, part in body.items() if name != "id"}
    return Create(BuildDocument.of(access).build(body, document_id), origin_of(access, through))


def _no_such_document() -> Failure:
    return Stale("There is no such document")
