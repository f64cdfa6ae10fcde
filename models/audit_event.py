"""What somebody did to users, sessions, keys, definitions or rules."""

from datetime import datetime
from typing import Any

from beanie import Document
from pydantic import Field
from pymongo import DESCENDING, IndexModel

from models.base import Stored


class AuditEvent(Stored, Document):
    """One event: `actor` (kind, id, key_id) did `action`, such as `user.disabled`, to `target` (kind, id)."""

    at: datetime
    action: str
    actor: dict[str, str | None]
    address: str | None = None
    request_id: str | None = None
    target: dict[str, str | None]
    details: dict[str, Any] = Field(default_factory=dict)
    expires_at: datetime

    class Settings:
        """Where it is stored, indexed for newest first; MongoDB deletes what has expired."""

        name = "_audit"
        indexes = [
            IndexModel("expires_at", expireAfterSeconds=0),
            IndexModel([("at", DESCENDING), ("_id", DESCENDING)]),
            IndexModel([("target.id", 1), ("at", DESCENDING), ("_id", DESCENDING)]),
            IndexModel([("actor.id", 1), ("at", DESCENDING), ("_id", DESCENDING)]),
            IndexModel([("action", 1), ("at", DESCENDING), ("_id", DESCENDING)]),
        ]
