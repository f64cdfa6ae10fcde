"""Letting browsers on listed origins call the API (the Fetch standard's CORS protocol)."""

from collections.abc import Awaitable, Collection

from litestar.types import HTTPResponseStartEvent

from service.http.pipeline.headers import Headers, add_vary
from service.http.pipeline.step import Exchange, Step
from service.kit.errors import StartupFailure
from service.kit.origins import ANY, Origins, is_local

METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
REQUEST_HEADERS = (
    b"Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Prefer, "
    b"traceparent, tracestate, X-CSRF-Token, X-Request-ID"
)
EXPOSED_HEADERS = (
    b"Accept-Patch, Allow, ETag, Idempotency-Replayed, Link, Location, Preference-Applied, RateLimit, "
    b"RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-ID"
)
CREDENTIALS: Headers = [(b"access-control-allow-credentials", b"true")]
PRIVATE_NETWORK = b"access-control-request-private-network"
PREFLIGHT_VARY = b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


class Cors(Step):
    """Answer preflights, and mark responses to listed origins as readable.

    An origin that is not listed gets no CORS header: its preflight is answered 204 and allows nothing, its
    plain request proceeds and the browser withholds the answer. With `local`, for development, pages on any
    port of this machine may call, with credentials, and so may pages that a browser takes to be further away
    than this service. Raises StartupFailure for `*` with credentials.
    """

    def __init__(
        self,
        *,
        origins: Collection[str],
        credentials: bool = False,
        local: bool = False,
        max_age_s: int = 600,
    ) -> None:
        self._origins = Origins(origins)
        self._is_open = ANY in origins
        self._local = local
        self._is_off = not origins and not local
        if self._is_open and credentials:
            raise StartupFailure("CORS for any origin (`*`) may not allow credentials; list the origins.")
        self._credentials: Headers = CREDENTIALS if credentials else []
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
        if self._is_off:
            return
        headers: Headers = head["headers"]  # type: ignore[assignment]  # the exchange has made it a list
        if added := self._allowance(exchange.header(b"origin")):
            headers.extend((*added, *self._exposed))
        if self._local or not self._is_open:
            add_vary(headers, b"Origin")

    def _allowance(self, origin: bytes | None) -> Headers:
        """Return the headers that let `origin` in; none when it is not listed."""
        if origin is None:
            return []
        sent = origin.decode("latin-1").lower()
        if self._local and is_local(sent):
            return [(b"access-control-allow-origin", origin), *CREDENTIALS]
        if self._is_open:
            return [(b"access-control-allow-origin", b"*")]
        if sent not in self._origins:
            return []
        return [(b"access-control-allow-origin", origin), *self._credentials]

    async def _answer_preflight(self, exchange: Exchange, origin: bytes) -> None:
        allowance = self._allowance(origin)
        headers = [*allowance, *self._preflight] if allowance else []
        if allowance and self._local and exchange.header(PRIVATE_NETWORK) == b"true":
            headers.append((b"access-control-allow-private-network", b"true"))
        headers += [(b"cache-control", b"no-store"), (b"vary", PREFLIGHT_VARY)]
        await exchange.send({"type": "http.response.start", "status": 204, "headers": headers})
        await exchange.send({"type": "http.response.body", "body": b"", "more_body": False})
