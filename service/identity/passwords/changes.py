"""Changing a password, and choosing a new one by a link in a mail when it is forgotten."""

from dataclasses import dataclass
from typing import Any

from beanie.odm.queries.update import UpdateResponse

from models.base import utc_now
from models.user import User
from service.audit import AuditContext
from service.identity.core import accounts, one_time
from service.identity.core.credentials import reclaim
from service.identity.core.hashing import Passwords
from service.identity.core.lockout import Lockouts
from service.identity.core.proving import Prover
from service.identity.core.revocations import Revocations
from service.identity.core.sessions import Sessions
from service.identity.passwords.addresses import VERIFICATION
from service.kit.errors import Contention, LinkInvalid
from service.kit.violations import field_invalid
from service.mail.post import Post, lifetime
from service.storage.database import Database
from service.storage.transactions import session

RESET = "password.reset"
"""The purpose of the tokens in links to choose a new password."""


@dataclass(frozen=True, slots=True)
class PasswordChanges:
    """Changes and resets passwords; the links to choose one are valid for `ttl_s` seconds."""

    database: Database
    passwords: Passwords
    sessions: Sessions
    revocations: Revocations
    lockouts: Lockouts
    post: Post
    ttl_s: float

    async def change(
        self,
        audit: AuditContext,
        user_id: str,
        session_id: str,
        *,
        present: str,
        chosen: str,
        address: str | None,
    ) -> None:
        """Change the password of a user who knows the present one; ends all other sessions.

        `address` is the client's. All links and unfinished sign-ins become void, but not the link that
        verifies the address, and not those by which its owner gets the account as long as nobody has verified
        it: else who had registered another's address could keep the owner out. Raises PasswordAbsent,
        PasswordWrong, Locked, DocumentInvalid, Contention, Busy.
        """
        user = await accounts.get(user_id)
        prover = Prover(self.passwords, self.lockouts, audit, address)
        await prover.confirm_password(user, present)
        if chosen == present:
            raise field_invalid("This is the password that you have", "unchanged", "/new_password")
        hashed = await self.passwords.hash_chosen(chosen, user.email, user.name, pointer="/new_password")

        async def store() -> None:
            unchanged = {"_id": user.id, "password_hash": user.password_hash, "is_disabled": False}
            if await _store(unchanged, {"password_hash": hashed}, epochs=0) is None:
                raise Contention("The account was changed at the same moment; try again")
            await self.sessions.end_all(user_id, except_id=session_id)
            kept = (VERIFICATION,) if user.is_email_verified else (VERIFICATION, RESET)
            await one_time.drop_all(user_id, but=kept)
            await self.post.put("password-changed", user.email)
            await audit.note("password.changed", "user", user_id)

        await self._do(store)

    async def ask_reset(self, email: str, client: str | None) -> None:
        """Mail a link to the owner of an address, if there is one; raises MailNotConfigured.

        The work is the same when there is none, when the account is disabled, and when no more mails may be
        asked for: then what is stored is a decoy, which is never sent.
        """
        self.post.links  # noqa: B018 - raises for everybody alike
        key = accounts.email_key(email)
        may_be_sent = await self.post.takes(key, client)
        user = await User.find_one({"email_key": key})
        is_real = user is not None and not user.is_disabled and may_be_sent

        async def store() -> None:
            await self.mail_link(user if is_real else None, email, "reset-password")

        await self.database.transaction(store)
        self.post.wake()

    async def mail_link(self, user: User | None, email: str, template: str) -> None:
        """Put a link to choose a new password into a mail; joins the present transaction.

        Without a user a decoy, with a token that nobody will have; by the same operations.
        """
        user_id = None if user is None else str(user.id)
        key = accounts.email_key(email)
        token = await one_time.give(RESET, self.ttl_s, user_id, email_key=key)
        await self.post.put(
            template,
            email if user is None else user.email,
            useful_for_s=self.ttl_s,
            is_decoy=user is None,
            link=self.post.links.reset(token),
            lifetime=lifetime(self.ttl_s),
        )

    async def reset(self, audit: AuditContext, token: str, password: str, address: str | None) -> None:
        """Choose the password of the account that a link was mailed to; of any number at once one succeeds.

        Ends all sessions, voids all other links, and marks the address as verified, which it is. If nobody
        had verified it before, nothing else that opens the account stays: see `reclaim`. A password that
        will not do leaves the link usable. Raises LinkInvalid, DocumentInvalid, Busy.
        """
        found = await one_time.look(RESET, token)
        user = None if found is None else await _owner(found)
        if user is None:
            raise _void()
        hashed = await self.passwords.hash_chosen(password, user.email, user.name)

        async def store() -> None:
            if await one_time.take(RESET, token) is None:
                raise _void()
            present = {"_id": user.id, "email_key": user.email_key, "is_disabled": False}
            change = {"password_hash": hashed, "is_email_verified": True}
            changed = await _store(present, change, epochs=1)
            if changed is None:
                raise _void()
            user_id = str(user.id)
            if not user.is_email_verified:
                await reclaim(audit, user_id, self.revocations)
            await self.sessions.end_all(user_id)
            await self.revocations.outdate_user(user_id, changed.epoch)
            await one_time.drop_all(user_id)
            await self.post.put("password-changed", user.email)
            await audit.note("password.reset", "user", user_id)

        await self._do(store)
        await self.lockouts.remember(user.email_key, address)

    async def _do(self, store: Any) -> None:
        await self.database.transaction(store)
        await self.revocations.catch_up()
        self.post.wake()


async def _owner(found: one_time.OneTime) -> User | None:
    """Return whose a token is, if the account is in use and has the address that the token was sent to."""
    if found.user_id is None:
        return None
    user = await User.get(found.user_id)
    is_owner = user is not None and not user.is_disabled and user.email_key == found.facts["email_key"]
    return user if is_owner else None


async def _store(present: dict[str, Any], change: dict[str, Any], *, epochs: int) -> User | None:
    changed: User | None = await User.find_one(present, session=session()).update(
        {"$set": {**change, "_updated_at": utc_now()}, "$inc": {"_version": 1, "epoch": epochs}},
        response_type=UpdateResponse.NEW_DOCUMENT,
    )
    return changed


def _void() -> LinkInvalid:
    return LinkInvalid("The link was used already, or is too old", hint="Ask for a new one.")
