"""The collections that references lead to, as one caller may read them."""

from dataclasses import dataclass

from service.access.decisions import Decision
from service.access.principals import Principal
from service.collections.registry import Collection, Registry
from service.documents import narrowing, reading
from service.kit.errors import CollectionNotFound, Forbidden, SignInRequired, Violation
from service.query.fields import Field


@dataclass(slots=True)  # not frozen, which takes four times as long to make
class Targets:
    """Where the references of a request by `principal` may lead."""

    registry: Registry
    principal: Principal

    def find(self, name: str) -> Collection | None:
        """Find a collection, None when there is none of that name.

        Raises SignInRequired or Forbidden when its rules let the caller read none of its documents.
        """
        try:
            collection = self.registry.get(name)
        except CollectionNotFound:
            return None
        try:
            self.decision(collection)
        except (SignInRequired, Forbidden) as refusal:
            refusal.detail = f"`expand` needs the right to read documents of `{name}`"
            refusal.errors = (Violation(refusal.detail, refusal.code, parameter="expand"),)
            raise
        return collection

    def decision(self, collection: Collection) -> Decision:
        """Give what lets the caller read a collection's documents; raises SignInRequired or Forbidden."""
        return reading.permit(collection, self.principal, "get")

    def fields_of(self, name: str) -> Field | None:
        """Give the fields that the caller may see of a collection's documents, for reading paths through it.

        Raises what `find` raises.
        """
        collection = self.find(name)
        return None if collection is None else narrowing.root(collection, self.decision(collection))
