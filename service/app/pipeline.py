"""What every request passes through, in order, each middleware with its reason."""

from typing import Any

from service.http.pipeline.body_limit import BodyLimit
from service.http.pipeline.client_address import ClientAddress
from service.http.pipeline.compression import Compression
from service.http.pipeline.concurrency_limit import ConcurrencyLimit
from service.http.pipeline.cors import Cors
from service.http.pipeline.deadline import Deadline
from service.http.pipeline.draining import DrainingMiddleware
from service.http.pipeline.measuring import LIMIT, QUEUE, Mark, Measuring, ServerTiming
from service.http.pipeline.options import Options
from service.http.pipeline.principal import PrincipalMiddleware
from service.http.pipeline.rate_limit import RateLimit
from service.http.pipeline.request_id import RequestId
from service.http.pipeline.response_headers import Caching, SecurityHeaders
from service.http.pipeline.step import Step
from service.http.pipeline.tracing import Tracing
from service.http.problems import Failures
from service.http.services import Services
from service.runtime.concurrency import ConcurrencyLimiter
from service.runtime.metrics import Meter
from service.runtime.settings import Settings

GRACE_S = 0.2
"""What a client waits beyond the timeout of one database operation before it is answered."""


def measures(settings: Settings) -> list[Step]:
    """List the steps that measure requests, if anybody reads the figures."""
    measuring = Measuring(Meter.of_process().exchanges)
    counted: list[Step] = [] if settings.metrics_port is None else [measuring]
    return [*counted, ServerTiming()] if settings.has_server_timing else counted


def timed(settings: Settings, step: Step, name: str) -> list[Step]:
    """Return a step between marks of how long it holds requests up, if answers say so."""
    mark = Mark(name)
    return [mark, step, mark] if settings.has_server_timing else [step]


def pipeline(settings: Settings, services: Services) -> list[Step]:
    """List the steps of every request, outermost first; around the router, so 404 and 405 pass too."""
    cors = Cors(
        origins=settings.cors_origins,
        credentials=settings.cors_credentials,
        local=settings.allows_local_pages,
    )
    queue: dict[str, Any] = {"queue_length": settings.queue_length, "patience_s": settings.queue_timeout_s}
    singles = ConcurrencyLimiter(settings.concurrency, **queue)
    searches = ConcurrencyLimiter(max(1, settings.concurrency // 2), **queue)
    pipeline: list[Step] = [
        *measures(settings),  # of everything, whoever answers it
        SecurityHeaders(),  # on every answer, whoever gives it
        # before anything that costs; nothing after it is done for what it refuses
        *timed(settings, ConcurrencyLimit(singles, searches, cors), QUEUE),
        Tracing(services.traces),  # before the access line, which has the ids of the trace too
        RequestId(),  # everything after it is logged and answered with the id
        cors,  # also on refusals
        Compression(),
        Caching(),  # knows the final status
        Failures(),  # turns what is raised below it into answers
        DrainingMiddleware(services.drain),
        ClientAddress(trusted_proxies=settings.trusted_proxies),
        # before anything reads a body
        BodyLimit(limit_bytes=settings.body_limit_bytes, timeout_s=settings.body_timeout_s),
        # before the limits, which differ by who asks
        PrincipalMiddleware(services.tokens, services.key_bearers, services.revocations, services.browsers),
    ]
    if settings.rate_limit == "on":
        limits = RateLimit(
            services.shared_counts,
            anonymous=settings.rate_limit_anonymous,
            user=settings.rate_limit_user,
            auth=settings.rate_limit_auth,
            refresh=settings.rate_limit_refresh,
            workers=settings.worker_count,
        )
        pipeline += timed(settings, limits, LIMIT)
    pipeline.append(Deadline(timeout_s=settings.operation_timeout_s + GRACE_S))
    pipeline.append(Options())  # asks the router itself
    return pipeline
