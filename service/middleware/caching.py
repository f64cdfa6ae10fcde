"""Saying who may keep a response, where the handler did not say it (RFC 9111)."""

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from litestar.utils import normalize_path

from service.middleware.headers import value_of, with_vary

PERSONAL = (b"cache-control", b"private, no-cache")
SHARED = (b"cache-control", b"no-cache")
NEVER = (b"cache-control", b"no-store")
STATUS_NOT_MODIFIED = 304
FIRST_REDIRECT = 300
API_PREFIX = "/api"


class Caching(ASGIMiddleware):
    """Add `Cache-Control` when the response has none, and `Vary: Authorization, Cookie` under `/api`.

    A successful read is revalidated at each use: by its own client only when the request carried credentials,
    by anybody otherwise. Everything else is not stored at all.
    """

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass on, completing the response's headers."""

        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                if value_of(headers, b"cache-control") is None:
                    headers.append(_default(scope, message["status"]))
                if normalize_path(scope["path"]).startswith(API_PREFIX):  # `//api` leads there too
                    headers = with_vary(headers, b"Authorization", b"Cookie")
                message["headers"] = headers
            await send(message)

        await next_app(scope, receive, send_dated)


def _default(scope: Scope, status: int) -> tuple[bytes, bytes]:
    is_read = scope.get("method") in {"GET", "HEAD"}
    if not is_read or (status >= FIRST_REDIRECT and status != STATUS_NOT_MODIFIED):
        return NEVER
    is_personal = any(name in {b"authorization", b"cookie"} for name, _ in scope["headers"])
    return PERSONAL if is_personal else SHARED
