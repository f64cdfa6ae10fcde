"""A session: one sign-in on one device, and the chain of refresh tokens that keeps it alive."""

from datetime import datetime
from typing import Literal

from beanie import Document
from pymongo import IndexModel

from models.base import Stored


class Session(Stored, Document):
    """A sign-in; its id, random, is its access tokens' `sid`. A session that has ended is not here any more.

    Of refresh tokens only hashes are stored. The successor of the previous one is sealed under that one
    itself, so that only who presents it can be given the same successor again.
    """

    id: str  # type: ignore[assignment]  # Beanie's own id is an ObjectId; here it is random text
    user_id: str
    mode: Literal["bearer", "cookie"] = "bearer"
    device: str | None = None  # the User-Agent at the last use, shortened
    address: str | None = None  # the client's, at the last use
    generation: int = 0  # how many refresh tokens came before the present one
    token_hash: str
    previous_hash: str | None = None
    sealed_successor: str | None = None
    rotated_at: datetime | None = None  # by the database's clock
    csrf_hash: str | None = None  # of the token that the browser was told last
    last_used_at: datetime  # when tokens were given last
    expires_at: datetime  # unless it is used again
    ends_at: datetime  # however much it is used

    class Settings:
        """Where it is stored; MongoDB deletes what has expired within about a minute."""

        name = "_sessions"
        indexes = [IndexModel("user_id"), IndexModel("expires_at", expireAfterSeconds=0)]
