"""Every knob of the service, with its type, default and description."""

import os
import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from limits import parse as parse_rate
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.errors import StartupFailure

MINIMUM_SECRET_BYTES = 32
PREFIX = "SHEAF_"


def _split(value: object) -> object:
    """Take "a, b" for ["a", "b"], the way lists are written in the environment."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """The effective settings, from the environment first and then from `.env`.

    A field `name` is the variable `SHEAF_NAME`; `mongodb_uri` is `MONGODB_URI`.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_ignore_empty=True,  # a line `NAME=` of .env.example that was not filled in
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    environment: Literal["development", "production"] = Field(
        "production", description="`production` refuses unsafe settings; `sheaf dev` sets `development`."
    )

    # --- where
    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    workers: int = Field(0, ge=0, le=256, description="Worker processes; 0 means one per core.")
    public_url: str | None = Field(
        None, pattern=r"^https?://[^\s?#]+$", description="The URL that clients use, for links in mails."
    )

    # --- database
    mongodb_uri: SecretStr | None = Field(
        None,
        validation_alias="MONGODB_URI",
        description="MongoDB to use, a replica set or Atlas; without it `sheaf dev` starts a private one.",
    )
    database: str = Field(
        "sheaf", pattern=r"^[A-Za-z0-9_-]{1,38}$", description="Name of the database that holds everything."
    )
    data: Path = Field(
        Path(".sheaf"), description="Directory of the private MongoDB's data and of the development secret."
    )
    pool_size: int = Field(50, ge=1, le=1000, description="MongoDB connections per worker at the most.")
    database_timeout_s: float = Field(
        3.0,
        gt=0,
        le=60,
        description="Seconds that a start waits for MongoDB; then it goes on and answers 503.",
    )
    operation_timeout_s: float = Field(
        3.0, gt=0, le=300, description="Seconds that one MongoDB operation may take, retries included."
    )

    # --- identity
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
        900, ge=60, le=86400, description="Seconds that an access token is valid for."
    )
    refresh_token_ttl_s: int = Field(
        2_592_000, ge=300, le=31_536_000, description="Seconds after which a session that is not used ends."
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

    # --- protection
    cors_origins: Words = Field(
        (), description="Origins that browsers may call from, comma-separated; `*` for any."
    )
    cors_credentials: bool = Field(False, description="Whether browsers may send cookies cross-origin.")
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_split)] = (
        Field((), description="Networks of the proxies whose `X-Forwarded-For` is believed, comma-separated.")
    )
    body_limit_bytes: int = Field(
        1_048_576, ge=1024, le=16_777_216, description="Largest request body; beyond it 413."
    )
    rate_limit: Literal["on", "off"] = Field("on", description="Whether requests are limited.")
    rate_limit_anonymous: str = Field("100/15minutes", description="Limit per client address.")
    rate_limit_user: str = Field("1000/15minutes", description="Limit per signed-in user.")
    rate_limit_auth: str = Field("10/minute", description="Limit per client address on `/api/auth/…`.")

    # --- operation
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe log.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto` is `json` in production and `console` in development."
    )
    drain_delay_s: float = Field(
        0.0, ge=0, le=300, description="Seconds between SIGTERM and refusing new work, for load balancers."
    )
    drain_timeout_s: int = Field(
        20, ge=1, le=300, description="Seconds that requests in flight have to finish after SIGTERM."
    )

    @field_validator("rate_limit_anonymous", "rate_limit_user", "rate_limit_auth")
    @classmethod
    def _is_a_rate(cls, value: str) -> str:
        try:
            parse_rate(value)
        except ValueError:
            raise ValueError('must be a rate such as "100/15minutes"') from None
        return value

    @field_validator("jwt_secret", "jwt_previous_secrets")
    @classmethod
    def _is_long_enough(cls, value: SecretStr | Secrets | None) -> SecretStr | Secrets | None:
        secrets = value if isinstance(value, tuple) else () if value is None else (value,)
        if any(len(secret.get_secret_value().encode()) < MINIMUM_SECRET_BYTES for secret in secrets):
            raise ValueError(f"must have at least {MINIMUM_SECRET_BYTES} bytes")
        return value

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.environment == "production" and self.jwt_secret is None:
            raise ValueError(
                f"{PREFIX}JWT_SECRET must be set in production, to at least {MINIMUM_SECRET_BYTES} bytes"
                " (make one with `openssl rand -base64 48`)"
            )
        if "*" in self.cors_origins and self.cors_credentials:
            raise ValueError(
                f"{PREFIX}CORS_ORIGINS may not be `*` while {PREFIX}CORS_CREDENTIALS is on; list the origins"
            )
        return self

    @property
    def connection(self) -> dict[str, Any]:
        """Give the arguments of `database.connect`; raises StartupFailure without a MONGODB_URI."""
        if self.mongodb_uri is None:
            raise StartupFailure("MONGODB_URI is not set; name a MongoDB replica set, or run `sheaf dev`.")
        return {
            "uri": self.mongodb_uri.get_secret_value(),
            "name": self.database,
            "pool_size": self.pool_size,
            "selection_timeout_s": self.database_timeout_s,
            "operation_timeout_s": self.operation_timeout_s,
        }

    @property
    def worker_count(self) -> int:
        """Give the number of worker processes."""
        return self.workers or os.cpu_count() or 1

    @property
    def effective_log_format(self) -> Literal["json", "console"]:
        """Give the format of the logs, `auto` resolved."""
        if self.log_format != "auto":
            return self.log_format
        return "json" if self.environment == "production" else "console"

    def shown(self) -> dict[str, str]:
        """Give every variable with its effective value, secrets masked, for people to read."""
        return {variable(name): _masked(getattr(self, name)) for name in type(self).model_fields}


class Development(Settings):
    """The settings with the defaults of `sheaf dev`."""

    environment: Literal["development", "production"] = "development"
    rate_limit: Literal["on", "off"] = "off"


def load(kind: type[Settings] = Settings, /, **overrides: Any) -> Settings:
    """Read the settings, with the defaults of a kind; overrides win over the environment.

    Raises StartupFailure, one sentence naming the variable, when a value is wrong.
    """
    try:
        return kind(**overrides)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        problem = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise StartupFailure(f"{problem}.") from None
        name = str(first["loc"][0])
        where = name if name == "MONGODB_URI" else variable(name)
        raise StartupFailure(f"{where} is wrong: {problem[:1].lower()}{problem[1:]}.") from None


def variable(name: str) -> str:
    """Give the environment variable that sets a field.

    >>> variable("port"), variable("mongodb_uri")
    ('SHEAF_PORT', 'MONGODB_URI')
    """
    return "MONGODB_URI" if name == "mongodb_uri" else PREFIX + name.upper()


def _masked(value: object) -> str:
    if isinstance(value, SecretStr):
        uri = re.fullmatch(r"(mongodb(?:\+srv)?://)(?:[^@/]*@)?([^?]*).*", value.get_secret_value())
        return f"{uri[1]}{uri[2]}" if uri else "********"
    if isinstance(value, tuple):
        return ",".join(_masked(part) for part in value)
    return "" if value is None else str(value)
