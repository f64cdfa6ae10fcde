"""The settings of identity and of mail, which are part of the service's settings."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from service.runtime.provider_settings import ProviderSettings
from service.runtime.settings.kinds import Paths, Secrets, Words

MINIMUM_SECRET_BYTES = 32
LONGEST_ACCESS_TOKEN_TTL_S = 86_400


class MailSettings(BaseSettings):
    """How mails are sent, and where their links lead."""

    smtp_url: SecretStr | None = Field(
        None, description="Mail server: `smtp://user:password@host:587`, or `smtps://…` for TLS at once."
    )
    mail_from: str | None = Field(None, description="Who mails are from: an address, or `Name <address>`.")
    mail_name: str = Field("Sheaf", min_length=1, max_length=100, description="What mails call this service.")
    mail_templates: Path | None = Field(
        None, description="Directory with mail texts of your own, which replace those of the same name."
    )
    mail_limit: str = Field("5/hour", description="Mails that may be asked for, per recipient.")
    mail_limit_address: str = Field("30/hour", description="Mails that may be asked for, per client address.")
    password_reset_path: str = Field(
        "/auth/reset-password#token=",
        pattern=r"^/[!-.0-~][!-~]*$",
        description="Page to choose a new password on, below the public URL; the token is put behind it.",
    )
    email_verification_path: str = Field(
        "/auth/verify-email#token=",
        pattern=r"^/[!-.0-~][!-~]*$",
        description="Page to verify an address on, below the public URL; the token is put behind it.",
    )


class IdentitySettings(BaseSettings):
    """Tokens and sessions, passwords, verification, lockout, the second factor, providers."""

    jwt_secret: SecretStr | None = Field(
        None,
        description=f"Signs access tokens; at least {MINIMUM_SECRET_BYTES} bytes, required in production.",
    )
    jwt_previous_secrets: Secrets = Field(
        (), description="Earlier secrets whose tokens are still accepted, comma-separated; for rotation."
    )
    jwt_keys: Paths = Field(
        (),
        description="RSA or P-256 keys, PEM files with commas between; the first private one signs.",
    )
    jwt_issuer: str = Field("sheaf", min_length=1, description="The `iss` claim of access tokens.")
    jwt_audience: str = Field("sheaf", min_length=1, description="The `aud` claim of access tokens.")
    access_token_ttl_s: int = Field(
        900, ge=60, le=LONGEST_ACCESS_TOKEN_TTL_S, description="Seconds that an access token is valid for."
    )
    refresh_token_ttl_s: int = Field(
        2_592_000, ge=300, le=31_536_000, description="Seconds after which a session that is not used ends."
    )
    session_ttl_s: int = Field(
        7_776_000,
        ge=300,
        le=315_360_000,
        description="Seconds after which a session ends however it is used.",
    )
    sessions_per_user: int = Field(
        50, ge=1, le=1000, description="Sessions that one user may have; a further one ends the oldest."
    )
    cookie_same_site: Literal["strict", "lax", "none"] = Field(
        "strict", description="`SameSite` of a browser's cookies; `none` for pages on another site."
    )
    audit_ttl_s: int = Field(
        31_536_000, ge=3600, le=315_360_000, description="Seconds that the audit log is kept for."
    )
    registration: Literal["open", "closed"] = Field(
        "open", description="Whether anybody may register; `closed` leaves it to `sheaf user create`."
    )
    password_threads: int = Field(
        2, ge=1, le=64, description="Passwords hashed at the same time per worker; each takes 19 MiB."
    )
    password_minimum_characters: int = Field(
        8, ge=8, le=64, description="Fewest characters of a new password; NIST SP 800-63B-4 asks for 15."
    )
    password_strength: int = Field(
        3, ge=0, le=4, description="Least zxcvbn score of a new password; 0 takes any."
    )
    password_memory_kib: int = Field(
        19_456, ge=19_456, le=1_048_576, description="Memory of one password hash, in KiB."
    )
    password_passes: int = Field(2, ge=2, le=20, description="Passes of one password hash over its memory.")
    password_reset_ttl_s: int = Field(
        3600, ge=300, le=86_400, description="Seconds that the link to choose a new password is valid for."
    )
    email_verification: Literal["off", "optional", "required"] = Field(
        "optional", description="`off` sends no link at registration; `required` lets nobody in without it."
    )
    email_verification_ttl_s: int = Field(
        86_400, ge=600, le=604_800, description="Seconds that the link to verify an address is valid for."
    )
    lockout_tries: int = Field(
        5, ge=1, le=100, description="Wrong passwords, or codes, of one account before it is locked."
    )
    lockout_address_tries: int = Field(
        20, ge=1, le=10_000, description="The same from one client address, whatever the accounts."
    )
    lockout_s: int = Field(
        60, ge=1, le=86_400, description="Seconds of an account's first lock; each next one is twice as long."
    )
    lockout_longest_s: int = Field(
        900, ge=1, le=86_400, description="Seconds of the longest lock, and of that of an address."
    )
    second_factor_issuer: str = Field(
        "Sheaf", min_length=1, max_length=100, description="The service's name in authenticator apps."
    )

    # --- sign-in at providers
    oidc_providers: dict[str, ProviderSettings] = Field(
        {},
        description="OpenID Connect providers, each by variables of its own: docs/how-to/openid-connect.md.",
    )
    oidc_return_urls: Words = Field(
        (), description="URLs of apps that a sign-in may return to, each exactly, comma-separated."
    )

    @field_validator("jwt_secret", "jwt_previous_secrets")
    @classmethod
    def _is_long_enough(cls, value: SecretStr | Secrets | None) -> SecretStr | Secrets | None:
        secrets = value if isinstance(value, tuple) else () if value is None else (value,)
        if any(len(secret.get_secret_value().encode()) < MINIMUM_SECRET_BYTES for secret in secrets):
            raise ValueError(f"must have at least {MINIMUM_SECRET_BYTES} bytes")
        return value
