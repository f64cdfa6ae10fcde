"""The concurrency limit: requests that find no slot are refused at once, at little cost."""

import asyncio
from collections.abc import Awaitable
from random import Random
from time import perf_counter
from typing import Any

import structlog
from litestar.types import HTTPResponseStartEvent, Receive

from service.http import problems
from service.http.pipeline.cors import Cors
from service.http.pipeline.request_id import id_of
from service.http.pipeline.step import HELD_FROM_S, Exchange, Received, Step
from service.kit.errors import Busy
from service.runtime.concurrency import ConcurrencyLimiter

HEALTH = "/api/health/"

PROBES = 16
"""Probes that are handled at once; more wait in the queue like others, so that they bypass no limit."""

RETRY_AFTER_S = range(1, 4)
"""How long refused clients should wait, at random, so that they do not all come back at once."""

REPORT_S = 1.0
"""Refusals are logged together, once in so many seconds: a line for each would cost more than refusing."""

AUTH_PREFIX = "/api/auth/"

OF_ONE = 3
"""Slashes in the path of one document, `/api/{collection}/{id}`."""

SLOT = "slot"
"""The name in a request's state of the limiter of which it holds a slot."""

_random = Random()  # noqa: S311  # no secret

log = structlog.get_logger("sheaf.admission")


class ConcurrencyLimit(Step):
    """Handle a limited number of requests at once, let others wait for a moment, refuse the rest with Busy.

    A refusal is answered here, without the steps after it, so that it costs some µs. Requests for one
    document are limited by `singles`, those that may read many by `searches`, so that slow searches hold up
    only each other. Probes have slots of their own. While a client sends its body, its request holds no
    slot, so that slow clients hold none.
    """

    def __init__(
        self,
        singles: ConcurrencyLimiter,
        searches: ConcurrencyLimiter,
        cors: Cors,
        *,
        report_s: float = REPORT_S,
    ) -> None:
        self.singles = singles
        self.searches = searches
        self._probes = ConcurrencyLimiter(PROBES, queue_length=0, patience_s=0)
        self._cors = cors
        self._report_s = report_s
        self._reported = 0
        self._is_reporting = False

    def enter(self, exchange: Exchange) -> Awaitable[None] | None:
        """Take a slot, or wait for one."""
        if f"{exchange.path}/".startswith(HEALTH) and self._probes.acquire_now():
            exchange.state[SLOT] = self._probes
            return None
        limiter = self.singles if is_for_one(exchange.method, exchange.path) else self.searches
        if limiter.acquire_now():
            exchange.state[SLOT] = limiter
            return None
        return self._wait(exchange, limiter)

    def receiving(self, exchange: Exchange, receive: Receive) -> Receive:
        """Release the slot while the client is sending."""

        async def receive_without_slot() -> Received:
            limiter: ConcurrencyLimiter | None = exchange.state.pop(SLOT, None)
            if limiter is None:  # an error has ended the body before
                return await receive()
            limiter.release()
            message = await receive()
            await limiter.reacquire()
            exchange.state[SLOT] = limiter
            return message

        return receive_without_slot

    def leave(self, exchange: Exchange) -> None:
        """Release the slot, if the request holds one."""
        release(exchange.state)

    async def _wait(self, exchange: Exchange, limiter: ConcurrencyLimiter) -> None:
        if await limiter.wait():
            exchange.state[SLOT] = limiter
        else:
            await self._refuse(exchange)

    async def _refuse(self, exchange: Exchange) -> None:
        """Answer as any failure is answered."""
        if not self._is_reporting:
            self._is_reporting = True
            asyncio.get_running_loop().call_later(self._report_s, self._report)
        refusal = Busy("The service has more to do than it can at this moment; try again in a few seconds")
        refusal.headers["Retry-After"] = str(_random.choice(RETRY_AFTER_S))
        request_id = id_of(exchange)
        status, headers, body = problems.render(refusal, instance=exchange.path, request_id=request_id)
        headers += [(b"x-request-id", request_id.encode("ascii")), (b"vary", b"Authorization, Cookie")]
        head: HTTPResponseStartEvent = {"type": "http.response.start", "status": status, "headers": headers}
        self._cors.complete(exchange, head)
        await exchange.send(head)
        content = b"" if exchange.method == "HEAD" else body
        await exchange.send({"type": "http.response.body", "body": content, "more_body": False})

    def _report(self) -> None:
        both = self.singles, self.searches
        total = sum(each.refused for each in both)
        refused, self._reported = total - self._reported, total
        self._is_reporting = False
        in_work, in_line = sum(each.taken for each in both), sum(each.queued for each in both)
        log.warning("requests refused", refused=refused, in_work=in_work, in_line=in_line)


def release(state: dict[str, Any]) -> None:
    """Release the slot that a request holds, if any, by its state."""
    limiter: ConcurrencyLimiter | None = state.pop(SLOT, None)
    if limiter is not None:
        limiter.release()


def hold_open(state: dict[str, Any]) -> None:
    """Count a request as answered, whose answer goes on: it holds no slot, and takes no longer than this."""
    release(state)
    state[HELD_FROM_S] = perf_counter()


def is_for_one(method: str, path: str) -> bool:
    """Return whether a request is for one document, or for signing in, by its address alone.

    >>> is_for_one("GET", "/api/films/7"), is_for_one("POST", "/api/films"), is_for_one("GET", "/api/films")
    (True, True, False)
    >>> is_for_one("POST", "/api/films/query"), is_for_one("POST", "/api/auth/login")
    (False, True)
    """
    if method == "POST":
        return path.count("/") < OF_ONE or path.startswith(AUTH_PREFIX)
    return path.count("/") == OF_ONE
