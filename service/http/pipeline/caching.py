"""Saying who may keep a response, where the handler did not say it (RFC 9111)."""

from litestar.types import HTTPResponseStartEvent

from service.http.pipeline.exchange import Exchange
from service.http.pipeline.headers import Headers, add_vary, value_of
from service.http.pipeline.step import Step

PERSONAL = (b"cache-control", b"private, no-cache")
SHARED = (b"cache-control", b"no-cache")
NEVER = (b"cache-control", b"no-store")
STATUS_NOT_MODIFIED = 304
FIRST_REDIRECT = 300
API_PREFIX = "/api"
READING = frozenset({"GET", "HEAD"})


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
