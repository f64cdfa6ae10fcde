"""Signing in and out: what every way to sign in ends with, and how sessions end."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from models.user import User
from service.access.principals import Principal
from service.audit import AuditContext
from service.identity.core import challenges, credentials
from service.identity.core.browsers import Mode
from service.identity.core.challenges import Challenge
from service.identity.core.hashing import Passwords
from service.identity.core.lockout import Lockouts
from service.identity.core.proving import Prover
from service.identity.core.revocations import Revocations
from service.identity.core.sessions import Client, Opened, Sessions
from service.kit.errors import EmailUnverified
from service.storage.database import Database


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever sends a request that signs in, or proves who somebody is.

    `network` is what the client's guesses are counted under. `check_page` raises CrossSite when a page of
    another site would sign a browser in, which would go on in the account of somebody else (login CSRF).
    """

    address: str | None
    network: str | None
    device: str | None
    audit: AuditContext
    check_page: Callable[[Mode], None]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody whose sign-in is complete, and the session that was opened."""

    user: User
    mode: Mode
    session: Opened


@dataclass(frozen=True, slots=True)
class SigningIn:
    """Opens a session for whoever has proved to be somebody, or asks for the second factor first."""

    database: Database
    passwords: Passwords
    lockouts: Lockouts
    sessions: Sessions
    revocations: Revocations
    needs_verified_email: bool

    async def by_password(
        self, email: str, password: str, mode: Mode, visitor: Visitor
    ) -> SignedIn | Challenge:
        """Sign in with an e-mail address and a password; raises CrossSite, CredentialsWrong, Locked, Busy.

        Raises what `complete` raises too.
        """
        visitor.check_page(mode)
        return await self.complete(await self.prover(visitor).sign_in(email, password), mode, visitor)

    async def complete(self, user: User, mode: Mode, visitor: Visitor) -> SignedIn | Challenge:
        """Sign in somebody who has passed the first step; raises EmailUnverified, SessionEnded."""
        if await credentials.has_second_factor(str(user.id)):
            return await challenges.give(user, mode)
        session = await self.database.transaction(lambda: self.open(user, mode, visitor))
        await self.settle(user, visitor)
        return SignedIn(user, mode, session)

    async def open(self, user: User, mode: Mode, visitor: Visitor) -> Opened:
        """Open a session and note it; joins the present transaction, after which `settle` is called.

        Raises EmailUnverified, and SessionEnded when the account was changed meanwhile.
        """
        if self.needs_verified_email and not user.is_email_verified:
            raise EmailUnverified(
                "Follow the link in the mail that was sent to this address",
                hint="If it is lost, ask for a new password: that verifies the address too.",
            )
        user_id = str(user.id)
        actor = replace(visitor.audit.actor, kind="user", id=user_id, key_id=None)
        audit = replace(visitor.audit, actor=actor)
        session = await self.sessions.open(user, Client(visitor.address, visitor.device, mode))
        await audit.note("session.opened", "session", session.session_id, {"user": user_id, "mode": mode})
        for each in session.displaced:
            await audit.note(
                "session.ended", "session", each, {"user": user_id, "reason": "too many sessions"}
            )
        return session

    async def settle(self, user: User, visitor: Visitor) -> None:
        """Heed the sessions that ended for a new one, and remember where its owner signed in."""
        await self.revocations.catch_up()
        await self.lockouts.remember(user.email_key, visitor.network)

    def prover(self, visitor: Visitor) -> Prover:
        """Return what verifies the passwords and codes that a visitor sends."""
        return Prover(self.passwords, self.lockouts, visitor.audit, visitor.network)


@dataclass(frozen=True, slots=True)
class SigningOut:
    """Ends the sessions of those who sign out; they are void on this worker when a method returns."""

    database: Database
    sessions: Sessions
    revocations: Revocations

    async def end(self, audit: AuditContext, session_id: str, user_id: str | None = None) -> bool:
        """End a session, of a certain user if one is given, and note it; returns whether there was one."""

        async def end() -> bool:
            owner_id = await self.sessions.end(session_id, user_id)
            if owner_id is None:
                return False
            own = replace(audit, actor=replace(audit.actor, kind="user", id=owner_id))
            await own.note("session.ended", "session", session_id, {"user": owner_id})
            return True

        was_there = await self.database.transaction(end)
        await self.revocations.catch_up()
        return was_there

    async def end_all(self, audit: AuditContext, caller: Principal, *, keeps_present: bool) -> None:
        """End all sessions of a caller who is in one, and note it."""

        async def end_all() -> None:
            if not keeps_present:  # also when it is not among those that are stored, for it has expired
                await self.sessions.end(str(caller.session_id))
            kept = caller.session_id if keeps_present else None
            ended = await self.sessions.end_all(str(caller.id), kept)
            details = {"sessions": ended + (not keeps_present), "keeps_present": keeps_present}
            await audit.note("session.all_ended", "user", caller.id, details)

        await self.database.transaction(end_all)
        await self.revocations.catch_up()
