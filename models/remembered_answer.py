"""What a request under an `Idempotency-Key` was answered."""

from datetime import datetime
from typing import Any

from beanie import Document
from pydantic import Field
from pymongo import IndexModel

from models.base import Stored


class RememberedAnswer(Stored, Document):
    """A claim on a key by one request, and its answer once there is one; its id is a hash of caller and key.

    Whoever holds `token` answers the request, until `lease_until`; after that a repeat may take over. `steps`
    are the answers of those operations of a batch that are done.
    """

    id: str  # type: ignore[assignment]  # Beanie's own id is an ObjectId; here it is a hash
    fingerprint: str  # of the request, which tells a repeat from another use of the key
    token: str
    lease_until: datetime
    expires_at: datetime
    is_done: bool = False
    steps: dict[str, bytes] = Field(default_factory=dict)
    status: int | None = None
    media_type: str | None = None
    headers: dict[str, Any] = Field(default_factory=dict)
    body: bytes | None = None

    class Settings:
        """Where it is stored; MongoDB deletes what has expired within about a minute."""

        name = "_idempotency"
        indexes = [IndexModel("expires_at", expireAfterSeconds=0)]
