"""Lists of what the service itself keeps, in the language of all lists: filters, order, pages, counts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from beanie import Document

from service.access.principals import OPERATOR
from service.collections import description as descriptions
from service.collections.description import Description
from service.collections.registry import FAST_CODEC, Collection
from service.documents import reading
from service.documents.reading import Page
from service.kit.errors import ParameterInvalid, Violation
from service.query import SortKey, parse_list
from service.query.cursors import Cursors
from service.storage.joining import JoinedCreates, JoinedReads

LEFT_OUT = ("fields", "expand", "q")
"""Parameters of lists that these have not: they show documents in one form, and have no text index."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of documents of a class whose collection is not public: what may be filtered and sorted by.

    Only what `description` declares can be asked for; everything else is as if it did not exist. `order` is
    that of a request which names none.
    """

    model: type[Document]
    description: Description
    order: tuple[SortKey, ...] = ()

    @classmethod
    def of(
        cls, model: type[Document], properties: dict[str, Any], order: tuple[SortKey, ...] = ()
    ) -> "Listing":
        """Make it from the members that may be asked for, by their JSON Schemas."""
        schema = {"type": "object", "properties": properties, "additionalProperties": False}
        return cls(model, descriptions.parse({"schema": schema}), order)

    async def page(self, parameters: Sequence[tuple[str, str]], cursors: Cursors) -> Page:
        """Read the page that a request's parameters ask for, of stored documents; raises ParameterInvalid."""
        for name, _ in parameters:
            if name in LEFT_OUT:
                detail = f"`{name}` is not a parameter here"
                violation = Violation(detail, "unknown_parameter", parameter=name)
                raise ParameterInvalid(detail, errors=[violation])
        query = parse_list(parameters, self.description.schema.root)
        return await reading.find(
            self._collection(), OPERATOR, replace(query, sort=query.sort or self.order), cursors
        )

    def _collection(self) -> Collection:
        documents = self.model.get_motor_collection().with_options(codec_options=FAST_CODEC)
        return Collection(
            name=self.model.get_collection_name(),
            uid="system",
            version=1,
            source="code",
            model=self.model,
            description=self.description,
            documents=documents,
            joined_reads=JoinedReads(documents),
            joined_creates=JoinedCreates(documents),
            document_limit_bytes=0,
        )
