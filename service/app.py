"""The application: the only place that wires the parts together, with the middleware in order."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import structlog
from litestar import Litestar
from litestar.datastructures import State
from litestar.middleware import ASGIMiddleware

from models import DOCUMENTS
from service import database as databases
from service import logs, problems
from service.access import signing
from service.access.browsers import Browsers
from service.access.passwords import Cost, Demands, Passwords
from service.access.refresh_tokens import RefreshTokens
from service.access.sealing import Sealer
from service.access.tokens import Tokens
from service.controllers.audit import AuditController
from service.controllers.auth import AuthController
from service.controllers.batch import BatchController
from service.controllers.collections import CollectionsController
from service.controllers.documents import DocumentsController
from service.controllers.email import EmailController
from service.controllers.health import HealthController
from service.controllers.jwks import JwksController
from service.controllers.keys import KeysController
from service.controllers.lists import ListsController
from service.controllers.mail_pages import MailPagesController
from service.controllers.oidc import OidcController
from service.controllers.openapi import ContractController, DocsController
from service.controllers.passwords import PasswordController
from service.controllers.profile import ProfileController
from service.controllers.queries import QueriesController
from service.controllers.rules import RulesController
from service.controllers.saved_queries import SavedQueriesController
from service.controllers.second_factor import SecondFactorController
from service.controllers.sessions import (
    LogoutController,
    RefreshController,
    SessionController,
    SessionsController,
)
from service.controllers.users import UsersController
from service.database import Database
from service.drain import Drain
from service.errors import StartupFailure
from service.guards import KeyHasEffect, KeyMayCall, TokenIsValid
from service.idempotency.claims import Claims
from service.identity.api_keys import ApiKeys
from service.identity.by_mail import by_mail
from service.identity.key_bearers import KeyBearers
from service.identity.lockout import Lockouts
from service.identity.oidc.providers import Providers, registrations
from service.identity.oidc.return_urls import ReturnUrls
from service.identity.refreshing import Refreshing
from service.identity.revocations import Revocations
from service.identity.second_factor import SecondFactors
from service.identity.sessions import Limits, Sessions
from service.mail.links import Links
from service.mail.opening import open_post
from service.mail.post import Allowance, Post
from service.mail.templates import Templates
from service.middleware.body_limit import BodyLimit
from service.middleware.caching import Caching
from service.middleware.client_address import ClientAddress
from service.middleware.compression import Compression
from service.middleware.cors import Cors
from service.middleware.deadline import Deadline
from service.middleware.draining import DrainingMiddleware
from service.middleware.failures import Failures
from service.middleware.options import Options
from service.middleware.principal import PrincipalMiddleware
from service.middleware.rate_limit import RateLimit
from service.middleware.request_id import RequestId
from service.middleware.security_headers import SecurityHeaders
from service.openapi import Contracts
from service.query.cursors import Cursors
from service.rates import SharedCounts
from service.registry import Registry
from service.settings import Settings, load

GRACE_S = 0.2
"""What a client waits beyond the timeout of one database operation before it is told of it."""

log = structlog.get_logger("sheaf.app")


def create() -> Litestar:
    """Make the application of a worker process, from the environment; raises StartupFailure."""
    settings = load()
    logs.configure(settings.log_level, settings.effective_log_format)
    return create_app(settings)


def create_app(settings: Settings) -> Litestar:
    """Make the application; it connects to MongoDB when its lifespan begins.

    Raises StartupFailure when the settings lack the database or the secret, or name a key that is none.
    """
    database = databases.connect(**settings.connection)
    drain = Drain.of_process()
    tokens = _tokens(settings)
    revocations = Revocations(settings.access_token_ttl_s)
    key_bearers = KeyBearers(database, revocations)
    sealer = Sealer(_secrets(settings))
    browsers = _browsers(settings, sealer)
    registry = Registry(database, DOCUMENTS, document_limit_bytes=settings.body_limit_bytes)
    counts = SharedCounts(database.motor["_rate_limits"])
    application = Litestar(
        route_handlers=[
            AuditController,
            AuthController,
            BatchController,
            CollectionsController,
            ContractController,
            DocsController,
            DocumentsController,
            EmailController,
            HealthController,
            JwksController,
            KeysController,
            ListsController,
            MailPagesController,
            OidcController,
            PasswordController,
            LogoutController,
            ProfileController,
            QueriesController,
            RefreshController,
            RulesController,
            SavedQueriesController,
            SecondFactorController,
            SessionController,
            SessionsController,
            UsersController,
        ],
        guards=[TokenIsValid(), KeyMayCall(), KeyHasEffect()],
        exception_handlers={Exception: problems.litestar_handler},
        lifespan=[_lifespan(settings, database, registry, revocations)],
        openapi_config=None,
        logging_config=None,
        state=State(
            {
                "api_keys": ApiKeys(database, revocations),
                "audit_ttl_s": settings.audit_ttl_s,
                "claims": Claims(database, lease_s=settings.operation_timeout_s + GRACE_S),
                "contracts": Contracts(),
                "cursors": Cursors(*_secrets(settings)),
                "database": database,
                "browsers": browsers,
                "drain": drain,
                "providers": _providers(settings),
                "return_urls": _return_urls(settings),
                "key_bearers": key_bearers,
                "lockouts": _lockouts(settings),
                "post": _post(settings, counts),
                "needs_verified_email": settings.email_verification == "required",
                "registration_open": settings.registration == "open",
                "registry": registry,
                "revocations": revocations,
                "sealer": sealer,
                "second_factors": SecondFactors(sealer, settings.second_factor_issuer),
                **_sessions(settings, database, tokens, revocations, browsers),
                "tokens": tokens,
            }
        ),
    )
    principals = PrincipalMiddleware(tokens, key_bearers, revocations, browsers)
    for middleware in reversed(_pipeline(settings, drain, principals, counts)):
        application.asgi_handler = middleware(application.asgi_handler)
    return application


def _pipeline(
    settings: Settings, drain: Drain, principals: PrincipalMiddleware, counts: SharedCounts
) -> list[ASGIMiddleware]:
    """Give what every request passes through, outermost first; around the router, so 404 and 405 pass too."""
    pipeline: list[ASGIMiddleware] = [
        RequestId(),  # everything after it is logged and answered with the id
        SecurityHeaders(),  # on every answer, whoever gives it
        Cors(origins=settings.cors_origins, credentials=settings.cors_credentials),  # also on refusals
        Compression(),
        Caching(),  # knows the final status
        Failures(),  # turns what is raised below it into answers
        DrainingMiddleware(drain),
        ClientAddress(trusted_proxies=settings.trusted_proxies),
        BodyLimit(limit_bytes=settings.body_limit_bytes),  # before anything reads a body
        principals,  # before the limits, which differ by who asks
    ]
    if settings.rate_limit == "on":
        limits = RateLimit(
            counts,
            anonymous=settings.rate_limit_anonymous,
            user=settings.rate_limit_user,
            auth=settings.rate_limit_auth,
            refresh=settings.rate_limit_refresh,
            workers=settings.worker_count,
        )
        pipeline.append(limits)
    pipeline.append(Deadline(timeout_s=settings.operation_timeout_s + GRACE_S))
    pipeline.append(Options())  # asks the router itself
    return pipeline


def _browsers(settings: Settings, sealer: Sealer) -> Browsers:
    """Give browser mode; pages on another origin are ours only if they may send cookies."""
    origins = [*(settings.cors_origins if settings.cors_credentials else ()), settings.public_url or ""]
    is_secure = settings.environment == "production"  # browsers keep no `Secure` cookie over plain HTTP
    return Browsers(sealer, origins, is_secure=is_secure, same_site=settings.cookie_same_site)


def _providers(settings: Settings) -> Providers:
    set_up = registrations(settings.oidc_providers, settings.public_url)
    return Providers(set_up, is_secure=settings.environment == "production")


def _return_urls(settings: Settings) -> ReturnUrls:
    """Give where sign-ins at providers may return to: our own pages, those of listed origins, listed apps."""
    return ReturnUrls([*settings.cors_origins, settings.public_url or ""], settings.oidc_return_urls)


def _sessions(
    settings: Settings, database: Database, tokens: Tokens, revocations: Revocations, browsers: Browsers
) -> dict[str, Any]:
    """Give what opens, refreshes and ends sessions, by its name in the application's state."""
    limits = Limits(settings.refresh_token_ttl_s, settings.session_ttl_s, settings.sessions_per_user)
    refresh_tokens = RefreshTokens(Sealer(_secrets(settings)))
    sessions = Sessions(tokens, refresh_tokens, revocations, browsers, limits)
    refreshing = Refreshing(database, tokens, refresh_tokens, revocations, browsers, sessions, limits)
    return {"refreshing": refreshing, "sessions": sessions}


