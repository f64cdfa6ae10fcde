"""Registering: an account for whoever asks, and the link that verifies its address."""

from dataclasses import dataclass
from typing import Literal

from models.user import User
from service.audit import AuditContext
from service.identity.core import accounts
from service.identity.core.hashing import Passwords
from service.identity.passwords.addresses import Addresses
from service.identity.passwords.changes import PasswordChanges
from service.mail.post import Post
from service.storage.database import Database
from service.storage.errors import DuplicateKey
from service.storage.transactions import session

Verification = Literal["off", "optional", "required"]


@dataclass(frozen=True, slots=True)
class Registrations:
    """Makes accounts without roles; `verification` says what is asked of their addresses."""

    database: Database
    passwords: Passwords
    addresses: Addresses
    changes: PasswordChanges
    post: Post
    verification: Verification

    async def register(
        self, audit: AuditContext, email: str, password: str, name: str | None, client: str | None
    ) -> User:
        """Make an account; raises DocumentInvalid, Duplicate, Busy.

        Of any number that are made at once for one address, in whatever case, one succeeds.
        """
        if await _find(email) is not None:
            raise accounts.taken()
        made = await self._made(email, password, name)
        may_be_sent = await self.post.takes(made.email_key, client)
        try:
            await self._store(audit, made, is_decoy=not may_be_sent)
        except DuplicateKey:
            raise accounts.taken() from None
        self.post.wake()
        return made

    async def request(
        self, audit: AuditContext, email: str, password: str, name: str | None, client: str | None
    ) -> None:
        """Make an account, or tell the owner of the one that there is; who asks is not told which.

        For when addresses must be verified. The work is the same in both cases. Raises DocumentInvalid,
        MailNotConfigured, Busy.
        """
        self.post.links  # noqa: B018 - raises for everybody alike
        owner = await _find(email)
        made = await self._made(email, password, name)
        may_be_sent = await self.post.takes(made.email_key, client)
        if owner is None:
            try:
                await self._store(audit, made, is_decoy=not may_be_sent)
            except DuplicateKey:
                owner = await _find(email)
        if owner is not None:
            await self._tell(audit, owner, email, may_be_sent=may_be_sent)
        self.post.wake()

    async def _made(self, email: str, password: str, name: str | None) -> User:
        return User(
            email=email,
            email_key=accounts.email_key(email),
            password_hash=await self.passwords.hash_chosen(password, email, name),
            name=name,
        )

    async def _store(self, audit: AuditContext, made: User, *, is_decoy: bool) -> None:
        async def store() -> None:
            await made.insert(session=session())
            if self.verification != "off" and self.post.is_open:
                await self.addresses.mail_link(made, is_decoy=is_decoy)
            await audit.note("user.created", "user", str(made.id), {"by": "registration"})

        await self.database.transaction(store)

    async def _tell(self, audit: AuditContext, owner: User, email: str, *, may_be_sent: bool) -> None:
        """Mail the owner of an account that somebody registered, by as many operations as a registration."""
        is_real = may_be_sent and not owner.is_disabled

        async def store() -> None:
            same = {"$set": {"email_key": owner.email_key}}
            await User.find_one({"_id": owner.id}, session=session()).update(same)
            await self.changes.mail_link(owner if is_real else None, email, "account-exists")
            await audit.note("user.registered_again", "user", str(owner.id))

        await self.database.transaction(store)


async def _find(email: str) -> User | None:
    return await User.find_one({"email_key": accounts.email_key(email)})
