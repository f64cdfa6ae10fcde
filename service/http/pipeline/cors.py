"""Letting browsers on listed origins call the API (the Fetch standard's CORS protocol)."""

from collections.abc import Awaitable, Iterable

from litestar.types import HTTPResponseStartEvent

from service.http.pipeline.exchange import Exchange
from service.http.pipeline.headers import Headers, add_vary
from service.http.pipeline.step import Step
from service.kit.errors import StartupFailure

METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
REQUEST_HEADERS = (
    b"Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer, X-CSRF-Token, "
    b"X-Request-ID"
)
EXPOSED_HEADERS = (
    b"ETag, Idempotency-Replayed, Link, Location, Preference-Applied, RateLimit, RateLimit-Policy, "
    b"Retry-After, X-Request-ID"
)
PREFLIGHT_VARY = b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


class Cors(Step):
    """Answer preflights, and mark responses to listed origins as readable.

    An origin that is not listed gets no CORS header: its preflight is answered 204 and allows nothing, its
    plain request proceeds and the browser withholds the answer. Raises StartupFailure for `*`
    with credentials.
    """

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

    def enter(self, exchange: Exchange) -> Awaitable[None] | None:
        """Answer a preflight."""
        if exchange.method != "OPTIONS" or exchange.header(b"access-control-request-method") is None:
            return None
        origin = exchange.header(b"origin")
        return None if origin is None else self._answer_preflight(exchange, origin)

    def complete(self, exchange: Exchange, head: HTTPResponseStartEvent) -> None:
        """Mark the response."""
        if not self._origins:
            return
        headers: Headers = head["headers"]  # type: ignore[assignment]  # the exchange has made it a list
        if added := self._allowance(exchange.header(b"origin")):
            headers.extend((*added, *self._exposed))
        if not self._is_open:
            add_vary(headers, b"Origin")

    def _allowance(self, origin: bytes | None) -> Headers:
        """Give the headers that let `origin` in; none when it is not listed."""
        if origin is None or not self._origins:
            return []
        if self._is_open:
            return [(b"access-control-allow-origin", b"*")]
        if origin.lower() not in self._origins:
            return []
        return [(b"access-control-allow-origin", origin), *self._credentials]

    async def _answer_preflight(self, exchange: Exchange, origin: bytes) -> None:
        allowance = self._allowance(origin)
        headers = [*allowance, *self._preflight] if allowance else []
        headers += [(b"cache-control", b"no-store"), (b"vary", PREFLIGHT_VARY)]
        await exchange.send({"type": "http.response.start", "status": 204, "headers": headers})
        await exchange.send({"type": "http.response.body", "body": b"", "more_body": False})
