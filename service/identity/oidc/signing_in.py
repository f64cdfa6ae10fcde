"""Signing in by a provider, and linking an account with whom a provider speaks for."""

from dataclasses import dataclass

from service.identity.core import accounts
from service.identity.core.browsers import Mode
from service.identity.core.challenges import Challenge
from service.identity.core.signing_in import SignedIn, SigningIn, Visitor
from service.identity.oidc import flows, linked_accounts
from service.identity.oidc.id_tokens import Identity
from service.kit.errors import EmailUnverified, FlowInvalid
from service.storage.database import Database


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
        user = await linked_accounts.sign_in(
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
        await linked_accounts.link(self.database, user_id, identity, visitor.audit)