def _tokens(settings: Settings) -> Tokens:
    secret, *previous = _secrets(settings)
    return Tokens(
        secret,
        previous,
        settings.jwt_issuer,
        settings.jwt_audience,
        settings.access_token_ttl_s,
        keys=signing.read_files(settings.jwt_keys),
    )


def _passwords(settings: Settings) -> Passwords:
    return Passwords(
        settings.password_threads,
        cost=Cost(settings.password_memory_kib, settings.password_passes),
        demands=Demands(settings.password_minimum_characters, settings.password_strength),
    )


def _post(settings: Settings, counts: SharedCounts) -> Post:
    url, server = settings.link_url, settings.smtp_url
    paths = settings.password_reset_path, settings.email_verification_path
    limits = Allowance(counts, settings.mail_limit, settings.mail_limit_address)
    return open_post(
        Sealer(_secrets(settings)),
        Templates(settings.mail_name, settings.mail_templates),
        server_url=None if server is None else server.get_secret_value(),
        sender=settings.mail_from,
        folder=settings.data / "mails" if settings.environment == "development" else None,
        links=None if url is None else Links(url, *paths),
        allowance=limits if settings.rate_limit == "on" else None,
    )


def _lockouts(settings: Settings) -> Lockouts:
    return Lockouts(
        Sealer(_secrets(settings)),
        account_tries=settings.lockout_tries,
        address_tries=settings.lockout_address_tries,
        first_s=settings.lockout_s,
        longest_s=settings.lockout_longest_s,
    )


