"""A key by which a program acts for a user."""

from datetime import datetime

from beanie import Document
from pydantic import Field
from pymongo import IndexModel

from models.base import Stored


class ApiKey(Stored, Document):
    """A key; its id is part of it. The key itself is shown once, and only its hash is stored."""

    id: str  # type: ignore[assignment]  # Beanie's own id is an ObjectId; here it is random text
    hash: str
    user_id: str
    name: str = Field(max_length=200)
    scopes: list[str]
    expires_at: datetime | None = None
    last_used_at: datetime | None = None  # to the minute, so that using a key does not mean writing
    last_used_address: str | None = None

    class Settings:
        """Where it is stored; MongoDB deletes what has expired within about a minute."""

        name = "_api_keys"
        indexes = [IndexModel("user_id"), IndexModel("expires_at", expireAfterSeconds=0)]
