"""Answering a failure that a middleware raises with its problem body."""

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from service import problems


class Failures(ASGIMiddleware):
    """Turn what the inner application raises into a problem response, unless a response has begun.

    What was raised after the response began is logged and raised on: only closing the connection can then
    tell the client that the body is not whole.
    """

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass on, and answer for what is raised."""
        has_begun = False

        async def send_watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await next_app(scope, receive, send_watched)
        except Exception as error:
            if has_begun:
                problems.report(error, scope)
                raise
            await _answer(error, scope, send)


async def _answer(error: Exception, scope: Scope, send: Send) -> None:
    status, headers, body = problems.answer(error, scope)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    content = b"" if scope.get("method") == "HEAD" else body
    await send({"type": "http.response.body", "body": content, "more_body": False})
