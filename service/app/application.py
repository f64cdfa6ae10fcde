"""Making the application of its controllers, its parts and its middleware."""

from litestar import Controller, Litestar
from litestar.datastructures import State

from models import DOCUMENTS
from service.app import parts
from service.app.lifespan import lifespan
from service.app.measuring import listeners
from service.app.pipeline import GRACE_S, pipeline
from service.collections.registry import Registry
from service.documents.asking import KnownLists
from service.documents.idempotency.claims import Claims
from service.documents.rendering import Renderings
from service.http.contract import Contracts
from service.http.controllers.audit import AuditController
from service.http.controllers.auth import AuthController
from service.http.controllers.batch import BatchController
from service.http.controllers.collections import CollectionsController
from service.http.controllers.documents import DocumentsController
from service.http.controllers.email import EmailController
from service.http.controllers.health import HealthController
from service.http.controllers.jwks import JwksController
from service.http.controllers.keys import KeysController
from service.http.controllers.lists import ListsController
from service.http.controllers.mail_pages import MailPagesController
from service.http.controllers.oidc import OidcController
from service.http.controllers.openapi import ContractController, DocsController
from service.http.controllers.passwords import PasswordController
from service.http.controllers.profile import ProfileController
from service.http.controllers.queries import QueriesController
from service.http.controllers.rules import RulesController
from service.http.controllers.saved_queries import SavedQueriesController
from service.http.controllers.second_factor import SecondFactorController
from service.http.controllers.sessions import (
    LogoutController,
    RefreshController,
    SessionController,
    SessionsController,
)
from service.http.controllers.users import UsersController
from service.http.guards import MayEnter
from service.http.pipeline.pipeline import surround
from service.http.pipeline.principal import PrincipalMiddleware
from service.http.routing import operations_of
from service.identity.api_keys import ApiKeys, KeyBearers
from service.identity.core.revocations import Revocations
from service.identity.second_factor import SecondFactors
from service.kit.sealing import Sealer
from service.query.cursors import Cursors
from service.runtime import logs
from service.runtime.drain import Drain
from service.runtime.metrics.pools import Pools
from service.runtime.settings import Settings, load
from service.runtime.tracing.sending import Traces
from service.storage import database as databases
from service.storage.rates import SharedCounts

CONTROLLERS: tuple[type[Controller], ...] = (
    AuthController,
    ProfileController,
    HealthController,
    RefreshController,
    LogoutController,
    SessionsController,
    SessionController,
    SecondFactorController,
    OidcController,
    PasswordController,
    EmailController,
    UsersController,
    AuditController,
    KeysController,
    CollectionsController,
    ContractController,
    RulesController,
    BatchController,
    ListsController,
    QueriesController,
    SavedQueriesController,
    DocumentsController,
    DocsController,
    JwksController,
    MailPagesController,
)
"""The controllers, in the order in which the contract has their endpoints."""


def create() -> Litestar:
    """Make the application of a worker process, from the environment; raises StartupFailure."""
    settings = load()
    logs.configure(settings.log_level, settings.effective_log_format)
    return create_app(settings)


def create_app(settings: Settings) -> Litestar:
    """Make the application; it connects to MongoDB when its lifespan begins.

    Raises StartupFailure when the settings lack the database or the secret, or name a key that is none.
    """
    traces = Traces.of_environment()
    pools = Pools()
    heard = [*traces.listeners(), *listeners(settings, pools)]
    database = databases.connect(**settings.connection, listeners=heard)
    drain = Drain.of_process()
    tokens = parts.tokens(settings)
    revocations = Revocations(settings.access_token_ttl_s)
    key_bearers = KeyBearers(database, revocations)
    sealer = Sealer(parts.secrets(settings))
    browsers = parts.browsers(settings, sealer)
    registry = Registry(database, DOCUMENTS, document_limit_bytes=settings.body_limit_bytes)
    counts = SharedCounts(database.motor["_rate_limits"])
    application = Litestar(
        route_handlers=[*CONTROLLERS],
        guards=[MayEnter()],
        lifespan=[lifespan(settings, database, registry, revocations, traces)],
        openapi_config=None,
        logging_config=None,
        state=State(
            {
                "api_keys": ApiKeys(database, revocations),
                "audit_ttl_s": settings.audit_ttl_s,
                "claims": Claims(database, lease_s=settings.operation_timeout_s + GRACE_S),
                "contracts": Contracts([*operations_of(CONTROLLERS)]),
                "cursors": Cursors(*parts.secrets(settings)),
                "database": database,
                "browsers": browsers,
                "drain": drain,
                "providers": parts.providers(settings),
                "return_urls": parts.return_urls(settings),
                "key_bearers": key_bearers,
                "known_lists": KnownLists(),
                "renderings": Renderings(),
                "lockouts": parts.lockouts(settings),
                "pools": pools,
                "post": parts.post(settings, counts),
                "needs_verified_email": settings.email_verification == "required",
                "registration_open": settings.registration == "open",
                "registry": registry,
                "revocations": revocations,
                "sealer": sealer,
                "second_factors": SecondFactors(sealer, settings.second_factor_issuer),
                **parts.sessions(settings, database, tokens, revocations, browsers),
                "tokens": tokens,
                "traces": traces,
            }
        ),
    )
    principals = PrincipalMiddleware(tokens, key_bearers, revocations, browsers)
    steps = pipeline(settings, drain, principals, counts, traces)
    application.state.steps = steps
    surround(application, steps)
    return application
