"""What a worker samples of its parts each second, where metrics are read."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import structlog

from service.changes.feeds import Feeds
from service.changes.streams import Streams
from service.collections.registry import Registry
from service.http.pipeline.concurrency_limit import ConcurrencyLimit
from service.http.pipeline.rate_limit import RateLimit
from service.http.pipeline.step import Step
from service.http.services import Services
from service.identity.core.hashing import Passwords
from service.identity.core.revocations import Revocations
from service.kit.tasks import background
from service.mail.post import Post
from service.runtime.concurrency import ConcurrencyLimiter
from service.runtime.metrics import Meter, families
from service.runtime.metrics.meter import Sample
from service.runtime.settings import Settings
from service.storage.errors import DatabaseError
from service.storage.monitoring import PoolCounts
from service.storage.rate_limits import Limiter
from service.storage.thread_pools import ThreadPool, ThreadPools, Work

MAILS_INTERVAL_S = 15.0
"""How often mails in the outbox are counted, by a query."""

SILENT_S = 5.0
"""After how long without news from MongoDB, which come each second, revocations are not followed."""

log = structlog.get_logger("sheaf.metrics")


@asynccontextmanager
async def measured(settings: Settings, services: Services, steps: Iterable[Step]) -> AsyncIterator[None]:
    """Sample what the services and steps do until the context ends, if anybody reads it."""
    if settings.metrics_port is None:
        yield
        return
    mails = Mails(services.post)
    pools = services.database.pools
    rates, concurrency = rate_limiters(steps), concurrency_limiters(steps)
    sources = (
        lambda: pool_samples(services.pools, settings.pool_size),
        lambda: concurrency_samples(concurrency),
        lambda: thread_samples(pools),
        lambda: rate_samples(rates),
        lambda: password_samples(services.passwords),
        lambda: change_samples(services.streams, services.feeds),
        lambda: follower_samples(services.registry, services.revocations),
        mails.samples,
    )
    pools.on_done = observer(Meter.of_process(), pools.all)
    services.feeds.on_told = Meter.of_process().observer(families.CHANGE_DELAY)
    async with mails.counting(), Meter.of_process().sampling(sources):
        yield
    pools.on_done = services.feeds.on_told = None


def rate_limiters(steps: Iterable[Step]) -> dict[str, Limiter]:
    """Return the rate limiters of steps by their tier."""
    return {name: each for step in steps if isinstance(step, RateLimit) for name, each in step.limiters}


def concurrency_limiters(steps: Iterable[Step]) -> tuple[ConcurrencyLimiter, ...]:
    """Return the concurrency limiters of steps."""
    return tuple(
        limiter
        for step in steps
        if isinstance(step, ConcurrencyLimit)
        for limiter in (step.singles, step.searches)
    )


def concurrency_samples(limiters: tuple[ConcurrencyLimiter, ...]) -> Iterable[Sample]:
    """Yield how many requests are handled, are queued and were refused."""
    yield families.ADMISSION, ("in_work",), sum(each.taken for each in limiters)
    yield families.ADMISSION, ("in_line",), sum(each.queued for each in limiters)
    yield families.SHED, (), sum(each.refused for each in limiters)


def pool_samples(found: PoolCounts, limit: int) -> Iterable[Sample]:
    """Yield the connections to MongoDB."""
    yield families.CONNECTIONS, ("idle",), found.idle
    yield families.CONNECTIONS, ("in_use",), found.in_use
    yield families.CONNECTIONS_LIMIT, (), limit
    yield families.CONNECTIONS_OPENED, (), found.opened
    for reason, count in tuple(found.closed.items()):
        yield families.CONNECTIONS_CLOSED, (reason,), count
    for reason, count in tuple(found.failed.items()):
        yield families.CHECK_OUTS_FAILED, (reason,), count


def observer(meter: Meter, pools: Iterable[ThreadPool]) -> Callable[[ThreadPool, Work, float], None]:
    """Return what observes each call of the driver that has run in one of the pools."""
    observers = {
        pool.name: (
            meter.observer(families.CALL_DURATION, pool.name),
            meter.observer(families.CALL_SIZE, pool.name),
        )
        for pool in pools
    }

    def note(pool: ThreadPool, work: Work, took_s: float) -> None:
        observe_duration, observe_size = observers[pool.name]
        observe_duration(took_s)
        observe_size(work.size)

    return note


def thread_samples(pools: ThreadPools) -> Iterable[Sample]:
    """Yield what the threads for the driver's calls do."""
    for pool in pools.all:
        yield families.CALLS, (pool.name, "running"), pool.running
        yield families.CALLS, (pool.name, "waiting"), pool.waiting
        yield families.THREADS, (pool.name,), pool.threads


def rate_samples(limiters: dict[str, Limiter]) -> Iterable[Sample]:
    """Yield what rate limits decided, by tier."""
    for tier, limiter in limiters.items():
        yield families.DECISIONS, (tier, "admitted"), limiter.admitted
        yield families.DECISIONS, (tier, "refused"), limiter.refused
        yield families.LEASES, (tier, "store"), limiter.leases_of_store
        yield families.LEASES, (tier, "alone"), limiter.leases_alone


def password_samples(found: Passwords) -> Iterable[Sample]:
    """Yield how many passwords are hashed and wait for that."""
    running = min(found.occupied, found.threads)
    yield families.PASSWORDS, ("running",), running
    yield families.PASSWORDS, ("waiting",), found.occupied - running
    yield families.PASSWORDS_REFUSED, (), found.refused


def change_samples(streams: Streams, feeds: Feeds) -> Iterable[Sample]:
    """Yield who is told changes, how many, and what ended."""
    yield families.STREAMS, (), len(streams)
    yield families.SUBSCRIPTIONS, (), sum(feed.subscribers for feed in feeds.feeds)
    yield families.TOPICS, (), sum(feed.topics for feed in feeds.feeds)
    yield families.STREAMS_OPENED, (), streams.opened
    for why, count in tuple(streams.byes.items()):
        yield families.BYES, (why,), count
    for why, count in tuple(feeds.resets.items()):
        yield families.RESETS, (why,), count
    yield families.CHANGES, (), feeds.changes
    yield families.ENTRIES, (), feeds.entries


def follower_samples(registry: Registry, revocations: Revocations) -> Iterable[Sample]:
    """Yield whether the worker hears of changes that others make."""
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

    def samples(self) -> Iterable[Sample]:
        """Yield them by their state."""
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
            except DatabaseError:
                self._depths = dict.fromkeys(self._depths, math.nan)
            except Exception:
                log.exception("mails cannot be counted")
                self._depths = dict.fromkeys(self._depths, math.nan)
            await asyncio.sleep(MAILS_INTERVAL_S)
