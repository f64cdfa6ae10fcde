"""The second factor: codes of an authenticator app (TOTP) and recovery codes, and signing in with them."""

from service.identity.second_factor.changes import SecondFactorChanges, SecondStep
from service.identity.second_factor.factors import SecondFactors, view

__all__ = ["SecondFactorChanges", "SecondFactors", "SecondStep", "view"]
