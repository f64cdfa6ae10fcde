"""What opens when the service starts and closes when it ends."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import structlog
from litestar import Litestar

from service.app import parts
from service.app.measuring import measured
from service.collections.registry import Registry
from service.identity.core.revocations import Revocations
from service.runtime.settings import Settings
from service.runtime.tracing.sending import Traces
from service.storage.database import Database

log = structlog.get_logger("sheaf.app")


def lifespan(
    settings: Settings, database: Database, registry: Registry, revocations: Revocations, traces: Traces
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Give what opens when the service starts and closes when it ends."""

    @asynccontextmanager
    async def opened(application: Litestar) -> AsyncIterator[None]:
        passwords = parts.passwords(settings)
        application.state.passwords = passwords
        ttls_s = settings.password_reset_ttl_s, settings.email_verification_ttl_s
        application.state.update(parts.by_mail(application.state, *ttls_s, settings.email_verification))
        try:
            async with traces.open(), registry.following():
                is_loaded = await registry.wait_until_loaded(settings.database_timeout_s + 1)
                if not is_loaded:
                    log.warning("app.started_without_database")
                async with (
                    revocations.following(database),
                    application.state.key_bearers.noting(),
                    application.state.second_factors.resealing(),
                    application.state.post.sending(),
                    application.state.providers.open(),
                    measured(settings, application.state),
                    parts.slow_queries(settings, database, registry),
                ):
                    if is_loaded:  # until then tokens are 503
                        await revocations.wait_until_loaded(settings.database_timeout_s)
                    yield
        finally:
            passwords.close()
            database.close()

    return opened
