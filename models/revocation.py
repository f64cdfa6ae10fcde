"""What access tokens and keys are valid no more, though their time has not come."""

from datetime import datetime

from beanie import Document
from pymongo import IndexModel

from models.base import Stored


class Revocation(Stored, Document):
    """One revocation; its id is `session:<id>`, `user:<id>` or `key:<id>`.

    A user's tokens of an epoch before `epoch` are void. It is kept for as long as such tokens could live.
    """

    id: str  # type: ignore[assignment]  # Beanie's own id is an ObjectId; here it is what is revoked
    epoch: int | None = None
    expires_at: datetime

    class Settings:
        """Where it is stored; MongoDB deletes what has expired within about a minute."""

        name = "_revocations"
        indexes = [IndexModel("expires_at", expireAfterSeconds=0)]
