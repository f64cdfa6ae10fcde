"""The second factor: codes of an authenticator app (TOTP), and recovery codes."""

from service.identity.second_factor.factors import SecondFactors, renew_recovery_codes, view

__all__ = ["SecondFactors", "renew_recovery_codes", "view"]
