"""The long-lived parts of a service, by type, and how a request reaches them."""

from dataclasses import dataclass
from typing import Any, cast

from litestar.connection import ASGIConnection

from service.changes.feeds import Feeds
from service.changes.streams import Streams
from service.changes.subscriptions import Catching
from service.collections.registry import Registry
from service.documents.idempotency import Claims
from service.documents.lists import ListCache
from service.documents.rendering import Renderings
from service.http.contract import Contracts
from service.identity.api_keys import ApiKeys, KeyBearers
from service.identity.core.browsers import Browsers
from service.identity.core.hashing import Passwords
from service.identity.core.lockout import Lockouts
from service.identity.core.refreshing import Refreshing
from service.identity.core.revocations import Revocations
from service.identity.core.sessions import Sessions
from service.identity.core.signing_in import SigningIn, SigningOut
from service.identity.core.tokens import Tokens
from service.identity.oidc import Providers, ProviderSignIn, ReturnUrls
from service.identity.passwords import Addresses, PasswordChanges, Registrations
from service.identity.second_factor import SecondFactorChanges, SecondFactors, SecondStep
from service.identity.users import Removal, Users
from service.kit.sealing import Sealer
from service.mail.post import Post
from service.query.cursors import Cursors
from service.runtime.drain import Drain
from service.runtime.tracing.sending import Traces
from service.storage.database import Database
from service.storage.monitoring import PoolCounts
from service.storage.rate_limits import SharedCounts


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """The parts that one application is made of; `service/app/services.py` builds them from the settings.

    A handler declares `services: NamedDependency[Services]`. What has the request alone calls `services_of`.
    """

    # the database and its collections
    database: Database
    registry: Registry
    shared_counts: SharedCounts

    # documents
    claims: Claims
    contracts: Contracts
    cursors: Cursors
    list_cache: ListCache
    renderings: Renderings

    # changes
    catching: Catching
    feeds: Feeds
    streams: Streams

    # identity
    addresses: Addresses
    api_keys: ApiKeys
    browsers: Browsers
    key_bearers: KeyBearers
    lockouts: Lockouts
    password_changes: PasswordChanges
    passwords: Passwords
    provider_sign_in: ProviderSignIn
    providers: Providers
    refreshing: Refreshing
    registrations: Registrations
    removal: Removal
    return_urls: ReturnUrls
    revocations: Revocations
    sealer: Sealer
    second_factor_changes: SecondFactorChanges
    second_factors: SecondFactors
    second_step: SecondStep
    sessions: Sessions
    signing_in: SigningIn
    signing_out: SigningOut
    tokens: Tokens
    users: Users

    # mail
    post: Post

    # the process
    drain: Drain
    pools: PoolCounts
    traces: Traces

    # settings that handlers ask for
    audit_ttl_s: int
    needs_verified_email: bool
    registration_open: bool


def services_of(request: ASGIConnection[Any, Any, Any, Any]) -> Services:
    """Return the services of the application that a request is for."""
    return cast("Services", request.scope["litestar_app"].state.services)
