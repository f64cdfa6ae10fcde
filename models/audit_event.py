"""What somebody did to users, sessions, keys, definitions or rules."""

from datetime import datetime
from typing import Any

from beanie import Document
from pydantic import Field
from pymongo import DESCENDING, IndexModel

from models.base import Stored


class AuditEvent(Stored, Document):
    """One event: who (`actor_kind`, `actor_id`) did what (`action`, such as `user.disabled`) to what."""

    at: datetime
    action: str
    actor_kind: str
    actor_id: str | None = None
    key_id: str | None = None
    address: str | None = None
    request_id: str | None = None
    target_kind: str
    target_id: str | None = None
    details: dict[str, Any] = Field(default_factory=dict)
    expires_at: datetime

    class Settings:
        """Where it is stored, indexed for newest first; MongoDB deletes what has expired."""

        name = "_audit"
        indexes = [
            IndexModel("expires_at", expireAfterSeconds=0),
            IndexModel([("at", DESCENDING), ("_id", DESCENDING)]),
            IndexModel([("target_id", 1), ("at", DESCENDING), ("_id", DESCENDING)]),
            IndexModel([("actor_id", 1), ("at", DESCENDING), ("_id", DESCENDING)]),
        ]
