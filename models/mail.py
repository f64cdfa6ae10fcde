"""A mail that waits to be sent, or that could not be."""

from datetime import datetime
from typing import Literal

from beanie import Document
from pymongo import IndexModel

from models.base import Stored


class Mail(Stored, Document):
    """Recipient, subject and text, sealed, for they may hold a token; what was sent is deleted.

    Whoever has claimed it has counted `attempts` up and put `due_at` off, which is the claim's lease. A decoy
    is never sent: it is there so that asking for a mail is the same work whether there is an account or not.
    """

    id: str  # type: ignore[assignment]  # Beanie's own id is an ObjectId; here it is random text
    sealed: str
    is_decoy: bool = False
    state: Literal["waiting", "failed"] = "waiting"
    attempts: int = 0
    due_at: datetime
    useful_until: datetime  # after which its link leads nowhere
    traceparent: str | None = None  # the trace of the request that it is sent for, where that is recorded
    failure: str | None = None  # the kind of the last failure, without the server's words
    expires_at: datetime

    class Settings:
        """Where it is stored; MongoDB deletes what has expired within about a minute."""

        name = "_mails"
        indexes = [IndexModel([("state", 1), ("due_at", 1)]), IndexModel("expires_at", expireAfterSeconds=0)]
