"""`OPTIONS`: which methods an address takes (RFC 9110, 9.3.7)."""

from litestar.types import HTTPResponseStartEvent

from service.http.pipeline.headers import value_of
from service.http.pipeline.step import Exchange, Step

NO_METHOD = "NONE"
"""A method that no address takes, and is REFUSED."""

REFUSED = 405


class Options(Step):
    """Answer `OPTIONS` with 204 and `Allow`, whoever asks.

    Litestar's own answer names one of the handlers of an address alone, and asks its guards. What it refuses
    a method with names all; an address that is not there is refused as ever.
    """

    def enter(self, exchange: Exchange) -> None:
        """Have the router refuse `OPTIONS`."""
        if exchange.method == "OPTIONS":
            exchange.scope["method"] = NO_METHOD  # type: ignore[typeddict-item]  # it is none

    def complete(self, exchange: Exchange, head: HTTPResponseStartEvent) -> None:
        """Make an answer of the refusal."""
        if exchange.method == "OPTIONS" and head["status"] == REFUSED:
            allowed = value_of(head["headers"], b"allow") or b""
            head["status"] = 204
            head["headers"] = [(b"allow", allowed), (b"cache-control", b"no-store")]
            exchange.is_bodiless = True
