"""Building the services of an application from its settings."""

from collections.abc import Iterable

from models import DOCUMENTS
from service.app.pipeline import GRACE_S
from service.changes.cursors import ChangeCursors
from service.changes.feeds import Feeds
from service.changes.streams import StreamLimits, Streams
from service.changes.subscriptions import Catching
from service.collections.registry import Registry
from service.documents.idempotency import Claims
from service.documents.lists import ListCache
from service.documents.rendering import Renderings
from service.http.contract import Contracts
from service.http.contract.operations import Endpoint
from service.http.services import Services
from service.identity.api_keys import ApiKeys, KeyBearers
from service.identity.core import signing_keys
from service.identity.core.browsers import Browsers
from service.identity.core.hashing import Cost, Demands, Passwords
from service.identity.core.lockout import Lockouts
from service.identity.core.refreshing import Refreshing
from service.identity.core.revocations import COLLECTION as REVOCATIONS
from service.identity.core.revocations import Revocations
from service.identity.core.sessions import Ending, Limits, RefreshTokens, Sessions
from service.identity.core.signing_in import SigningIn, SigningOut
from service.identity.core.tokens import Tokens
from service.identity.oidc import Providers, ProviderSignIn, ReturnUrls, registrations
from service.identity.passwords import Addresses, PasswordChanges, Registrations
from service.identity.second_factor import SecondFactorChanges, SecondFactors, SecondStep
from service.identity.users import Removal, Users
from service.kit.errors import StartupFailure
from service.kit.origins import Origins
from service.kit.sealing import Sealer
from service.mail.messages import Links, Templates
from service.mail.post import Allowance, Post, open_post
from service.query.cursors import Cursors
from service.runtime.drain import Drain
from service.runtime.settings import Settings
from service.runtime.tracing.sending import Traces
from service.storage import database as databases
from service.storage.monitoring import CommandSpans, CommandTimes, Listener, PoolCounts
from service.storage.rate_limits import SharedCounts


def build(settings: Settings, endpoints: Iterable[Endpoint]) -> Services:
    """Build the services; `endpoints` are the service's own, for the contract.

    They connect to MongoDB when the application's lifespan begins.

    Raises StartupFailure when the settings lack the database or the secret, or name a key that is none.
    """
    # the process
    traces = Traces.of_environment()
    pools = PoolCounts()

    # the database and its collections
    database = databases.connect(**settings.connection, listeners=listeners(settings, traces, pools))
    registry = Registry(database, DOCUMENTS, document_limit_bytes=settings.body_limit_bytes)
    shared_counts = SharedCounts(database.motor["_rate_limits"])

    # identity
    sealer = Sealer(_secrets(settings))
    tokens = _tokens(settings)
    passwords = _passwords(settings)
    browsers = _browsers(settings, sealer)
    lockouts = _lockouts(settings)
    revocations = Revocations(settings.access_token_ttl_s)
    database.stream.include(REVOCATIONS)
    ending = Ending(revocations)
    limits = Limits(settings.refresh_token_ttl_s, settings.session_ttl_s, settings.sessions_per_user)
    refresh_tokens = RefreshTokens(sealer)
    sessions = Sessions(tokens, refresh_tokens, revocations, browsers, limits)

    signing_in = SigningIn(
        database,
        passwords,
        lockouts,
        sessions,
        revocations,
        needs_verified_email=settings.email_verification == "required",
    )
    second_factors = SecondFactors(sealer, settings.second_factor_issuer)

    # identity by mail
    post = _post(settings, sealer, shared_counts)
    addresses = Addresses(database, passwords, revocations, lockouts, post, settings.email_verification_ttl_s)
    password_changes = PasswordChanges(
        database, passwords, sessions, revocations, lockouts, post, settings.password_reset_ttl_s
    )

    cursors = Cursors(*_secrets(settings))
    feeds = Feeds(database.stream, ChangeCursors(cursors))
    drain = Drain.of_process()

    return Services(
        database=database,
        registry=registry,
        shared_counts=shared_counts,
        claims=Claims(database, lease_s=settings.operation_timeout_s + GRACE_S),
        contracts=Contracts([*endpoints]),
        cursors=cursors,
        list_cache=ListCache(),
        renderings=Renderings(),
        catching=Catching(feeds, database, settings.snapshot_limit),
        feeds=feeds,
        streams=Streams(registry, revocations, drain, _stream_limits(settings)),
        addresses=addresses,
        api_keys=ApiKeys(database, revocations),
        browsers=browsers,
        key_bearers=KeyBearers(database, revocations),
        lockouts=lockouts,
        password_changes=password_changes,
        passwords=passwords,
        provider_sign_in=ProviderSignIn(
            database, signing_in, registration_open=settings.registration == "open"
        ),
        providers=_providers(settings),
        refreshing=Refreshing(database, tokens, refresh_tokens, revocations, browsers, sessions, limits),
        registrations=Registrations(
            database, passwords, addresses, password_changes, post, settings.email_verification
        ),
        removal=Removal(database, registry, ending, revocations),
        return_urls=_return_urls(settings),
        revocations=revocations,
        sealer=sealer,
        second_factor_changes=SecondFactorChanges(database, second_factors, signing_in),
        second_factors=second_factors,
        second_step=SecondStep(database, second_factors, signing_in),
        sessions=sessions,
        signing_in=signing_in,
        signing_out=SigningOut(database, sessions, revocations),
        tokens=tokens,
        users=Users(database, ending, revocations, passwords),
        post=post,
        drain=drain,
        pools=pools,
        traces=traces,
        audit_ttl_s=settings.audit_ttl_s,
        needs_verified_email=settings.email_verification == "required",
        registration_open=settings.registration == "open",
    )


