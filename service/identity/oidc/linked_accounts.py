"""The accounts of people whom providers speak for: found, made, linked, signed in to, never taken over."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from beanie import PydanticObjectId

from models.base import utc_now
from models.user import LinkedIdentity, User
from service.audit import AuditContext
from service.identity.core import accounts
from service.identity.core.accounts import email_key
from service.identity.core.browsers import Mode
from service.identity.core.challenges import Challenge
from service.identity.core.signing_in import SignedIn, SigningIn, Visitor
from service.identity.oidc import flows
from service.identity.oidc.id_tokens import Identity
from service.kit.errors import (
    AccountExists,
    Contention,
    EmailUnverified,
    FlowInvalid,
    Forbidden,
    IdentityTaken,
    LastSignIn,
    ProviderRefused,
    RegistrationClosed,
)
from service.storage.database import Database
from service.storage.errors import DuplicateKey
from service.storage.transactions import session

ATTEMPTS = 4
"""How often an account is looked for again that somebody else has made meanwhile."""


async def sign_in(
    database: Database,
    identity: Identity,
    audit: AuditContext,
    *,
    registration_open: bool,
    needs_verified_email: bool,
) -> User:
    """Return the account of an identity, made or linked when there is none; noted in the audit log.

    Whether an account may be made, and for an address that the provider has not verified, is for the operator
    to say. A second factor is still to be asked for. Of any number of first sign-ins at once, one makes the
    account and the others find it. Raises Forbidden for a disabled account, AccountExists,
    RegistrationClosed, ProviderRefused.
    """
    may_make = registration_open, identity.is_email_verified or not needs_verified_email
    work = partial(_find_or_make, identity, audit, may_make)
    for _ in range(ATTEMPTS):
        try:
            user = await database.transaction(work)
        except DuplicateKey:  # somebody else was quicker: what is there now decides
            continue
        if user.is_disabled:
            details = {"provider": identity.provider, "reason": "disabled"}
            await audit.note("sign_in.failed", "user", str(user.id), details)
            raise Forbidden("This account is disabled")
        own = AuditContext(replace(audit.actor, kind="user", id=str(user.id), key_id=None), audit.ttl_s)
        await own.note("sign_in.succeeded", "user", str(user.id), {"provider": identity.provider})
        return user
    raise Contention


async def link(database: Database, user_id: str, identity: Identity, audit: AuditContext) -> None:
    """Add an identity to an account; raises IdentityTaken when it is another's, or the account has one."""

    async def work() -> None:
        if not await _add(user_id, identity, audit):
            raise IdentityTaken("Your account is linked with this provider already")

    try:
        await database.transaction(work)
    except DuplicateKey:
        raise IdentityTaken from None


async def unlink(
    database: Database, user_id: str, issuer: str, others: Iterable[str], audit: AuditContext
) -> bool:
    """Take an issuer's identity from an account; returns whether there was one. Raises LastSignIn.

    A password, or an identity of one of the `others` (issuers), must be left to sign in with.
    """
    usable = {"$elemMatch": {"issuer": {"$in": [each for each in others if each != issuer]}}}
    wanted = {"_id": PydanticObjectId(user_id), "identities.issuer": issuer}
    ways = {"$or": [{"password_hash": {"$ne": None}}, {"identities": usable}]}
    change = {
        "$pull": {"identities": {"issuer": issuer}},
        "$set": {"_updated_at": utc_now()},
        "$inc": {"_version": 1},
    }

    async def work() -> bool:
        changed = await User.find_one(wanted, ways, session=session()).update(change)
        if changed.matched_count:
            await audit.note("identity.unlinked", "user", user_id, {"issuer": issuer})
            return True
        if await User.find_one(wanted, session=session()) is not None:
            raise LastSignIn
        return False

    return await database.transaction(work)


async def linked(user_id: str) -> dict[str, Any]:
    """Return when an account was linked, by issuer."""
    found = await User.get(user_id)
    return {} if found is None else {each.issuer: each.linked_at for each in found.identities}


