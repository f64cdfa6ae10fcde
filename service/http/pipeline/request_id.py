"""Giving every request an id, and writing one access log line for it."""

import logging
import random
import re
import time
from typing import Any

import structlog
from litestar.types import HTTPResponseStartEvent

from service.http.pipeline.headers import Headers
from service.http.pipeline.step import Exchange, Step
from service.runtime import logs

ACCEPTED_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
ID_BYTES = 10
PATH_LIMIT = 512
"""Characters of a path that are logged."""

PROBED = "/api/health"
"""Probes that are answered well are logged as `debug`: they come every few seconds and say nothing."""

STATUS_OK = 200
STATUS_ABORTED = 499
"""Logged for a request that ended without an answer, for its client had gone."""

_random = random.Random()  # noqa: S311  # an id is no secret, and asking the system for one is slow

access_log = structlog.get_logger("sheaf.access")


class RequestId(Step):
    """Put the request's id in `scope["state"]["request_id"]`, echo it as `X-Request-ID`, log the request.

    A client's own `X-Request-ID` is kept when it is harmless to log: 1 to 64 letters, digits, `.`, `_`, `-`.
    """

    kinds = ("http", "websocket")

    def enter(self, exchange: Exchange) -> None:
        """Name the request."""
        exchange.state["request_id"] = given = id_of(exchange)
        logs.request_id.set(given)

    def complete(self, exchange: Exchange, head: HTTPResponseStartEvent) -> None:
        """Echo the name."""
        headers: Headers = head["headers"]  # type: ignore[assignment]  # the exchange has made it a list
        headers.append((b"x-request-id", exchange.state["request_id"].encode("ascii")))

    def leave(self, exchange: Exchange) -> None:
        """Write the access line: never a header, a query string or a body."""
        is_probe = exchange.status == STATUS_OK and exchange.path.startswith(PROBED)
        level = logging.DEBUG if is_probe else logging.INFO
        if access_log.is_enabled_for(level):
            access_log.log(level, "request", **_line(exchange))


def id_of(exchange: Exchange) -> str:
    """Return the id that a request brings, or else a new one."""
    given = exchange.header(b"x-request-id")
    if given is not None and (accepted := ACCEPTED_ID.fullmatch(given)):
        return accepted.group().decode("ascii")
    return f"{_random.getrandbits(8 * ID_BYTES):020x}"


def _line(exchange: Exchange) -> dict[str, Any]:
    state = exchange.state
    user = getattr(state.get("principal"), "id", None)
    client = exchange.scope.get("client")
    return {
        "method": exchange.method,
        "path": printable(exchange.path),
        "status": exchange.status or STATUS_ABORTED,
        "duration_ms": round((time.perf_counter() - exchange.began_s) * 1000, 2),
        "bytes": exchange.sent_bytes,
        "client": state.get("client_address") or (client[0] if client else None),
        "request_id": state["request_id"],
        **({} if user is None else {"user": user}),
    }


def printable(path: str) -> str:
    r"""Escape what could forge a line of the log.

    >>> printable("/api/films"), printable("/a" + chr(10) + "b")
    ('/api/films', '/a\\nb')
    """
    shown = path[:PATH_LIMIT]
    return shown if shown.isprintable() else shown.encode("unicode_escape").decode("ascii")
