"""The streams that are open on this worker: how many there may be, and when each has to end."""

import time
from asyncio import sleep
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from time import monotonic
from typing import Any

from service.access.principals import Principal
from service.changes import entries, interests
from service.changes.entries import WhyBye
from service.changes.interests import Interest
from service.changes.mailbox import Mailbox
from service.changes.subscriptions import Subscription
from service.collections.registry import Collection, Registry
from service.documents.access import Access
from service.identity.core.revocations import Revocations
from service.kit.errors import Busy, CollectionNotFound, Failure, TooManyStreams, Unavailable
from service.kit.tasks import background
from service.runtime.drain import Drain

LOOK_S = 0.5
"""How often it is looked whether streams have to end."""

SPREAD = 0.2
"""The part of a stream's life by which it may be shorter, at random, so that not all end together."""

RETRY_MS = range(500, 5000)
"""How long clients whose streams end should wait before they come back, at random."""

STALL_S = 30.0
"""How long a client may take nothing of what is sent before its stream is cut off."""

FAREWELL_S = 1.0
"""How long a stream that was said goodbye may take to send what waits: a drain would wait for it, too."""

UNTRUSTED: frozenset[WhyBye] = frozenset({"revoked", "expired"})
"""Goodbyes to those who may not even have what waits for them."""

QUEUE_ENTRIES = 2000
"""Entries that may wait for one client."""

QUEUE_BYTES = 1024 * 1024
"""Bytes of entries that may wait for one client."""

_random = Random()  # noqa: S311  # no secret


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How many streams may be open at once: of one user, from one address, on one worker; and how long."""

    per_user: int
    per_address: int
    per_worker: int
    lifetime_s: float


class Stream:
    """One open stream: whose it is, what it is subscribed to, and what waits for it."""

    member = b""
    """What entries of the stream itself have in the place of a subscription's name."""

    __slots__ = (
        "__weakref__",
        "address",
        "bye",
        "cut",
        "ends_at_s",
        "mailbox",
        "principal",
        "sending_since_s",
        "subscriptions",
    )

    def __init__(self, principal: Principal, address: str, mailbox: Mailbox, ends_at_s: float) -> None:
        self.principal = principal
        self.address = address
        self.mailbox = mailbox
        self.ends_at_s = ends_at_s
        self.subscriptions: dict[str | None, Subscription] = {}
        self.bye: WhyBye | None = None
        self.cut: Callable[[], object] | None = None
        """What stops sending, however long the client takes."""

        self.sending_since_s: float | None = None
        """Since when the client has taken nothing of what is being sent to it, None while nothing is."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come: it was said goodbye, or nothing is subscribed to any more."""
        return self.bye is not None or all(each.has_ended for each in self.subscriptions.values())

    @property
    def cursor(self) -> str | None:
        """Where a client of one subscription may go on when nothing waits for it, None while it begins."""
        if len(self.mailbox) or len(self.subscriptions) != 1:
            return None
        (subscription,) = self.subscriptions.values()
        return subscription.cursor

    def end(self, why: WhyBye) -> None:
        """Say goodbye: what waits is sent before it, where the client still may have it."""
        if self.bye is None:
            self.bye = why
            self.ends_at_s = monotonic()
            for subscription in self.subscriptions.values():
                subscription.end()
            if why in UNTRUSTED:
                self.mailbox.take()
            self.mailbox.put(self, entries.bye(why, _random.choice(RETRY_MS)))
            self.mailbox.close()

    def cut_if_stuck(self, now_s: float) -> bool:
        """Stop sending to a client that takes nothing for too long, or holds up the end; returns whether."""
        since_s, cut = self.sending_since_s, self.cut
        if since_s is None or cut is None:
            return False
        is_over = self.bye is not None and now_s - self.ends_at_s > FAREWELL_S
        if not is_over and now_s - since_s <= STALL_S:
            return False
        self.cut = None
        cut()
        return True

    def close(self) -> None:
        """Take back all subscriptions."""
        for subscription in self.subscriptions.values():
            subscription.end()
        self.mailbox.close()


