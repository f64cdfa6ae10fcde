"""Users as administrators see them: listing, making, changing, signing out, removing."""

from service.identity.users.administration import LISTING, Users, find, find_by_email
from service.identity.users.forms import MAXIMUM_ATTRIBUTES_BYTES, NewUser, UserChange
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
