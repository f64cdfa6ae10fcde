"""A count of guesses, and the places from which an account has signed in before."""

from datetime import datetime

from beanie import Document
from pymongo import IndexModel

from models.base import Stored


class Lockout(Stored, Document):
    """How often something was guessed at; its id is a keyed hash of what, and from where.

    When `tries` has reached the limit, nothing more is tried before `free_at`; `locks` says how often that
    has been. Of the tries `pending` are not verified yet; `is_admitted` tells of the last request for one.
    """

    id: str  # type: ignore[assignment]  # Beanie's own id is an ObjectId; here it is a hash
    tries: int = 0
    pending: int = 0
    locks: int = 0
    is_admitted: bool = True
    asked_at: datetime
    free_at: datetime
    expires_at: datetime

    class Settings:
        """Where it is stored; MongoDB deletes what has expired within about a minute."""

        name = "_lockouts"
        indexes = [IndexModel("expires_at", expireAfterSeconds=0)]


class KnownPlace(Stored, Document):
    """That an account has signed in from an address; its id is a keyed hash of both."""

    id: str  # type: ignore[assignment]  # Beanie's own id is an ObjectId; here it is a hash
    expires_at: datetime

    class Settings:
        """Where it is stored; MongoDB deletes what has expired within about a minute."""

        name = "_known_places"
        indexes = [IndexModel("expires_at", expireAfterSeconds=0)]
