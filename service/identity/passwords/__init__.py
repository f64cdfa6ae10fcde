"""Passwords and the addresses they belong to: registering, verifying, changing, forgetting."""

from service.identity.passwords.addresses import Addresses
from service.identity.passwords.changes import RESET, PasswordChanges
from service.identity.passwords.registration import Registrations, Verification

__all__ = ["RESET", "Addresses", "PasswordChanges", "Registrations", "Verification"]
