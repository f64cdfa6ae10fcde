"""The collections that references lead to, as one caller may read them."""

from dataclasses import dataclass

from service.access.principals import Principal
from service.documents import reading
from service.errors import CollectionNotFound, Forbidden, SignInRequired, Violation
from service.query.fields import Field
from service.registry import Collection, Registry


@dataclass(frozen=True, slots=True)
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
            reading.permit(collection, self.principal, "get")
        except (SignInRequired, Forbidden) as refusal:
            refusal.detail = f"`expand` needs the right to read documents of `{name}`"
            refusal.errors = (Violation(refusal.detail, refusal.code, parameter="expand"),)
            raise
        return collection

    def fields_of(self, name: str) -> Field | None:
        """Give a collection's fields, for reading paths through it; raises what `find` raises."""
        collection = self.find(name)
        return None if collection is None else collection.description.schema.root
