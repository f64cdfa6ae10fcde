"""Answering in time, also while the database does not."""

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPReceiveMessage, Message, Receive, Scope, Send
from litestar.types.asgi_types import WebSocketReceiveMessage

from service.deadline import Clock, Watch


class Deadline(ASGIMiddleware):
    """Raise DatabaseUnavailable when an answer has not begun after `timeout_s` seconds.

    The time that the client takes to send its body does not count, nor operations within `deadline.lifted`.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, *, timeout_s: float) -> None:
        self._watch = Watch(timeout_s)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass on, with a clock."""
        clock = Clock(self._watch)

        async def receive_unhurried() -> HTTPReceiveMessage | WebSocketReceiveMessage:
            clock.stop()
            try:
                return await receive()
            finally:
                clock.start()

        async def send_at_last(message: Message) -> None:
            clock.end()
            await send(message)

        with clock:
            await next_app(scope, receive_unhurried, send_at_last)
