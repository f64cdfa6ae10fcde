"""What opens when the service starts, in order, and closes in the opposite order when it ends."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

import structlog
from litestar import Litestar

from service.app.measuring import measured
from service.http.pipeline.step import Step
from service.http.services import Services
from service.runtime.settings import Settings
from service.slow_queries.watch import SlowQueries

log = structlog.get_logger("sheaf.app")


def lifespan(
    settings: Settings, services: Services, steps: Iterable[Step]
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Return the lifespan of an application with these services and steps."""

    @asynccontextmanager
    async def opened(_: Litestar) -> AsyncIterator[None]:
        try:
            async with services.traces.open(), services.registry.following():
                is_loaded = await services.registry.wait_until_loaded(settings.database_timeout_s + 1)
                if not is_loaded:
                    log.warning("app.started_without_database")
                async with (
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
