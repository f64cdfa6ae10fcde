"""What a worker tells of its parts, each second, where metrics are read."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import structlog
from pymongo.errors import PyMongoError
from pymongo.monitoring import CommandListener, ConnectionPoolListener

from service.collections.registry import Registry
from service.http.pipeline.admission import Admission
from service.http.pipeline.rate_limit import RateLimit
from service.http.pipeline.step import Step
from service.http.services import Services
from service.identity.core.hashing import Passwords
from service.identity.core.revocations import Revocations
from service.kit.tasks import background
from service.mail.post import Post
from service.runtime.admission import Places
from service.runtime.metrics import Meter, families
from service.runtime.metrics.meter import Sample
from service.runtime.metrics.pools import Pools
from service.runtime.settings import Settings
from service.runtime.waits import CommandTimes
from service.storage.calls import Calls, Lane, Work
from service.storage.rates import Limiter

EventListener = CommandListener | ConnectionPoolListener

MAILS_INTERVAL_S = 15.0
"""How often mails in the outbox are counted, which asks the database."""

SILENT_S = 5.0
"""After how long without word from MongoDB, which comes each second, revocations are not followed."""

log = structlog.get_logger("sheaf.metrics")


@asynccontextmanager
async def measured(settings: Settings, services: Services, steps: Iterable[Step]) -> AsyncIterator[None]:
    """Sample what the services and steps do until the context ends, if anybody reads it."""
    if settings.metrics_port is None:
        yield
        return
    mails = Mails(services.post)
    calls = services.database.calls
    limiters, places = limiters_of(steps), places_of(steps)
    sources = (
        lambda: pools(services.pools, settings.pool_size),
        lambda: admission(places),
        lambda: lanes(calls),
        lambda: rates(limiters),
        lambda: passwords(services.passwords),
        lambda: followers(services.registry, services.revocations),
        mails.told,
    )
    calls.on_done = observer(Meter.of_process(), calls.lanes)
    async with mails.counting(), Meter.of_process().sampling(sources):
        yield
    calls.on_done = None


def listeners(settings: Settings, found: Pools) -> list[EventListener]:
    """Give who is to hear of the driver's connections, and of its commands."""
    heard: list[EventListener] = [] if settings.metrics_port is None else [found]
    return [*heard, CommandTimes()] if settings.has_server_timing else heard


def limiters_of(steps: Iterable[Step]) -> dict[str, Limiter]:
    """Give the rate limits among steps by their tier."""
    return {name: each for step in steps if isinstance(step, RateLimit) for name, each in step.limiters}


def places_of(steps: Iterable[Step]) -> tuple[Places, ...]:
    """Give the places for requests among steps."""
    return tuple(
        places for step in steps if isinstance(step, Admission) for places in (step.places, step.searches)
    )


def admission(places: tuple[Places, ...]) -> Iterable[Sample]:
    """Tell how many requests are in work, wait for that, or were refused."""
    yield families.ADMISSION, ("in_work",), sum(each.taken for each in places)
    yield families.ADMISSION, ("in_line",), sum(each.in_line for each in places)
    yield families.SHED, (), sum(each.refused for each in places)


def pools(found: Pools, limit: int) -> Iterable[Sample]:
    """Tell of connections to MongoDB."""
    yield families.CONNECTIONS, ("idle",), found.idle
    yield families.CONNECTIONS, ("in_use",), found.in_use
    yield families.CONNECTIONS_LIMIT, (), limit
    yield families.CONNECTIONS_OPENED, (), found.opened
    for reason, count in tuple(found.closed.items()):
        yield families.CONNECTIONS_CLOSED, (reason,), count
    for reason, count in tuple(found.failed.items()):
        yield families.CHECK_OUTS_FAILED, (reason,), count


def observer(meter: Meter, lanes: Iterable[Lane]) -> Callable[[Lane, Work, float], None]:
    """Give what notes each call of the driver that has run in one of the lanes."""
    observers = {
        lane.name: (
            meter.observer(families.CALL_DURATION, lane.name),
            meter.observer(families.CALL_SIZE, lane.name),
        )
        for lane in lanes
    }

    def note(lane: Lane, work: Work, took_s: float) -> None:
        observe_duration, observe_size = observers[lane.name]
        observe_duration(took_s)
        observe_size(work.size)

    return note


def lanes(calls: Calls) -> Iterable[Sample]:
    """Tell what the threads for the driver's calls do."""
    for lane in calls.lanes:
        yield families.CALLS, (lane.name, "running"), lane.running
        yield families.CALLS, (lane.name, "waiting"), lane.waiting
        yield families.THREADS, (lane.name,), lane.threads


def rates(limiters: dict[str, Limiter]) -> Iterable[Sample]:
    """Tell what rate limits decided, by tier."""
    for tier, limiter in limiters.items():
        yield families.DECISIONS, (tier, "admitted"), limiter.admitted
        yield families.DECISIONS, (tier, "refused"), limiter.refused
        yield families.LEASES, (tier, "store"), limiter.leases_of_store
        yield families.LEASES, (tier, "alone"), limiter.leases_alone


def passwords(found: Passwords) -> Iterable[Sample]:
    """Tell how many wait for their password to be hashed."""
    running = min(found.occupied, found.threads)
    yield families.PASSWORDS, ("running",), running
    yield families.PASSWORDS, ("waiting",), found.occupied - running
    yield families.PASSWORDS_REFUSED, (), found.refused


def followers(registry: Registry, revocations: Revocations) -> Iterable[Sample]:
    """Tell whether changes that others make are heard of."""
    is_heard = time.time() - revocations.heard_at_s < SILENT_S
    yield families.FOLLOWING, ("definitions",), float(registry.is_following)
    yield families.FOLLOWING, ("revocations",), float(is_heard)
    yield families.HEARD_AT, ("definitions",), registry.heard_at_s
    yield families.HEARD_AT, ("revocations",), revocations.heard_at_s


class Mails:
    """How many mails wait in the outbox, as of some seconds ago; not a number while that is not known."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._depths: dict[str, float] = {}

    def told(self) -> Iterable[Sample]:
        """Tell them by their state."""
        for state, count in self._depths.items():
            yield families.MAILS, (state,), count

    @asynccontextmanager
    async def counting(self) -> AsyncIterator[None]:
        """Count them now and then until the context ends, where mails are sent at all."""
        if not self._post.is_open:
            yield
            return
        async with background(self._count(), "mails"):
            yield

    async def _count(self) -> None:
        while True:
            try:
                self._depths = {**await self._post.depths()}
            except PyMongoError:
                self._depths = dict.fromkeys(self._depths, math.nan)
            except Exception:
                log.exception("mails cannot be counted")
                self._depths = dict.fromkeys(self._depths, math.nan)
            await asyncio.sleep(MAILS_INTERVAL_S)