async def _find_or_make(identity: Identity, audit: AuditContext, may_make: tuple[bool, bool]) -> User:
    known = {"identities": {"$elemMatch": {"issuer": identity.issuer, "subject": identity.subject}}}
    user = await User.find_one(known, session=session())
    if user is not None:
        return user
    if identity.email is None:
        raise ProviderRefused("The provider told no e-mail address, without which there can be no account")
    present = await User.find_one({"email_key": email_key(identity.email)}, session=session())
    if present is not None:
        return await _claimed(present, identity, audit)
    is_open, is_address_enough = may_make
    if not is_open:
        raise RegistrationClosed("Registration is closed; ask an administrator for an account")
    if not is_address_enough:
        raise ProviderRefused(
            "The provider has not verified your e-mail address, which an account here needs"
        )
    return await _made(identity.email, identity, audit)


async def _claimed(user: User, identity: Identity, audit: AuditContext) -> User:
    """Link an account that has the identity's address, if both sides have verified it; raises AccountExists.

    An account whose address nobody has verified may have been made by somebody else, who waits for its victim
    to come by the provider (pre-hijacking); an identity with such an address may be anybody's. Addresses that
    no two accounts may have, such as those at `fass.de` and `faß.de`, can be two people's mailboxes.
    """
    is_same_mailbox = identity.email is not None and identity.email.lower() == user.email.lower()
    is_same_person = is_same_mailbox and identity.is_email_verified and user.is_email_verified
    if not is_same_person or user.is_disabled or not await _add(str(user.id), identity, audit):
        raise AccountExists(hint="Sign in to it as you did before, and link the provider there.")
    return user


async def _made(email: str, identity: Identity, audit: AuditContext) -> User:
    user = User(
        email=email,
        email_key=email_key(email),
        is_email_verified=identity.is_email_verified,
        name=identity.name,
        identities=[_linked(identity)],
    )
    await user.insert(session=session())
    await audit.note("user.created", "user", str(user.id), {"provider": identity.provider})
    return user


async def _add(user_id: str, identity: Identity, audit: AuditContext) -> bool:
    """Add an identity to an account that has none of its issuer; returns whether that was so."""
    unlinked = {
        "_id": PydanticObjectId(user_id),
        "is_disabled": False,
        "identities.issuer": {"$ne": identity.issuer},
    }
    added = await User.find_one(unlinked, session=session()).update(
        {
            "$push": {"identities": _linked(identity).model_dump()},
            "$set": {"_updated_at": utc_now()},
            "$inc": {"_version": 1},
        }
    )
    if added.matched_count:
        details = {"provider": identity.provider, "issuer": identity.issuer, "subject": identity.subject}
        await audit.note("identity.linked", "user", user_id, details)
    return bool(added.matched_count)


def _linked(identity: Identity) -> LinkedIdentity:
    return LinkedIdentity(issuer=identity.issuer, subject=identity.subject, linked_at=utc_now())


@dataclass(frozen=True, slots=True)
class ProviderSignIn:
    """Signs people in whom a provider speaks for; `registration_open` says whether accounts may be made."""

    database: Database
    signing_in: SigningIn
    registration_open: bool

    async def by_code(self, code: str, verifier: str, visitor: Visitor) -> SignedIn | Challenge:
        """Sign in with the code that an app was returned to with; raises FlowInvalid, and as below."""
        identity = await flows.take_code("bearer", code, verifier)
        return await self.by_identity(identity, "bearer", visitor)

    async def by_identity(self, identity: Identity, mode: Mode, visitor: Visitor) -> SignedIn | Challenge:
        """Sign in to the account of an identity, made or linked when there is none.

        Raises as `linked_accounts.sign_in`, EmailUnverified, SessionEnded.
        """
        needs_verified_email = self.signing_in.needs_verified_email
        user = await sign_in(
            self.database,
            identity,
            visitor.audit,
            registration_open=self.registration_open,
            needs_verified_email=needs_verified_email,
        )
        if needs_verified_email and not user.is_email_verified:
            raise EmailUnverified
        return await self.signing_in.complete(user, mode, visitor)

    async def link(
        self, user_id: str, provider: str, password: str | None, *, code: str, verifier: str, visitor: Visitor
    ) -> None:
        """Link an account with whom a provider's code speaks for; the password is that of the account.

        Raises DocumentNotFound, FlowInvalid, IdentityTaken, and what `Prover.confirm_password` raises.
        """
        user = await accounts.get(user_id)
        await self.signing_in.prover(visitor).confirm_password(user, password)
        identity = await flows.take_code("link", code, verifier)
        if identity.provider != provider:
            raise FlowInvalid
        await link(self.database, user_id, identity, visitor.audit)