class Streams:
    """All streams that are open on this worker."""

    def __init__(
        self, registry: Registry, revocations: Revocations, drain: Drain, limits: StreamLimits
    ) -> None:
        self._registry = registry
        self._revocations = revocations
        self._drain = drain
        self.limits = limits
        self._open: dict[Stream, None] = {}
        self._by_caller: Counter[str] = Counter()
        self.opened = 0
        """Since the start."""
        self.byes: Counter[str] = Counter()
        """Goodbyes since the start, by why, and streams that were `cut`."""

    def __len__(self) -> int:
        return len(self._open)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """End streams whose time has come, until the context ends."""
        async with background(self._watch(), "streams"):
            yield

    @asynccontextmanager
    async def opened_for(self, principal: Principal, address: str) -> AsyncIterator[Stream]:
        """Open a stream, closed with the context; raises TooManyStreams and Busy."""
        stream = self.open(principal, address)
        try:
            yield stream
        finally:
            self.close(stream)

    def open(self, principal: Principal, address: str) -> Stream:
        """Open a stream; raises TooManyStreams and Busy."""
        limits = self.limits
        if len(self._open) >= limits.per_worker:
            raise Busy("There are too many open streams; try again in a while")
        self._check_room(_names(principal, address, limits))
        life_s = limits.lifetime_s * (1 - SPREAD * _random.random())
        mailbox = Mailbox(QUEUE_ENTRIES, QUEUE_BYTES)
        stream = Stream(principal, address, mailbox, monotonic() + life_s)
        self._open[stream] = None
        self._by_caller.update(name for name, _ in _names(principal, address, limits))
        self.opened += 1
        return stream

    def sign_in(self, stream: Stream, principal: Principal) -> None:
        """Have an open stream be somebody's from now on; raises TooManyStreams.

        Its subscriptions are decided again: those that would be told something else by now are reset.
        """
        if principal.id is not None and principal.id != stream.principal.id:
            self._check_room([(f"user {principal.id}", self.limits.per_user)])
        self._uncount(stream)
        stream.principal = principal
        self._by_caller.update(name for name, _ in _names(principal, stream.address, self.limits))
        for subscription in [*stream.subscriptions.values()]:
            if not subscription.has_ended and not _is_the_same_for(principal, subscription.interest):
                subscription.reset("rules")

    def _check_room(self, names: Iterable[tuple[str, int]]) -> None:
        for name, limit in names:
            if self._by_caller[name] >= limit:
                raise TooManyStreams(
                    f"You have {limit} open streams, as many as you may have",
                    hint="Put several subscriptions on one stream: POST /api/streams.",
                )

    def _uncount(self, stream: Stream) -> None:
        for name, _ in _names(stream.principal, stream.address, self.limits):
            self._by_caller[name] -= 1
            if self._by_caller[name] <= 0:
                del self._by_caller[name]

    def close(self, stream: Stream) -> None:
        """Forget a stream; it may have been closed before."""
        if self._open.pop(stream, stream) is stream:
            return
        self._uncount(stream)
        stream.close()

    async def _watch(self) -> None:
        while True:
            await sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """End the streams that have to end, and those subscriptions whose collections have changed."""
        now_s, wall_s = monotonic(), time.time()
        is_draining = self._drain.is_draining
        for stream in [*self._open]:
            if stream.cut_if_stuck(now_s):
                self.byes["cut"] += 1
            if stream.bye is not None:
                continue
            if self._is_revoked(stream.principal):
                self._end(stream, "revoked")
            elif is_draining:
                self._end(stream, "draining")
            elif stream.principal.expires_at_s is not None and stream.principal.expires_at_s <= wall_s:
                self._end(stream, "expired")
            elif stream.ends_at_s <= now_s:
                self._end(stream, "lifetime")
            else:
                for subscription in [*stream.subscriptions.values()]:
                    self._check(subscription)

    def _end(self, stream: Stream, why: WhyBye) -> None:
        self.byes[why] += 1
        stream.end(why)

    def _is_revoked(self, principal: Principal) -> bool:
        """Return whether it is, or whether that cannot be told, when no request would be believed either."""
        if not principal.is_signed_in:
            return False
        return not self._revocations.is_current or self._revocations.covers(principal)

    def _check(self, subscription: Subscription) -> None:
        """Reset a subscription whose collection is not what it was."""
        known = subscription.interest.collection
        try:
            present = self._registry.get(known.name)
        except (CollectionNotFound, Unavailable):
            subscription.reset("definition")
            return
        if present is known:
            subscription.settle()
            return
        is_same = present.uid == known.uid and _without_rules(present) == _without_rules(known)
        subscription.reset("rules" if is_same else "definition")


def _is_the_same_for(principal: Principal, interest: Interest) -> bool:
    """Return whether an interest is the same with somebody else in the place of whose it was."""
    try:
        return interests.of_list(Access(interest.collection, principal), interest.query).key == interest.key
    except Failure:
        return False


def _without_rules(collection: Collection) -> Mapping[str, Any]:
    return {
        name: part
        for name, part in collection.description.source.items()
        if name not in {"rules", "rule_tests"}
    }


def _names(principal: Principal, address: str, limits: StreamLimits) -> Iterable[tuple[str, int]]:
    if principal.id is not None:
        yield f"user {principal.id}", limits.per_user
    yield f"address {address}", limits.per_address
