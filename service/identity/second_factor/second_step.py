"""The second step of signing in: a code for the token that the first step gave."""

from dataclasses import dataclass

from service.identity.core import challenges
from service.identity.core.proving import SIGN_IN
from service.identity.core.sessions import Opened
from service.identity.core.signing_in import SignedIn, SigningIn, Visitor
from service.identity.second_factor.factors import SecondFactors
from service.kit.errors import EmailUnverified, Failure, SessionEnded
from service.storage.database import Database


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
