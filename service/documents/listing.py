"""Lists of what the service itself keeps, in the language of all lists: filters, order, pages, counts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from beanie import Document

from service.collections import description as descriptions
from service.documents import lists
from service.documents.expanding import WHOLE
from service.documents.lists import ListRequest, Page
from service.kit.errors import ParameterInvalid, Violation
from service.query import SortKey, parse_list
from service.query.cursors import Cursors
from service.query.fields import Field
from service.storage.plans import ReadRefused, plan_list
from service.storage.store import Store

LEFT_OUT = ("fields", "expand", "q")
"""Parameters of lists that these have not: they show documents in one form, and have no text index."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of documents of a class whose collection is not public: what may be filtered and sorted by.

    Only what `fields` declares can be asked for; everything else is as if it did not exist. `order` is that
    of a request which names none.
    """

    model: type[Document]
    fields: Field
    order: tuple[SortKey, ...] = ()

    @classmethod
    def of(
        cls, model: type[Document], properties: dict[str, Any], order: tuple[SortKey, ...] = ()
    ) -> "Listing":
        """Make it from the members that may be asked for, by their JSON Schemas."""
        schema = {"type": "object", "properties": properties, "additionalProperties": False}
        return cls(model, descriptions.parse({"schema": schema}).schema.root, order)

    async def page(self, parameters: Sequence[tuple[str, str]], cursors: Cursors) -> Page:
        """Read the page that a request's parameters ask for, of stored documents; raises ParameterInvalid."""
        asked = self.parse(parameters)
        plan = asked.plan
        if asked.query.cursor is not None:
            plan = plan.at(cursors.read(asked.list_id, asked.query.cursor))
        try:
            found = await Store.of(self.model).read(plan)
        except ReadRefused as refused:
            raise lists.refusal(refused, self.fields) from None
        return lists.page_of(asked, found, cursors)

    def parse(self, parameters: Sequence[tuple[str, str]]) -> ListRequest:
        """Read a request's parameters; raises ParameterInvalid."""
        for name, _ in parameters:
            if name in LEFT_OUT:
                detail = f"`{name}` is not a parameter here"
                violation = Violation(detail, "unknown_parameter", parameter=name)
                raise ParameterInvalid(detail, errors=[violation])
        query = parse_list(parameters, self.fields)
        query = replace(query, sort=query.sort or self.order)
        name = self.model.get_collection_name()
        plan = plan_list(name, self.fields, query)
        return ListRequest(query, plan, plan.list_id(f"{name} system"), WHOLE)
