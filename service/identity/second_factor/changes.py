"""Changing one's second factor: beginning one, putting it in force, new recovery codes, switching it off."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from service.access.principals import Principal
from service.identity.core import accounts, challenges
from service.identity.core.credentials import remove_second_factor
from service.identity.core.proving import SIGN_IN
from service.identity.core.sessions import Opened
from service.identity.core.signing_in import SignedIn, SigningIn, Visitor
from service.identity.second_factor.factors import Enrolment, SecondFactors, renew_recovery_codes
from service.kit.errors import EmailUnverified, Failure, SessionEnded
from service.storage.database import Database

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class SecondFactorChanges:
    """Changes second factors, for owners who give their password and a code; each change is noted.

    Every method raises DocumentNotFound for an account that is not in use, and what `Prover` raises.
    """

    database: Database
    second_factors: SecondFactors
    signing_in: SigningIn

    async def begin(self, user_id: str, password: str | None, visitor: Visitor) -> Enrolment:
        """Make a seed, which is not in force yet; raises SecondFactorPresent."""
        user = await accounts.get(user_id)
        await self.signing_in.prover(visitor).confirm_password(user, password)
        return await self.second_factors.begin(user)

    async def confirm(self, caller: Principal, code: str, visitor: Visitor) -> list[str]:
        """Put a second factor in force by its first code, and end all other sessions; return recovery codes.

        Raises SecondFactorPresent, SecondFactorAbsent, TokenOutdated.
        """
        user_id = str(caller.id)
        user = await accounts.get(user_id)

        async def confirm() -> list[str]:
            codes = await self.second_factors.confirm(user_id, code)
            ended = await self.signing_in.sessions.end_all(user_id, except_id=caller.session_id)
            # A thief who was signed out locks nobody out.
            await self.signing_in.revocations.check(caller)
            await visitor.audit.note("second_factor.enabled", "user", user_id, {"ended_sessions": ended})
            return codes

        async with self.signing_in.prover(visitor).code(user):
            codes = await self.database.transaction(confirm)
        await self.signing_in.revocations.catch_up()
        return codes

    async def renew(self, user_id: str, password: str | None, code: str, visitor: Visitor) -> list[str]:
        """Make new recovery codes, and the earlier ones void; raises SecondFactorAbsent."""

        async def renew() -> list[str]:
            codes = await renew_recovery_codes(user_id)
            await visitor.audit.note("second_factor.recovery_codes_renewed", "user", user_id)
            return codes

        return await self._confirmed(user_id, password, code, visitor, renew)

    async def disable(self, user_id: str, password: str | None, code: str, visitor: Visitor) -> None:
        """Switch the second factor off; raises SecondFactorAbsent."""

        async def disable() -> None:
            await remove_second_factor(user_id, visitor.audit, "second_factor.disabled")

        await self._confirmed(user_id, password, code, visitor, disable)

    async def _confirmed(
        self,
        user_id: str,
        password: str | None,
        code: str,
        visitor: Visitor,
        change: Callable[[], Awaitable[Result]],
    ) -> Result:
        """Make a change for whoever gives the password and a code, in one transaction with the code's use."""
        user = await accounts.get(user_id)
        prover = self.signing_in.prover(visitor)
        await prover.confirm_password(user, password)

        async def use_and_change() -> Result:
            await self.second_factors.use(user_id, code)
            return await change()

        async with prover.code(user):
            return await self.database.transaction(use_and_change)


@dataclass(frozen=True, slots=True)
class SecondStep:
    """Completes sign-ins that wait for a code."""

    database: Database
    second_factors: SecondFactors
    signing_in: SigningIn

    async def complete(self, token: str, code: str, visitor: Visitor) -> SignedIn:
        """Sign in with the token of a challenge and a code; raises CrossSite, CodeWrong, Locked.

        One transaction uses the code and the token up, opens the session and notes all of it: a code whose
        sign-in is refused or fails can be used again. Raises SignInExpired for a token that is void, and what
        `SigningIn.open` raises.
        """
        begun = await challenges.resume(token)
        visitor.check_page(begun.mode)
        user_id = str(begun.user.id)

        async def use_and_open() -> Opened:
            method = await self.second_factors.use(user_id, code)
            await challenges.complete(token)
            if method == "recovery_code":
                await visitor.audit.note("second_factor.recovery_code_used", "user", user_id)
            return await self.signing_in.open(begun.user, begun.mode, visitor)

        async with self.signing_in.prover(visitor).code(begun.user, SIGN_IN):
            try:
                outcome: Opened | Failure = await self.database.transaction(use_and_open)
            except (EmailUnverified, SessionEnded) as refusal:
                outcome = refusal  # raised when the guess has ended: the code was right
        if not isinstance(outcome, Opened):
            raise outcome
        await self.signing_in.settle(begun.user, visitor)
        return SignedIn(begun.user, begun.mode, outcome)
