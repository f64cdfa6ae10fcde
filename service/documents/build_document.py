"""Building new documents: what a client sends, as the rules have it stored."""

from functools import partial
from typing import Any, NamedTuple, Self

from models.base import stored_now
from service.access.decisions import Decision, Grant, deciding
from service.access.writable import beyond
from service.collections.registry import Collection
from service.documents import body as bodies
from service.documents import ids, write_policy
from service.documents.access import Access
from service.query.tree import member_names


class BuildDocument(NamedTuple):
    """Builds the documents that a caller creates at one moment, each under the first grant that allows it."""

    collection: Collection
    decision: Decision
    system: dict[str, Any]
    """Their system fields."""

    @classmethod
    def of(cls, access: Access) -> Self:
        """Return the builder for a caller, now; raises SignInRequired or Forbidden."""
        decision = access.permit("create")
        moment = decision.moment  # the `$now` of the rule
        now = stored_now() if moment is None else moment.replace(tzinfo=None)
        owner = access.principal.id
        system = {"_version": 1, "_created_at": now, "_updated_at": now, "_owner": owner}
        return cls(access.collection, decision, system)

    def build(self, body: Any, given_id: Any = None) -> dict[str, Any]:
        """Return a new document as it is stored: without `_id` if the body brings none and none is given.

        Raises DocumentInvalid, FieldNotWritable, IdInvalid, Forbidden.
        """
        identity = {} if given_id is None else {"_id": given_id}
        if self.brings_id(body):
            identity = {"_id": ids.supplied(self.collection, body["id"])}
            body = {name: value for name, value in body.items() if name != "id"}
        own = bodies.own_members(body, None)

        def result_of(grant: Grant) -> dict[str, Any]:
            return {**identity, **_completed(self.collection, grant, own), **self.system}

        if self.decision.is_plain:
            return result_of(self.decision.grants[0])
        verdict = deciding(self.decision, None, result_of, partial(_beyond, own), write_policy.TOLERATED)
        if verdict.result is None:
            raise write_policy.refusal(self.collection, "create", verdict.refusals)
        return dict(verdict.result)

    def brings_id(self, body: Any) -> bool:
        """Return whether a body has the id of the new document."""
        return self.collection.description.options.may_supply_ids and isinstance(body, dict) and "id" in body

    @property
    def looks_at_id(self) -> bool:
        """Whether the id decides on what may be created: then it has to be there first."""
        if self.decision.is_plain:
            return False
        return any("_id" in member_names(grant.check) for grant in self.decision.grants)


def _beyond(own: dict[str, Any], grant: Grant) -> tuple[tuple[str, ...], ...]:
    return beyond(grant, {}, own)


def _completed(collection: Collection, grant: Grant, own: dict[str, Any]) -> dict[str, Any]:
    """Return a document's members with those that a grant forces and the schema's defaults, validated."""
    schema = collection.description.schema
    asked = {name: part for name, part in own.items() if name not in grant.forced} if grant.forced else own
    violations = schema.read_only_violations(asked, None)
    if violations:
        raise bodies.refused(violations)
    document = schema.with_defaults({**asked, **grant.forced} if grant.forced else asked)
    bodies.check(collection, schema, document)
    return schema.encode(document)
