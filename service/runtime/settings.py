"""Every setting of the service, with its type, default and description."""

import os
import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from limits import parse as parse_rate
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from service.kit.errors import StartupFailure
from service.kit.origins import ANY, spelled
from service.runtime.provider_settings import ProviderSettings, fault_of

PREFIX = "SHEAF_"
MINIMUM_SECRET_BYTES = 32
MINIMUM_TOKEN_CHARACTERS = 16
LONGEST_ACCESS_TOKEN_TTL_S = 86_400

MASK = "********"


def split(value: object) -> object:
    """Take "a, b" for ["a", "b"], the way lists are written in the environment."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split)]
PageOrigins = Annotated[tuple[Annotated[str, AfterValidator(spelled)], ...], NoDecode, BeforeValidator(split)]
Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(split)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(split)]

DELIMITER = "__"
"""What stands between the parts of a variable's name that sets a part of a setting."""


def field_of(location: Sequence[int | str]) -> str:
    """Name the field at fault by its location in the settings; within a mapping, the part of it.

    >>> field_of(("port",)), field_of(("oidc_providers", "acme", "issuer")), field_of(("trusted_proxies", 0))
    ('port', 'oidc_providers__acme__issuer', 'trusted_proxies')
    """
    is_mapping = len(location) > 1 and isinstance(location[1], str) and location[0] == "oidc_providers"
    return DELIMITER.join(map(str, location)) if is_mapping else str(location[0])


def masked(value: object) -> str:
    """Return a setting's value for people to read, without what is secret in it.

    >>> masked(SecretStr("mongodb://ada:secret@db.example/a?x=1")), masked((SecretStr("a"), SecretStr("b")))
    ('mongodb://db.example/a', '********,********')
    >>> masked(SecretStr("mongodb://ada:not/escaped@here@db.example/a"))
    'mongodb://db.example/a'
    """
    if isinstance(value, SecretStr):
        uri = re.fullmatch(r"(mongodb(?:\+srv)?://)(?:.*@)?([^?]*).*", value.get_secret_value())
        return f"{uri[1]}{uri[2]}" if uri else MASK
    if isinstance(value, tuple):
        return ",".join(masked(part) for part in value)
    if isinstance(value, Mapping):
        return ",".join(f"{name}({masked(part)})" for name, part in value.items())
    if isinstance(value, BaseModel):
        parts = ((name, getattr(value, name)) for name in type(value).model_fields)
        return " ".join(f"{name}={masked(part)}" for name, part in parts if part is not None)
    return "" if value is None else str(value)


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


