"""New documents: what a client sends, as the rules have it stored."""

from functools import partial
from typing import Any

from models.base import utc_now
from service.access.decisions import Decision, Grant, deciding
from service.access.principals import Principal
from service.access.writable import beyond
from service.collections.registry import Collection
from service.documents import body as bodies
from service.documents import ids, terms


def compose(
    collection: Collection, decision: Decision, system: dict[str, Any], body: Any, made_id: Any = None
) -> dict[str, Any]:
    """Give a new document as it is stored, under the first grant that allows it.

    `system` are its system fields. Without an `_id` when the body brings none, unless one was made for it.
    Raises DocumentInvalid, FieldNotWritable, IdInvalid, Forbidden.
    """
    identity = {} if made_id is None else {"_id": made_id}
    if brings_id(collection, body):
        identity = {"_id": ids.supplied(collection, body["id"])}
        body = {name: value for name, value in body.items() if name != "id"}
    own = bodies.own_members(body, None)

    def result_of(grant: Grant) -> dict[str, Any]:
        return {**identity, **_completed(collection, grant, own), **system}

    if decision.is_plain:
        return result_of(decision.grants[0])
    verdict = deciding(decision, None, result_of, partial(_beyond, own), terms.TOLERATED)
    if verdict.result is None:
        raise terms.refusal(collection, "create", verdict.refusals)
    return dict(verdict.result)


def brings_id(collection: Collection, body: Any) -> bool:
    """Tell whether a body has the id of the new document."""
    return collection.description.options.may_supply_ids and isinstance(body, dict) and "id" in body


def looks_at_id(decision: Decision) -> bool:
    """Tell whether the id decides on what may be created: then it has to be there first."""
    return any("_id" in terms.names(grant.check) for grant in decision.grants)


def system_fields(principal: Principal, decision: Decision) -> dict[str, Any]:
    """Give the system fields of a document that is created now, which is the `$now` of its rule."""
    now = (decision.moment or utc_now()).replace(tzinfo=None)
    return {"_version": 1, "_created_at": now, "_updated_at": now, "_owner": principal.id}


def _beyond(own: dict[str, Any], grant: Grant) -> tuple[tuple[str, ...], ...]:
    return beyond(grant, {}, own)


def _completed(collection: Collection, grant: Grant, own: dict[str, Any]) -> dict[str, Any]:
    """Give the members of a document with those that a grant forces and the schema's defaults, validated."""
    schema = collection.description.schema
    asked = {name: part for name, part in own.items() if name not in grant.forced} if grant.forced else own
    violations = schema.read_only_violations(asked, None)
    if violations:
        raise bodies.refused(violations)
    document = schema.with_defaults({**asked, **grant.forced} if grant.forced else asked)
    bodies.check(collection, schema, document)
    return schema.encode(document)
