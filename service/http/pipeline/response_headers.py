"""Headers that every response has: who may keep it (RFC 9111), and what makes browsers careful."""

from litestar.types import HTTPResponseStartEvent

from service.http.pipeline.headers import Headers, add_vary, value_of
from service.http.pipeline.step import Exchange, Step

PERSONAL = (b"cache-control", b"private, no-cache")
SHARED = (b"cache-control", b"no-cache")
NEVER = (b"cache-control", b"no-store")
STATUS_NOT_MODIFIED = 304
FIRST_REDIRECT = 300
API_PREFIX = "/api"
READING = frozenset({"GET", "HEAD"})

CONTENT_SECURITY_POLICY = (
    b"default-src 'self';base-uri 'self';font-src 'self' https: data:;form-action 'self';"
    b"frame-ancestors 'self';img-src 'self' data:;object-src 'none';script-src 'self';script-src-attr 'none';"
    b"style-src 'self' https: 'unsafe-inline';upgrade-insecure-requests"
)

# What helmet 8.3 sends for `helmet()`, read from a running server.
HELMET_DEFAULTS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"origin-agent-cluster", b"?1"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-dns-prefetch-control", b"off"),
    (b"x-download-options", b"noopen"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"x-permitted-cross-domain-policies", b"none"),
    (b"x-xss-protection", b"0"),
)
_NAMES = frozenset(name for name, _ in HELMET_DEFAULTS)


class Caching(Step):
    """Add `Cache-Control` when the response has none, and `Vary: Authorization, Cookie` under `/api`.

    A successful read is revalidated at each use: by its own client only when the request carried credentials,
    by anybody otherwise. Everything else is not stored at all.
    """

    def complete(self, exchange: Exchange, head: HTTPResponseStartEvent) -> None:
        """Complete the response's headers."""
        headers: Headers = head["headers"]  # type: ignore[assignment]  # the exchange has made it a list
        if value_of(headers, b"cache-control") is None:
            headers.append(_default(exchange, head["status"]))
        if exchange.normal_path.startswith(API_PREFIX):
            add_vary(headers, b"Authorization, Cookie")


def _default(exchange: Exchange, status: int) -> tuple[bytes, bytes]:
    is_read = exchange.method in READING
    if not is_read or (status >= FIRST_REDIRECT and status != STATUS_NOT_MODIFIED):
        return NEVER
    headers = exchange.headers
    return PERSONAL if b"authorization" in headers or b"cookie" in headers else SHARED


class SecurityHeaders(Step):
    """Add each of Helmet 8's default headers that the response does not set itself."""

    def complete(self, _: Exchange, head: HTTPResponseStartEvent) -> None:
        """Complete the response's headers."""
        headers: Headers = head["headers"]  # type: ignore[assignment]  # the exchange has made it a list
        own = [name for name, _ in headers if name in _NAMES]
        if own:
            headers.extend(pair for pair in HELMET_DEFAULTS if pair[0] not in own)
        else:
            headers.extend(HELMET_DEFAULTS)