class Settings(IdentitySettings, MailSettings):
    """The effective settings, from the environment first and then from `.env`.

    A field `name` is the variable `SHEAF_NAME`; `mongodb_uri` is `MONGODB_URI`.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_nested_delimiter=DELIMITER,
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

    # --- protection
    cors_origins: PageOrigins = Field(
        (),
        description="Origins that pages may call from, as browsers spell them, comma-separated; `*` for any.",
    )
    cors_credentials: bool = Field(False, description="Whether browsers may send cookies cross-origin.")
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(split)] = (
        Field((), description="Networks of the proxies whose `X-Forwarded-For` is believed, comma-separated.")
    )
    body_limit_bytes: int = Field(
        1_048_576, ge=1024, le=16_777_216, description="Largest request body; beyond it 413."
    )
    body_timeout_s: float = Field(
        30.0, gt=0, le=3600, description="Seconds that a client may take in all to send its body."
    )
    idle_timeout_s: float = Field(
        30.0,
        ge=0.1,
        le=3600,
        description="Seconds that a connection may be idle, or take to send the head of a request.",
    )
    stall_timeout_s: float = Field(
        20.0, ge=0.1, le=3600, description="Seconds that a client may take nothing of its answer."
    )
    connections: int = Field(
        16_384, ge=1, le=1_000_000, description="Connections that one worker holds; more wait to be accepted."
    )
    concurrency: int = Field(
        256,
        ge=1,
        le=10_000,
        description="Requests that one worker does at once, and half as many lists; more wait in line.",
    )
    queue_length: int = Field(
        4096, ge=0, le=100_000, description="Requests that wait in line in one worker; more are 503 at once."
    )
    queue_timeout_s: float = Field(
        0.8, ge=0, le=60, description="Seconds that a request waits in line before it is 503."
    )
    rate_limit: Literal["on", "off"] = Field("on", description="Whether requests are limited.")
    rate_limit_anonymous: str = Field("100/15minutes", description="Limit per client address.")
    rate_limit_user: str = Field("1000/15minutes", description="Limit per signed-in user.")
    rate_limit_auth: str = Field("10/minute", description="Limit per client address on `/api/auth/…`.")
    rate_limit_refresh: str = Field(
        "1000/15minutes",
        description="Limit per client address on refresh and logout, in place of the others.",
    )

    # --- changes
    stream_connections: int = Field(
        10_000, ge=0, le=1_000_000, description="Streams of changes that one worker holds; more are 503."
    )
    streams_per_user: int = Field(
        20, ge=1, le=100_000, description="Streams that one user may have open on one worker."
    )
    streams_per_address: int = Field(
        100, ge=1, le=1_000_000, description="Streams that one client address may have open on one worker."
    )
    stream_lifetime_s: float = Field(
        1800.0, ge=1, le=86_400, description="Seconds after which a stream ends, and its client comes back."
    )
    snapshot_limit: int = Field(
        10_000, ge=1, le=1_000_000, description="Documents that a live list may begin with."
    )

    # --- operation
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe log.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto` is `json` in production and `console` in development."
    )
    slow_query_ms: int = Field(
        200,
        ge=0,
        le=60_000,
        description="Milliseconds from which a query is logged, with its plan and missing index; 0: none.",
    )
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port for Prometheus, at `/metrics`; 0 takes a free one, none measures nothing.",
    )
    metrics_host: str = Field("127.0.0.1", min_length=1, description="Address of the port for Prometheus.")
    metrics_token: SecretStr | None = Field(
        None, description="Bearer token that Prometheus must send, at least 16 characters."
    )
    server_timing: Literal["auto", "on", "off"] = Field(
        "auto", description="`Server-Timing` in answers, for browsers' tools; `auto` is `on` in development."
    )
    drain_delay_s: float = Field(
        0.0, ge=0, le=300, description="Seconds between SIGTERM and refusing new work, for load balancers."
    )
    drain_timeout_s: int = Field(
        20, ge=1, le=300, description="Seconds that requests in flight have to finish after SIGTERM."
    )

    @field_validator(
        "rate_limit_anonymous",
        "rate_limit_user",
        "rate_limit_auth",
        "rate_limit_refresh",
        "mail_limit",
        "mail_limit_address",
    )
    @classmethod
    def _is_a_rate(cls, value: str) -> str:
        try:
            parse_rate(value)
        except ValueError:
            raise ValueError('must be a rate such as "100/15minutes"') from None
        return value

    @field_validator("metrics_token")
    @classmethod
    def _is_hard_to_guess(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < MINIMUM_TOKEN_CHARACTERS:
            raise ValueError(f"must have at least {MINIMUM_TOKEN_CHARACTERS} characters")
        return value

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.environment == "production" and self.jwt_secret is None:
            raise ValueError(
                f"{PREFIX}JWT_SECRET must be set in production, to at least {MINIMUM_SECRET_BYTES} bytes"
                " (make one with `openssl rand -base64 48`)"
            )
        if ANY in self.cors_origins and self.cors_credentials:
            raise ValueError(
                f"{PREFIX}CORS_ORIGINS may not be `*` while {PREFIX}CORS_CREDENTIALS is on; list the origins"
            )
        return self

    @model_validator(mode="after")
    def _can_send(self) -> Self:
        if self.smtp_url is not None and self.mail_from is None:
            raise ValueError(f"{PREFIX}MAIL_FROM must be set with {PREFIX}SMTP_URL, to who mails are from")
        is_production = self.environment == "production"
        if (
            self.email_verification == "required"
            and is_production
            and None in {self.smtp_url, self.public_url}
        ):
            raise ValueError(
                f"{PREFIX}EMAIL_VERIFICATION=required needs {PREFIX}SMTP_URL and {PREFIX}PUBLIC_URL"
            )
        return self

    @model_validator(mode="after")
    def _has_right_providers(self) -> Self:
        is_production, has_url = self.environment == "production", self.public_url is not None
        fault = fault_of(self.oidc_providers, is_production=is_production, has_public_url=has_url)
        if fault is not None:
            raise ValueError(fault)
        return self

    @property
    def link_url(self) -> str | None:
        """What links in mails begin with; in development the service's own address will do."""
        if self.public_url is not None or self.environment == "production":
            return self.public_url
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def allows_local_pages(self) -> bool:
        """Whether pages on any port of this machine count as our own."""
        return self.environment == "development"

    @property
    def connection(self) -> dict[str, Any]:
        """The arguments of `database.connect`; raises StartupFailure without a MONGODB_URI."""
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
        """The number of worker processes."""
        return self.workers or os.cpu_count() or 1

    @property
    def effective_log_format(self) -> Literal["json", "console"]:
        """The format of the logs, `auto` resolved."""
        if self.log_format != "auto":
            return self.log_format
        return "json" if self.environment == "production" else "console"

    @property
    def has_server_timing(self) -> bool:
        """Whether answers say where their time went, `auto` resolved."""
        if self.server_timing == "auto":
            return self.environment == "development"
        return self.server_timing == "on"

    def shown(self) -> dict[str, str]:
        """Return every variable with its effective value, secrets masked, for people to read."""
        return {variable(name): masked(getattr(self, name)) for name in type(self).model_fields}


class Development(Settings):
    """The settings with the defaults of `sheaf dev`."""

    environment: Literal["development", "production"] = "development"
    rate_limit: Literal["on", "off"] = "off"
    metrics_port: int | None = 0


def variable(name: str) -> str:
    """Return the environment variable that sets a field.

    >>> variable("port"), variable("mongodb_uri")
    ('SHEAF_PORT', 'MONGODB_URI')
    """
    return "MONGODB_URI" if name == "mongodb_uri" else PREFIX + name.upper()


def load(kind: type[Settings] = Settings, /, **overrides: Any) -> Settings:
    """Read the settings, with the defaults of a kind; overrides win over the environment.

    Raises StartupFailure, one sentence naming the variable, when a value is wrong.
    """
    try:
        return kind(**overrides)
    except SettingsError as error:
        name = str(error).split('"')[1]  # `error parsing value for field "…" from source "…"`
        raise StartupFailure(f"{variable(name)} is wrong: must be a JSON object.") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        problem = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise StartupFailure(f"{problem}.") from None
        name = field_of(first["loc"])
        where = name if name == "MONGODB_URI" else variable(name)
        raise StartupFailure(f"{where} is wrong: {problem[:1].lower()}{problem[1:]}.") from None
