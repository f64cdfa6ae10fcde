"""A session: one sign-in on one device, and the chain of refresh tokens that keeps it alive."""

from datetime import datetime
from typing import Literal

from beanie import Document
from pymongo import IndexModel

from models.base import Stored


class Session(Stored, Document):
    """A sign-in; its id, random, is its access tokens' `sid`. Of refresh tokens only hashes are stored."""

    id: str  # type: ignore[assignment]  # Beanie's own id is an ObjectId; here it is random text
    user_id: str
    mode: Literal["bearer", "cookie"] = "bearer"
    device: str | None = None  # the User-Agent that signed in, shortened
    address: str | None = None  # the client's, at the last use
    last_used_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None

    class Settings:
        """Where it is stored; MongoDB deletes what has expired within about a minute."""

        name = "_sessions"
        indexes = [IndexModel("user_id"), IndexModel("expires_at", expireAfterSeconds=0)]
