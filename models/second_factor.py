"""A second factor: what an account proves itself with beside its password."""

from datetime import datetime

from beanie import Document
from pydantic import Field
from pymongo import IndexModel

from models.base import Stored


class SecondFactor(Stored, Document):
    """An account's TOTP (RFC 6238); its id is the user's. In force from `enabled_at` on.

    The seed is sealed, `sealed_with` names the key. `last_step` is the time step of the last code that was
    accepted; of recovery codes only hashes are stored. What is not confirmed by `expires_at` is forgotten.
    """

    id: str  # type: ignore[assignment]  # Beanie's own id is an ObjectId; here it is the user's, as text
    seed: str
    sealed_with: str
    enabled_at: datetime | None = None
    last_step: int = 0
    recovery_codes: list[str] = Field(default_factory=list)
    expires_at: datetime | None = None

    class Settings:
        """Where it is stored; MongoDB deletes what has expired within about a minute."""

        name = "_second_factors"
        indexes = [IndexModel("expires_at", expireAfterSeconds=0), IndexModel("sealed_with")]
