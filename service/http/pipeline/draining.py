"""Lets requests in flight finish and takes no new ones while the service shuts down."""

from litestar.types import HTTPResponseStartEvent

from service.http.pipeline.step import Exchange, Step
from service.kit.errors import Draining
from service.runtime.drain import Drain

HEALTH = "/api/health"


class DrainingMiddleware(Step):
    """Counts requests in flight; once the drain is closed, raises Draining (503) for all but health.

    While the service is going away every HTTP/1 answer also closes its connection (RFC 9112, 9.6), so that
    clients which keep connections alive move to another instance without meeting an error.
    """

    kinds = ("http", "websocket")

    def __init__(self, drain: Drain) -> None:
        self.drain = drain

    def enter(self, exchange: Exchange) -> None:
        """Count the request, or refuse it."""
        if _is_probe(exchange.path):
            return
        if self.drain.is_closed:
            failure = Draining()
            failure.headers["Connection"] = "close"
            raise failure
        self.drain.began()

    def complete(self, exchange: Exchange, head: HTTPResponseStartEvent) -> None:
        """Close the connection while the service is going away."""
        is_to_close = self.drain.is_draining and exchange.scope["http_version"].startswith("1")
        if is_to_close and not _is_probe(exchange.path):
            head["headers"] = [*head["headers"], (b"connection", b"close")]

    def leave(self, exchange: Exchange) -> None:
        """Count that the request is over."""
        if not _is_probe(exchange.path):
            self.drain.ended()


def _is_probe(path: str) -> bool:
    return path.startswith(HEALTH) and (len(path) == len(HEALTH) or path[len(HEALTH)] == "/")
