"""Who a provider says that somebody is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.identity.forms.account_bodies import MAXIMUM_NAME_CHARACTERS, normalised_email


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody at a provider; `issuer` and `subject` together name one person for good, the address does not.

    `is_email_verified` only where the provider itself says so.
    """

    provider: str
    issuer: str
    subject: str
    email: str | None
    is_email_verified: bool
    name: str | None


def read(provider: str, issuer: str, claims: Mapping[str, Any]) -> Identity:
    """Read the claims of a verified ID token (OpenID Connect Core, 5.1); a text `"true"` verifies nothing."""
    email = _email(claims.get("email"))
    return Identity(
        provider=provider,
        issuer=issuer,
        subject=claims["sub"],
        email=email,
        is_email_verified=email is not None and claims.get("email_verified") is True,
        name=_name(claims.get("name")),
    )


def _email(told: object) -> str | None:
    try:
        return normalised_email(told) if isinstance(told, str) else None
    except ValueError:
        return None


def _name(told: object) -> str | None:
    is_usable = isinstance(told, str) and told.strip() and told.isprintable()
    return str(told)[:MAXIMUM_NAME_CHARACTERS] if is_usable else None
