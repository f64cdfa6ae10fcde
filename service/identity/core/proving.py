"""Proving who one is: passwords and codes, guessed at no more often than the lockout allows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from models.user import User
from service.audit import AuditContext
from service.identity.core import accounts
from service.identity.core.hashing import Passwords
from service.identity.core.lockout import Guess, Lockouts
from service.kit.errors import (
    CodeWrong,
    CredentialsWrong,
    PasswordAbsent,
    PasswordWrong,
)
from service.kit.violations import field_invalid

Action = Literal["sign_in", "confirmation"]
"""What was tried: to sign in, or to confirm, signed in already, a change of what one signs in with."""

SIGN_IN: Action = "sign_in"
CONFIRMATION: Action = "confirmation"


@dataclass(frozen=True, slots=True)
class Prover:
    """Verifies what one client sends from one network; what was wrong is noted in the audit log.

    `network` is the client's address as the rate limits count it.
    """

    passwords: Passwords
    lockouts: Lockouts
    audit: AuditContext
    network: str | None

    async def sign_in(self, email: str, password: str) -> User:
        """Find the account of these credentials; raises CredentialsWrong, Locked, Busy.

        Does the same work, and leaves the same traces, whether the account exists or not.
        """
        async with self.lockouts.guess("password", accounts.key_of(email), self.network) as guess:
            user = await accounts.find(email)
            async with self._noted(guess, user, SIGN_IN):
                return await accounts.check(self.passwords, user, password)

    async def confirm_password(self, user: User, password: str | None) -> None:
        """Verify the present password of somebody who is signed in; an account without one has none to give.

        Raises PasswordWrong, PasswordAbsent, DocumentInvalid when it is missing, Locked, Busy.
        """
        if user.password_hash is None and password is None:
            return
        if password is None:
            raise field_invalid("`password` is required", "required", "/password")
        if user.password_hash is None:
            raise password_absent()
        taken = self.lockouts.guess("password", user.email_key, self.network)
        async with taken as guess, self._noted(guess, user, CONFIRMATION):
            if not await self.passwords.verify(user.password_hash, password):
                raise PasswordWrong("The present password is another one")

    @asynccontextmanager
    async def code(self, user: User, action: Action = CONFIRMATION) -> AsyncIterator[None]:
        """Take a try for a code of a user's second factor, which the block verifies; raises Locked.

        The block raises CodeWrong for a wrong one, and nothing for a right one.
        """
        taken = self.lockouts.guess("second factor", user.email_key, self.network)
        async with taken as guess, self._noted(guess, user, action):
            yield

    @asynccontextmanager
    async def _noted(self, guess: Guess, user: User | None, action: Action) -> AsyncIterator[None]:
        """Note what was wrong, and the lock that it began; of a flood only what was verified is noted."""
        try:
            yield
        except (CredentialsWrong, PasswordWrong, CodeWrong) as failure:
            what = "second_factor" if isinstance(failure, CodeWrong) else "password"
            await self._note(f"{action}.failed", user, what=what)
            if guess.wait_s is not None:
                await self._note(f"{action}.locked", user, what=what, wait_s=guess.wait_s)
            raise

    async def _note(self, action: str, user: User | None, **details: Any) -> None:
        await self.audit.note(action, "user", None if user is None else str(user.id), details)


def password_absent() -> PasswordAbsent:
    """Return the failure of an account without a password."""
    return PasswordAbsent(
        "This account has no password", hint="Ask for one by `POST /api/auth/password/forgot`."
    )
