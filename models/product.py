"""A product of a shop: the example of a code-first collection."""

from typing import Annotated, Any, ClassVar

from beanie import Document
from pydantic import Field
from pymongo import DESCENDING, IndexModel

from models.base import Stored

Tag = Annotated[str, Field(min_length=1, max_length=50)]


class Product(Stored, Document):
    """Anybody reads products, whoever signs in creates them, their owners and editors change them."""

    name: str = Field(min_length=1, max_length=200)
    price: float = Field(ge=0, le=999_999)
    description: str | None = Field(default=None, max_length=2000)
    category: str | None = Field(default=None, max_length=100)
    tags: list[Tag] = Field(default_factory=list, max_length=50)

    rules: ClassVar[dict[str, Any]] = {
        "read": "anyone",
        "create": "user",
        "update": ["owner", "role:editor"],
        "delete": ["owner", "role:editor"],
    }

    indexes: ClassVar[list[dict[str, Any]]] = [{"text": ["name", "description"]}]

    class Settings:
        """Where it is stored, indexed for newest first, alone and within a category."""

        name = "products"
        indexes = [
            IndexModel([("_created_at", DESCENDING), ("_id", DESCENDING)]),
            IndexModel([("category", 1), ("_created_at", DESCENDING), ("_id", DESCENDING), ("price", 1)]),
        ]
