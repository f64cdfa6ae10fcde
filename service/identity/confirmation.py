"""Asking somebody who is signed in for the password once more, before what a thief of a session would do."""

from models.user import User
from service.access.passwords import Passwords
from service.errors import PasswordAbsent, PasswordWrong
from service.identity.lockout import Lockouts


async def confirm(
    passwords: Passwords, lockouts: Lockouts, user: User, password: str, address: str | None
) -> None:
    """Raise PasswordWrong unless this is the account's password; counts as a try at it from an address.

    Raises PasswordAbsent for an account without one, Locked, Busy.
    """
    if user.password_hash is None:
        raise absent()
    async with lockouts.guess("password", user.email_key, address):
        if not await passwords.verify(user.password_hash, password):
            raise PasswordWrong("The present password is another one")


def absent() -> PasswordAbsent:
    """Give the failure of what takes a password where there is none."""
    return PasswordAbsent(
        "This account has no password", hint="Ask for one by `POST /api/auth/password/forgot`."
    )
