"""Refusing requests that the worker has no place for, at once and at little cost, before anything is done."""

import asyncio
from collections.abc import Awaitable
from random import Random

import structlog
from litestar.types import HTTPResponseStartEvent, Receive

from service.http import problems
from service.http.pipeline.cors import Cors
from service.http.pipeline.exchange import Exchange, Received
from service.http.pipeline.request_id import id_of
from service.http.pipeline.step import Step
from service.kit.errors import Busy
from service.runtime.admission import Places

HEALTH = "/api/health/"

PROBES = 16
"""Probes that may be answered at once; more wait in line like anybody, so that they are no way around it."""

RETRY_AFTER_S = range(1, 4)
"""What refused clients are told to wait, each another time, so that they do not all come back at once."""

REPORT_S = 1.0
"""Refusals are logged together, once in so many seconds: a line for each would cost more than refusing."""

AUTH_PREFIX = "/api/auth/"

OF_ONE = 3
"""Slashes in the path of one document, `/api/{collection}/{id}`."""

PLACE = "place"
"""The name in a request's state of the places of which it has one."""

_random = Random()  # noqa: S311  # no secret

log = structlog.get_logger("sheaf.admission")


class Admission(Step):
    """Let at most so many requests be done at once, have others wait for a moment, refuse the rest with Busy.

    It answers by itself, without the steps after it: a refusal costs some µs, so that many of them leave the
    time for those that are admitted. What is for one document has `places`, what may be for many `searches`,
    so that slow searches hold up only each other; probes have their own. While a client sends its body, its
    request has no place, so that slow clients hold none.
    """

    def __init__(self, places: Places, searches: Places, cors: Cors, *, report_s: float = REPORT_S) -> None:
        self.places = places
        self.searches = searches
        self._probes = Places(PROBES, waiting=0, patience_s=0)
        self._cors = cors
        self._report_s = report_s
        self._reported = 0
        self._is_reporting = False

    def enter(self, exchange: Exchange) -> Awaitable[None] | None:
        """Take a place, or wait for one."""
        if f"{exchange.path}/".startswith(HEALTH) and self._probes.take():
            exchange.state[PLACE] = self._probes
            return None
        places = self.places if is_for_one(exchange.method, exchange.path) else self.searches
        if places.take():
            exchange.state[PLACE] = places
            return None
        return self._wait(exchange, places)

    def receiving(self, exchange: Exchange, receive: Receive) -> Receive:
        """Give the place back while the client is sending."""

        async def receive_without_place() -> Received:
            places: Places | None = exchange.state.pop(PLACE, None)
            if places is None:  # an error has ended the body before
                return await receive()
            places.give_back()
            message = await receive()
            await places.take_again()
            exchange.state[PLACE] = places
            return message

        return receive_without_place

    def leave(self, exchange: Exchange) -> None:
        """Give the place back, if the request has one."""
        places: Places | None = exchange.state.pop(PLACE, None)
        if places is not None:
            places.give_back()

    async def _wait(self, exchange: Exchange, places: Places) -> None:
        if await places.wait():
            exchange.state[PLACE] = places
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
        both = self.places, self.searches
        total = sum(each.refused for each in both)
        refused, self._reported = total - self._reported, total
        self._is_reporting = False
        in_work, in_line = sum(each.taken for each in both), sum(each.in_line for each in both)
        log.warning("requests refused", refused=refused, in_work=in_work, in_line=in_line)


def is_for_one(method: str, path: str) -> bool:
    """Tell whether a request is for one document, or for signing in, by its address alone.

    >>> is_for_one("GET", "/api/films/7"), is_for_one("POST", "/api/films"), is_for_one("GET", "/api/films")
    (True, True, False)
    >>> is_for_one("POST", "/api/films/query"), is_for_one("POST", "/api/auth/login")
    (False, True)
    """
    if method == "POST":
        return path.count("/") < OF_ONE or path.startswith(AUTH_PREFIX)
    return path.count("/") == OF_ONE
