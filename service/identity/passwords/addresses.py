"""Proving that an e-mail address is one's own, by a link that is mailed to it; changing it in that way."""

from dataclasses import dataclass
from typing import Any

from beanie import PydanticObjectId
from beanie.odm.queries.update import UpdateResponse

from models.base import utc_now
from models.user import User
from service.audit import AuditContext
from service.identity.core import accounts, one_time
from service.identity.core.hashing import Passwords
from service.identity.core.lockout import Lockouts
from service.identity.core.one_time import OneTime
from service.identity.core.proving import Prover, password_absent
from service.identity.core.revocations import Revocations
from service.kit.errors import (
    DocumentNotFound,
    EmailVerified,
    LinkInvalid,
    PasswordWrong,
)
from service.kit.violations import field_invalid
from service.mail.post import Post, lifetime
from service.storage.database import Database
from service.storage.errors import DuplicateKey
from service.storage.transactions import session

VERIFICATION = "email.verification"
CHANGE = "email.change"
"""The purposes of the tokens in links: to verify the present address, to change to another one."""

_STRANGERS = "If somebody else made it with your address, ask for a new password: that makes it yours."


@dataclass(frozen=True, slots=True)
class Addresses:
    """Verifies and changes the addresses of accounts; its links are valid for `ttl_s` seconds."""

    database: Database
    passwords: Passwords
    revocations: Revocations
    lockouts: Lockouts
    post: Post
    ttl_s: float

    async def mail_link(self, user: User, *, is_decoy: bool = False) -> None:
        """Mail a link that verifies a user's present address; joins the present transaction."""
        facts = {"email_key": user.email_key}
        await self._mail("verify-email", user.email, VERIFICATION, str(user.id), facts, is_decoy=is_decoy)

    async def resend(self, user_id: str, client: str | None) -> None:
        """Mail the link once more, if more mails may be asked for, which is not told.

        Raises MailNotConfigured, EmailVerified when there is nothing to verify.
        """
        self.post.links  # noqa: B018 - raises
        user = await accounts.get(user_id)
        if user.is_email_verified:
            raise EmailVerified("This address is verified already")
        may_be_sent = await self._takes(VERIFICATION, user.email_key, client)
        await self.database.transaction(lambda: self.mail_link(user, is_decoy=not may_be_sent))
        self.post.wake()

    async def ask_change(
        self, audit: AuditContext, user_id: str, email: str, password: str, client: str | None
    ) -> None:
        """Mail a link to the address that a user wants, and a notice to the present one.

        An earlier such link becomes void. Whether another account has the address is not told. Raises
        MailNotConfigured, PasswordAbsent, PasswordWrong, Locked, DocumentInvalid, Busy.
        """
        self.post.links  # noqa: B018 - raises
        user = await accounts.get(user_id)
        prover = Prover(self.passwords, self.lockouts, audit, client)
        await prover.confirm_password(user, password)
        key = accounts.email_key(email)
        if key == user.email_key:
            raise field_invalid("This is the address that the account has", "unchanged", "/email")
        may_be_sent = await self._takes(CHANGE, key, client)
        is_taken = await User.find_one({"email_key": key}) is not None
        facts = {"email": email, "email_key": key, "from_key": user.email_key}

        async def store() -> None:
            await one_time.drop(CHANGE, user_id)
            is_decoy = is_taken or not may_be_sent
            await self._mail("verify-new-email", email, CHANGE, user_id, facts, is_decoy=is_decoy)
            await self.post.put("email-change-asked", user.email, is_decoy=not may_be_sent, address=email)
            await audit.note("email.change_requested", "user", user_id)

        await self.database.transaction(store)
        self.post.wake()

    async def verify(
        self,
        audit: AuditContext,
        token: str,
        password: str | None,
        *,
        caller_id: str | None,
        client: str | None,
    ) -> None:
        """Take an address for proved, by the token of a link that was mailed to it.

        It verifies the address if the account has it still, or changes it. Access tokens that say otherwise
        become void. `caller_id` is whose session the request is of. Raises LinkInvalid, Duplicate when
        another account has got the address meanwhile; PasswordWrong, PasswordAbsent, DocumentInvalid without
        a password, Locked, Busy, which leave the link usable.
        """
        await self._confirm(audit, token, password, caller_id=caller_id, client=client)

        async def store() -> None:
            if (taken := await one_time.take(VERIFICATION, token)) is not None:
                await self._verify(audit, taken)
            elif (taken := await one_time.take(CHANGE, token)) is not None:
                await self._change(audit, taken)
            else:
                raise _void()

        try:
            await self.database.transaction(store)
        except DuplicateKey:
            raise accounts.taken() from None
        await self.revocations.catch_up()
        self.post.wake()

    async def _confirm(
        self,
        audit: AuditContext,
        token: str,
        password: str | None,
        *,
        caller_id: str | None,
        client: str | None,
    ) -> None:
        """See to it that whoever has the mailbox has the account too: by the session, or the password.

        Else somebody could register a stranger's address, or wish for it, and have the stranger confirm it.
        """
        found = await one_time.look(VERIFICATION, token) or await one_time.look(CHANGE, token)
        if found is None or found.user_id is None:
            raise _void()
        try:
            user = await accounts.get(found.user_id)
        except DocumentNotFound:
            raise _void() from None
        if user.email_key != found.facts.get("from_key", found.facts["email_key"]):
            raise _void()
        if found.user_id == caller_id:
            return
        if user.password_hash is None:
            raise password_absent()
        try:
            await Prover(self.passwords, self.lockouts, audit, client).confirm_password(user, password)
        except PasswordWrong:
            raise PasswordWrong(
                "This is not the password of the account that the link is for", hint=_STRANGERS
            ) from None

    async def _verify(self, audit: AuditContext, taken: OneTime) -> None:
        await self._store(taken, taken.facts["email_key"], {})
        await one_time.drop(VERIFICATION, str(taken.user_id))
        await audit.note("email.verified", "user", taken.user_id)

    async def _change(self, audit: AuditContext, taken: OneTime) -> None:
        new = {"email": taken.facts["email"], "email_key": taken.facts["email_key"]}
        before = await self._store(taken, taken.facts["from_key"], new)
        await one_time.drop_all(str(taken.user_id))  # they were sent to the earlier address
        await self.post.put("email-changed", before.email, address=new["email"])
        await audit.note("email.changed", "user", taken.user_id)

    async def _store(self, taken: OneTime, key: str, change: dict[str, Any]) -> User:
        """Mark the address of a token's account as verified, and change it; returns the account before."""
        present = {"_id": PydanticObjectId(taken.user_id), "email_key": key, "is_disabled": False}
        before: User | None = await User.find_one(present, session=session()).update(
            {
                "$set": {**change, "is_email_verified": True, "_updated_at": utc_now()},
                "$inc": {"_version": 1, "epoch": 1},
            },
            response_type=UpdateResponse.OLD_DOCUMENT,
        )
        if before is None:
            raise _void()
        await self.revocations.outdate_user(str(taken.user_id), before.epoch + 1)
        return before

    async def _takes(self, purpose: str, key: str, client: str | None) -> bool:
        """Count a mail to an address apart from those that its owner gets an account back by.

        Else whoever has an account could use these up, for any address, and keep the owner out.
        """
        return await self.post.takes(f"{purpose} {key}", client)

    async def _mail(
        self, template: str, to: str, purpose: str, user_id: str, facts: dict[str, str], *, is_decoy: bool
    ) -> None:
        token = await one_time.give(purpose, self.ttl_s, user_id, **facts)
        await self.post.put(
            template,
            to,
            useful_for_s=self.ttl_s,
            is_decoy=is_decoy,
            link=self.post.links.verify(token),
            lifetime=lifetime(self.ttl_s),
        )


def _void() -> LinkInvalid:
    return LinkInvalid("The link was used already, or is too old", hint="Ask for a new one.")
