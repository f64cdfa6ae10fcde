"""The stored description of a runtime collection."""

from beanie import Document

from models.base import Stored


class CollectionDefinition(Stored, Document):
    """Schema, rules, indexes and options of one runtime collection; its id is the collection's name.

    They are kept as JSON text: their keys may hold `$` and dots, and keep their order.
    """

    id: str  # type: ignore[assignment]  # Beanie's own id is an ObjectId; here it is the name
    uid: str  # tells a collection from an earlier one of the same name
    is_deleting: bool = False  # its documents are going; what is left of it is finished by the next deletion
    schema_text: str
    rules_text: str = "{}"
    indexes_text: str = "[]"
    options_text: str = "{}"

    class Settings:
        """Where it is stored."""

        name = "_collections"
