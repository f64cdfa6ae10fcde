"""What is set about one OpenID Connect provider, checked when the service starts."""

import re
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
PROVIDER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")

TAKEN_NAMES = frozenset({"exchange"})
"""Names that stand in the place of a provider's in paths."""


class ProviderSettings(BaseModel):
    """One provider: `issuer` exactly as its discovery document says it, and what it gave at registration."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    issuer: str = Field(max_length=500)
    client_id: str = Field(min_length=1, max_length=500)
    client_secret: SecretStr | None = None
    label: str | None = Field(default=None, min_length=1, max_length=100)
    scopes: str = "openid email profile"

    @field_validator("issuer")
    @classmethod
    def _is_a_url(cls, value: str) -> str:
        """OpenID Connect Discovery 1.0, 3: https, without query or fragment; http on one machine."""
        if not is_issuer(value):
            raise ValueError("must be an https URL without query and fragment")
        return value

    @field_validator("scopes")
    @classmethod
    def _has_openid(cls, value: str) -> str:
        if "openid" not in value.split():
            raise ValueError("must have `openid` among its words")
        return value

    @property
    def is_encrypted(self) -> bool:
        """Whether its answers come by https."""
        return self.issuer.startswith("https://")


def is_issuer(value: str) -> bool:
    """Return whether text can be an issuer: an https URL, or an http one of this machine.

    >>> [is_issuer(each) for each in ("https://id.example", "http://127.0.0.1:5000", "http://id.example")]
    [True, True, False]
    >>> [is_issuer(each) for each in ("https://id.example?a", "https://me@id.example", "id.example", "https://")]
    [False, False, False, False]
    """
    try:
        url = urlsplit(value)
        url.port  # noqa: B018  # raises ValueError for what is no port
    except ValueError:
        return False
    is_safe = url.scheme == "https" or (url.scheme == "http" and url.hostname in LOOPBACK_HOSTS)
    is_plain = re.fullmatch(r"[!-~]+", value) and not set(value) & set("?#@\\")
    return bool(is_safe and url.hostname and is_plain)


def fault_of(
    providers: dict[str, ProviderSettings], *, is_production: bool, has_public_url: bool
) -> str | None:
    """Return what is wrong with the providers taken together, in a sentence; None when nothing is."""
    for name, provider in providers.items():
        if not PROVIDER_NAME.fullmatch(name) or name in TAKEN_NAMES:
            return (
                f"SHEAF_OIDC_PROVIDERS names a provider `{name[:40]}`; use another word, of a-z, 0-9, _ and -"
            )
        if is_production and not provider.is_encrypted:
            return f"SHEAF_OIDC_PROVIDERS__{name.upper()}__ISSUER must be an https URL in production"
    issuers = [provider.issuer for provider in providers.values()]
    if len(set(issuers)) != len(issuers):
        return "SHEAF_OIDC_PROVIDERS has two providers with one issuer; leave one out"
    if providers and not has_public_url:
        return "SHEAF_PUBLIC_URL must be set when SHEAF_OIDC_PROVIDERS is: providers send people back to it"
    return None
