"""The last integer id that a collection gave out."""

from beanie import Document

from models.base import Stored


class Counter(Stored, Document):
    """A sequence; its id is the collection's name."""

    id: str  # type: ignore[assignment]  # Beanie's own id is an ObjectId; here it is a name
    value: int

    class Settings:
        """Where it is stored."""

        name = "_counters"
