"""What identity does by mails, put together: registering, passwords, addresses."""

from typing import Any

from service.identity.passwords import PasswordChanges
from service.identity.registration import Registrations, Verification
from service.identity.verification import Addresses


def by_mail(
    state: Any, reset_ttl_s: float, verification_ttl_s: float, verification: Verification
) -> dict[str, Any]:
    """Give it by its names in the application's state, of what is there already."""
    database, passwords, post = state.database, state.passwords, state.post
    revocations, lockouts = state.revocations, state.lockouts
    addresses = Addresses(database, passwords, revocations, lockouts, post, verification_ttl_s)
    changes = PasswordChanges(database, passwords, state.sessions, revocations, lockouts, post, reset_ttl_s)
    registrations = Registrations(database, passwords, addresses, changes, post, verification)
    return {"addresses": addresses, "password_changes": changes, "registrations": registrations}
