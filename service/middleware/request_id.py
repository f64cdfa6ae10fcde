"""Giving every request an id, and writing one access log line for it."""

import re
import secrets
import time

import structlog
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from service.middleware.headers import value_of

ACCEPTED_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
ID_BYTES = 10
PATH_LIMIT = 512
"""Characters of a path that are logged."""

PROBED = "/api/health"
"""Probes that are answered well are logged as `debug`: they come every few seconds and say nothing."""

STATUS_OK = 200
STATUS_ABORTED = 499
"""Logged for a request that ended without an answer, for its client had gone."""

access_log = structlog.get_logger("sheaf.access")


class RequestId(ASGIMiddleware):
    """Put the request's id in `scope["state"]["request_id"]`, echo it as `X-Request-ID`, log the request.

    A client's own `X-Request-ID` is kept when it is harmless to log: 1 to 64 letters, digits, `.`, `_`, `-`.
    """

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Name, time, pass on and log."""
        began_s = time.perf_counter()
        given = value_of(scope["headers"], b"x-request-id")
        accepted = given is not None and ACCEPTED_ID.fullmatch(given)
        request_id = accepted.group().decode("ascii") if accepted else secrets.token_hex(ID_BYTES)
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        header = (b"x-request-id", request_id.encode("ascii"))
        status = STATUS_ABORTED
        sent_bytes = 0

        async def send_named(message: Message) -> None:
            nonlocal status, sent_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), header]
            elif message["type"] == "http.response.body":
                sent_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await next_app(scope, receive, send_named)
        finally:
            _log(scope, request_id, status, sent_bytes, time.perf_counter() - began_s)


def _log(scope: Scope, request_id: str, status: int, sent_bytes: int, duration_s: float) -> None:
    """Write the access line: never a header, a query string or a body."""
    state = scope["state"]
    user = getattr(state.get("principal"), "id", None)
    who = {} if user is None else {"user": user}
    client = scope.get("client")
    is_probe = scope["path"].startswith(PROBED) and status == STATUS_OK
    write = access_log.debug if is_probe else access_log.info
    write(
        "request",
        method=scope.get("method"),
        path=_printable(scope["path"]),
        status=status,
        duration_ms=round(duration_s * 1000, 2),
        bytes=sent_bytes,
        client=state.get("client_address") or (client[0] if client else None),
        request_id=request_id,
        **who,
    )


def _printable(path: str) -> str:
    r"""Escape what could forge a line of the log.

    >>> _printable("/api/films"), _printable("/a" + chr(10) + "b")
    ('/api/films', '/a\\nb')
    """
    shown = path[:PATH_LIMIT]
    return shown if shown.isprintable() else shown.encode("unicode_escape").decode("ascii")
