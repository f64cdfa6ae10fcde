"""The stored description of a runtime collection."""

from datetime import datetime

from beanie import Document

from models.base import Stored


class CollectionDefinition(Stored, Document):
    """All that describes one runtime collection; its id is the collection's name.

    They are kept as JSON text: their keys may hold `$` and dots, and keep their order. What is deleted stays
    as a mark, `deleted_at`, until its name is used again: a write that had begun may arrive after its end.
    """

    id: str  # type: ignore[assignment]  # Beanie's own id is an ObjectId; here it is the name
    uid: str  # tells a collection from an earlier one of the same name
    is_deleting: bool = False  # it is served no more, and its documents are going or gone
    deleted_at: datetime | None = None  # when its documents were gone
    schema_text: str
    rules_text: str = "{}"
    rule_tests_text: str = "[]"
    indexes_text: str = "[]"
    options_text: str = "{}"
    queries_text: str = "{}"

    class Settings:
        """Where it is stored."""

        name = "_collections"
