"""`OPTIONS`: which methods an address takes (RFC 9110, 9.3.7)."""

from typing import cast

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from service.middleware.headers import value_of

NO_METHOD = "NONE"
"""A method that no address takes, and is REFUSED."""

REFUSED = 405


class Options(ASGIMiddleware):
    """Answer `OPTIONS` with 204 and `Allow`, whoever asks.

    Litestar's own answer names one of the handlers of an address alone, and asks its guards. What it refuses
    a method with names all; an address that is not there is refused as ever.
    """

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Answer `OPTIONS`, pass on everything else."""
        if scope.get("method") != "OPTIONS":
            await next_app(scope, receive, send)
            return
        is_known = False

        async def send_allowed(message: Message) -> None:
            nonlocal is_known
            if message["type"] == "http.response.start":
                is_known = message["status"] == REFUSED
                if is_known:
                    allowed = value_of(message["headers"], b"allow") or b""
                    message["status"] = 204
                    message["headers"] = [(b"allow", allowed), (b"cache-control", b"no-store")]
            elif message["type"] == "http.response.body" and is_known:
                message["body"] = b""
            await send(message)

        await next_app(cast("Scope", {**scope, "method": NO_METHOD}), receive, send_allowed)
