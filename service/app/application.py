"""Making the application of its controllers, its services and its middleware."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

import structlog
from litestar import Controller, Litestar
from litestar.datastructures import State
from litestar.di import Provide

from service.app.measuring import measured
from service.app.pipeline import pipeline
from service.app.services import build
from service.http.controllers.audit import AuditController
from service.http.controllers.auth import AuthController
from service.http.controllers.batch import BatchController
from service.http.controllers.changes import ChangesController
from service.http.controllers.client import ClientController
from service.http.controllers.collections import CollectionsController
from service.http.controllers.documents import DocumentsController
from service.http.controllers.email import EmailController
from service.http.controllers.health import HealthController
from service.http.controllers.jwks import JwksController
from service.http.controllers.keys import KeysController
from service.http.controllers.lists import ListsController, QueriesController, SavedQueriesController
from service.http.controllers.mail_pages import MailPagesController
from service.http.controllers.oidc import OidcController
from service.http.controllers.openapi import ContractController, DocsController
from service.http.controllers.passwords import PasswordController
from service.http.controllers.profile import ProfileController
from service.http.controllers.rules import RulesController
from service.http.controllers.second_factor import SecondFactorController
from service.http.controllers.sessions import (
    LogoutController,
    RefreshController,
    SessionController,
    SessionsController,
)
from service.http.controllers.streams import StreamsController
from service.http.controllers.users import UsersController
from service.http.guards import MayEnter
from service.http.pipeline.runner import surround
from service.http.pipeline.step import Step
from service.http.routing import endpoints_of
from service.http.services import Services, services_of
from service.runtime import logs
from service.runtime.settings import Settings, load
from service.slow_queries.watch import SlowQueries

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
    StreamsController,
    ListsController,
    QueriesController,
    ChangesController,
    SavedQueriesController,
    DocumentsController,
    DocsController,
    ClientController,
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
    services = build(settings, endpoints_of(CONTROLLERS))
    steps = pipeline(settings, services)
    application = Litestar(
        route_handlers=[*CONTROLLERS],
        guards=[MayEnter()],
        dependencies={"services": Provide(services_of, sync_to_thread=False)},
        lifespan=[lifespan(settings, services, steps)],
        openapi_config=None,
        logging_config=None,
        state=State({"services": services}),
    )
    surround(application, steps)
    return application


log = structlog.get_logger("sheaf.app")


def lifespan(
    settings: Settings, services: Services, steps: Iterable[Step]
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Return the lifespan of an application with these services and steps."""

    @asynccontextmanager
    async def opened(_: Litestar) -> AsyncIterator[None]:
        try:
            async with (
                services.traces.open(),
                services.database.stream.running(),
                services.registry.following(),
            ):
                is_loaded = await services.registry.wait_until_loaded(settings.database_timeout_s + 1)
                if not is_loaded:
                    log.warning("app.started_without_database")
                async with (
                    services.feeds.running(),
                    services.streams.running(),
                    services.revocations.following(services.database),
                    services.key_bearers.noting(),
                    services.second_factors.resealing(),
                    services.post.sending(),
                    services.providers.open(),
                    measured(settings, services, steps),
                    slow_queries(settings, services),
                ):
                    if is_loaded:  # until then tokens are 503
                        await services.revocations.wait_until_loaded(settings.database_timeout_s)
                    yield
        finally:
            services.passwords.close()
            services.database.close()

    return opened


def slow_queries(settings: Settings, services: Services) -> AbstractAsyncContextManager[None]:
    """Return what logs slow queries while it is open, if they are to be logged."""
    if not settings.slow_query_ms:
        return nullcontext()
    return SlowQueries(services.database, services.registry, settings.slow_query_ms / 1000).watching()
