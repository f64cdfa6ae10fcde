"""Lets requests in flight finish and takes no new ones while the service shuts down."""

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from service.drain import Drain
from service.errors import Draining

HEALTH = "/api/health"


class DrainingMiddleware(ASGIMiddleware):
    """Counts requests in flight; once the drain is closed, raises Draining (503) for all but health.

    While the service is going away every HTTP/1 answer also closes its connection (RFC 9112, 9.6), so that
    clients which keep connections alive move to another instance without meeting an error.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, drain: Drain) -> None:
        self.drain = drain

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass the request on, or refuse it."""
        drain = self.drain
        path = scope["path"]
        if path == HEALTH or path.startswith(HEALTH + "/"):
            await next_app(scope, receive, send)
            return
        if drain.is_closed:
            failure = Draining()
            failure.headers["Connection"] = "close"
            raise failure
        drain.began()
        try:
            await next_app(scope, receive, _closing(send) if _may_close(drain, scope) else send)
        finally:
            drain.ended()


def _may_close(drain: Drain, scope: Scope) -> bool:
    return drain.is_draining and scope["http_version"].startswith("1")


def _closing(send: Send) -> Send:
    async def send_and_close(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableScopeHeaders.from_message(message)["Connection"] = "close"
        await send(message)

    return send_and_close