def listeners(settings: Settings, traces: Traces, pools: PoolCounts) -> list[Listener]:
    """List those who listen to the driver, each only where somebody reads what it notes."""
    return [
        *([CommandSpans()] if traces.is_on else []),
        *([] if settings.metrics_port is None else [pools]),
        *([CommandTimes()] if settings.has_server_timing else []),
    ]


def _stream_limits(settings: Settings) -> StreamLimits:
    return StreamLimits(
        per_user=settings.streams_per_user,
        per_address=settings.streams_per_address,
        per_worker=settings.stream_connections,
        lifetime_s=settings.stream_lifetime_s,
    )


def _browsers(settings: Settings, sealer: Sealer) -> Browsers:
    """Build browser mode; pages on another origin are ours only if they may send cookies."""
    origins = _own_pages(settings, settings.cors_origins if settings.cors_credentials else ())
    is_secure = settings.environment == "production"  # browsers keep no `Secure` cookie over plain HTTP
    return Browsers(sealer, origins, is_secure=is_secure, same_site=settings.cookie_same_site)


def _providers(settings: Settings) -> Providers:
    """Build the OpenID Connect providers that people may sign in at."""
    set_up = registrations(settings.oidc_providers, settings.public_url)
    return Providers(set_up, is_secure=settings.environment == "production")


def _return_urls(settings: Settings) -> ReturnUrls:
    """List where sign-ins at providers may return to: our own pages, those of listed origins, listed apps."""
    return ReturnUrls(_own_pages(settings, settings.cors_origins), settings.oidc_return_urls)


def _own_pages(settings: Settings, listed: Iterable[str]) -> Origins:
    return Origins([*listed, settings.public_url or ""], local=settings.allows_local_pages)


def _tokens(settings: Settings) -> Tokens:
    """Build what signs and reads access tokens; raises StartupFailure for a key that is none."""
    secret, *previous = _secrets(settings)
    return Tokens(
        secret,
        previous,
        settings.jwt_issuer,
        settings.jwt_audience,
        settings.access_token_ttl_s,
        keys=signing_keys.read_files(settings.jwt_keys),
    )


def _passwords(settings: Settings) -> Passwords:
    """Build what hashes and verifies passwords; its threads must be closed."""
    return Passwords(
        settings.password_threads,
        cost=Cost(settings.password_memory_kib, settings.password_passes),
        demands=Demands(settings.password_minimum_characters, settings.password_strength),
    )


def _post(settings: Settings, sealer: Sealer, counts: SharedCounts) -> Post:
    """Build what sends mails, if any can be sent."""
    url, server = settings.link_url, settings.smtp_url
    paths = settings.password_reset_path, settings.email_verification_path
    limits = Allowance(counts, settings.mail_limit, settings.mail_limit_address)
    return open_post(
        sealer,
        Templates(settings.mail_name, settings.mail_templates),
        server_url=None if server is None else server.get_secret_value(),
        sender=settings.mail_from,
        folder=settings.data / "mails" if settings.environment == "development" else None,
        links=None if url is None else Links(url, *paths),
        allowance=limits if settings.rate_limit == "on" else None,
    )


def _lockouts(settings: Settings) -> Lockouts:
    """Build what counts guesses at passwords and codes."""
    return Lockouts(
        Sealer(_secrets(settings)),
        account_tries=settings.lockout_tries,
        address_tries=settings.lockout_address_tries,
        first_s=settings.lockout_s,
        longest_s=settings.lockout_longest_s,
    )


def _secrets(settings: Settings) -> list[str]:
    """Return the secret, followed by earlier ones that only verify."""
    if settings.jwt_secret is None:
        raise StartupFailure("SHEAF_JWT_SECRET is not set; without it nobody can sign in.")
    return [each.get_secret_value() for each in (settings.jwt_secret, *settings.jwt_previous_secrets)]
