"""Users as administrators see them: listing, making, changing, signing out, removing."""

from service.identity.users.administration import LISTING, Users, find, find_by_email
from service.identity.users.removal import Fate, Removal, Removed

__all__ = ["LISTING", "Fate", "Removal", "Removed", "Users", "find", "find_by_email"]
