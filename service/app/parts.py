"""The parts of the service, made of the settings."""

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from service.collections.registry import Registry
from service.identity.core import signing_keys
from service.identity.core.browsers import Browsers
from service.identity.core.hashing import Cost, Demands, Passwords
from service.identity.core.lockout import Lockouts
from service.identity.core.refresh_tokens import RefreshTokens
from service.identity.core.refreshing import Refreshing
from service.identity.core.revocations import Revocations
from service.identity.core.sessions import Limits, Sessions
from service.identity.core.tokens import Tokens
from service.identity.oidc.providers import Providers, registrations
from service.identity.oidc.return_urls import ReturnUrls
from service.identity.passwords import Addresses, PasswordChanges, Registrations, Verification
from service.kit.errors import StartupFailure
from service.kit.origins import Origins
from service.kit.sealing import Sealer
from service.mail.links import Links
from service.mail.opening import open_post
from service.mail.post import Allowance, Post
from service.mail.templates import Templates
from service.runtime.settings import Settings
from service.slow_queries.watch import SlowQueries
from service.storage.database import Database
from service.storage.rates import SharedCounts


def browsers(settings: Settings, sealer: Sealer) -> Browsers:
    """Give browser mode; pages on another origin are ours only if they may send cookies."""
    origins = _own_pages(settings, settings.cors_origins if settings.cors_credentials else ())
    is_secure = settings.environment == "production"  # browsers keep no `Secure` cookie over plain HTTP
    return Browsers(sealer, origins, is_secure=is_secure, same_site=settings.cookie_same_site)


def providers(settings: Settings) -> Providers:
    """Give the OpenID Connect providers that people may sign in at."""
    set_up = registrations(settings.oidc_providers, settings.public_url)
    return Providers(set_up, is_secure=settings.environment == "production")


def return_urls(settings: Settings) -> ReturnUrls:
    """Give where sign-ins at providers may return to: our own pages, those of listed origins, listed apps."""
    return ReturnUrls(_own_pages(settings, settings.cors_origins), settings.oidc_return_urls)


def _own_pages(settings: Settings, listed: Iterable[str]) -> Origins:
    return Origins([*listed, settings.public_url or ""], local=settings.allows_local_pages)


def sessions(
    settings: Settings, database: Database, tokens: Tokens, revocations: Revocations, browsers: Browsers
) -> dict[str, Any]:
    """Give what opens, refreshes and ends sessions, by its name in the application's state."""
    limits = Limits(settings.refresh_token_ttl_s, settings.session_ttl_s, settings.sessions_per_user)
    refresh_tokens = RefreshTokens(Sealer(secrets(settings)))
    sessions = Sessions(tokens, refresh_tokens, revocations, browsers, limits)
    refreshing = Refreshing(database, tokens, refresh_tokens, revocations, browsers, sessions, limits)
    return {"refreshing": refreshing, "sessions": sessions}


def tokens(settings: Settings) -> Tokens:
    """Give what signs and reads access tokens; raises StartupFailure for a key that is none."""
    secret, *previous = secrets(settings)
    return Tokens(
        secret,
        previous,
        settings.jwt_issuer,
        settings.jwt_audience,
        settings.access_token_ttl_s,
        keys=signing_keys.read_files(settings.jwt_keys),
    )


def passwords(settings: Settings) -> Passwords:
    """Give what hashes and verifies passwords; its threads are to be closed."""
    return Passwords(
        settings.password_threads,
        cost=Cost(settings.password_memory_kib, settings.password_passes),
        demands=Demands(settings.password_minimum_characters, settings.password_strength),
    )


def post(settings: Settings, counts: SharedCounts) -> Post:
    """Give what sends mails, if any can be sent."""
    url, server = settings.link_url, settings.smtp_url
    paths = settings.password_reset_path, settings.email_verification_path
    limits = Allowance(counts, settings.mail_limit, settings.mail_limit_address)
    return open_post(
        Sealer(secrets(settings)),
        Templates(settings.mail_name, settings.mail_templates),
        server_url=None if server is None else server.get_secret_value(),
        sender=settings.mail_from,
        folder=settings.data / "mails" if settings.environment == "development" else None,
        links=None if url is None else Links(url, *paths),
        allowance=limits if settings.rate_limit == "on" else None,
    )


def by_mail(
    state: Any, reset_ttl_s: float, verification_ttl_s: float, verification: Verification
) -> dict[str, Any]:
    """Return what identity does by mails, by its names in the application's state."""
    database, passwords, post = state.database, state.passwords, state.post
    revocations, lockouts = state.revocations, state.lockouts
    addresses = Addresses(database, passwords, revocations, lockouts, post, verification_ttl_s)
    changes = PasswordChanges(database, passwords, state.sessions, revocations, lockouts, post, reset_ttl_s)
    registrations = Registrations(database, passwords, addresses, changes, post, verification)
    return {"addresses": addresses, "password_changes": changes, "registrations": registrations}


def lockouts(settings: Settings) -> Lockouts:
    """Give what counts guesses at passwords and codes."""
    return Lockouts(
        Sealer(secrets(settings)),
        account_tries=settings.lockout_tries,
        address_tries=settings.lockout_address_tries,
        first_s=settings.lockout_s,
        longest_s=settings.lockout_longest_s,
    )


def slow_queries(
    settings: Settings, database: Database, registry: Registry
) -> AbstractAsyncContextManager[None]:
    """Give what logs slow queries while it is open, if they are to be logged."""
    if not settings.slow_query_ms:
        return nullcontext()
    return SlowQueries(database, registry, settings.slow_query_ms / 1000).watching()


def secrets(settings: Settings) -> list[str]:
    """Give the secret, and after it those that only still verify."""
    if settings.jwt_secret is None:
        raise StartupFailure("SHEAF_JWT_SECRET is not set; without it nobody can sign in.")
    return [each.get_secret_value() for each in (settings.jwt_secret, *settings.jwt_previous_secrets)]
