"""Users as administrators see them: listing, making, changing, signing out, removing."""

from service.identity.users.administration import (
    LISTING,
    MAXIMUM_ATTRIBUTES_BYTES,
    NewUser,
    UserChange,
    Users,
    find,
    find_by_email,
)
from service.identity.users.removal import Fate, Removal, Removed

__all__ = [
    "LISTING",
    "MAXIMUM_ATTRIBUTES_BYTES",
    "Fate",
    "NewUser",
    "Removal",
    "Removed",
    "UserChange",
    "Users",
    "find",
    "find_by_email",
]
