"""A token that can be used once: to reset a password, to verify an address, to go on with a sign-in."""

from datetime import datetime
from typing import Any

from beanie import Document
from pydantic import Field
from pymongo import IndexModel

from models.base import Stored


class OneTimeToken(Stored, Document):
    """What a token that was given out stands for; its id is the token's SHA-256, in hexadecimal."""

    id: str  # type: ignore[assignment]  # Beanie's own id is an ObjectId; here it is a hash
    purpose: str
    user_id: str | None = None
    facts: dict[str, Any] = Field(default_factory=dict)
    expires_at: datetime

    class Settings:
        """Where it is stored; MongoDB deletes what has expired within about a minute."""

        name = "_one_time_tokens"
        indexes = [
            IndexModel("expires_at", expireAfterSeconds=0),
            IndexModel([("user_id", 1), ("purpose", 1)]),
        ]
