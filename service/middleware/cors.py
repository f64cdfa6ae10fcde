"""Letting browsers on listed origins call the API (the Fetch standard's CORS protocol)."""

from collections.abc import Iterable

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import StartupFailure
from service.middleware.headers import Headers, value_of, with_vary

METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
REQUEST_HEADERS = (
    b"Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer, X-CSRF-Token, "
    b"X-Request-ID"
)
EXPOSED_HEADERS = (
    b"ETag, Idempotency-Replayed, Link, Location, Preference-Applied, RateLimit, RateLimit-Policy, "
    b"Retry-After, X-Request-ID"
)
PREFLIGHT_VARY = (b"Origin", b"Access-Control-Request-Method", b"Access-Control-Request-Headers")


class Cors(ASGIMiddleware):
    """Answer preflights, and mark responses to listed origins as readable.

    An origin that is not listed gets no CORS header: its preflight is answered 204 and allows nothing, its
    plain request proceeds and the browser withholds the answer. Raises StartupFailure for `*`
    with credentials.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, *, origins: Iterable[str], credentials: bool = False, max_age_s: int = 600) -> None:
        self._origins = frozenset(origin.rstrip("/").lower().encode() for origin in origins)
        self._is_open = b"*" in self._origins
        if self._is_open and credentials:
            raise StartupFailure("CORS for any origin (`*`) may not allow credentials; list the origins.")
        self._credentials: Headers = [(b"access-control-allow-credentials", b"true")] if credentials else []
        self._exposed: Headers = [(b"access-control-expose-headers", EXPOSED_HEADERS)]
        self._preflight: Headers = [
            (b"access-control-allow-methods", METHODS),
            (b"access-control-allow-headers", REQUEST_HEADERS),
            (b"access-control-max-age", str(max_age_s).encode()),
        ]

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Answer a preflight, or pass on and mark the response."""
        headers = scope["headers"]
        origin = value_of(headers, b"origin")
        is_options = scope.get("method") == "OPTIONS" and origin is not None
        if is_options and value_of(headers, b"access-control-request-method") is not None:
            await self._answer_preflight(origin, send)
            return
        added = self._allowance(origin)
        if added:
            added += self._exposed

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                marked = [*message.get("headers", ()), *added]
                message["headers"] = marked if self._is_open else with_vary(marked, b"Origin")
            await send(message)

        await next_app(scope, receive, send_marked if self._origins else send)

    def _allowance(self, origin: bytes | None) -> Headers:
        """Give the headers that let `origin` in; none when it is not listed."""
        if origin is None or not self._origins:
            return []
        if self._is_open:
            return [(b"access-control-allow-origin", b"*")]
        if origin.lower() not in self._origins:
            return []
        return [(b"access-control-allow-origin", origin), *self._credentials]

    async def _answer_preflight(self, origin: bytes | None, send: Send) -> None:
        allowance = self._allowance(origin)
        headers = [*allowance, *self._preflight] if allowance else []
        headers = with_vary([*headers, (b"cache-control", b"no-store")], *PREFLIGHT_VARY)
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