def _secrets(settings: Settings) -> list[str]:
    """Give the secret, and after it those that only still verify."""
    if settings.jwt_secret is None:
        raise StartupFailure("SHEAF_JWT_SECRET is not set; without it nobody can sign in.")
    return [each.get_secret_value() for each in (settings.jwt_secret, *settings.jwt_previous_secrets)]


def _lifespan(
    settings: Settings, database: Database, registry: Registry, revocations: Revocations
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Give what opens when the service starts and closes when it ends."""

    @asynccontextmanager
    async def lifespan(application: Litestar) -> AsyncIterator[None]:
        passwords = _passwords(settings)
        application.state.passwords = passwords
        ttls_s = settings.password_reset_ttl_s, settings.email_verification_ttl_s
        application.state.update(by_mail(application.state, *ttls_s, settings.email_verification))
        try:
            async with registry.following():
                is_loaded = await registry.wait_until_loaded(settings.database_timeout_s + 1)
                if not is_loaded:
                    log.warning("app.started_without_database")
                async with (
                    revocations.following(database),
                    application.state.key_bearers.noting(),
                    application.state.second_factors.resealing(),
                    application.state.post.sending(),
                    application.state.providers.open(),
                ):
                    if is_loaded:  # until then tokens are 503
                        await revocations.wait_until_loaded(settings.database_timeout_s)
                    yield
        finally:
            passwords.close()
            database.close()

    return lifespan
