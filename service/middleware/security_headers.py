"""The headers that tell browsers to be careful: those that Helmet 8 sets by default, on every response."""

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

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


class SecurityHeaders(ASGIMiddleware):
    """Add each of Helmet 8's default headers that the response does not set itself."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass on, completing the response's headers."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                kept = {name.lower() for name, _ in headers} & _NAMES
                headers += (
                    (pair for pair in HELMET_DEFAULTS if pair[0] not in kept) if kept else HELMET_DEFAULTS
                )
                message["headers"] = headers
            await send(message)

        await next_app(scope, receive, send_guarded)
