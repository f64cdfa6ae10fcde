"""Answering a failure that a step raises with its problem body."""

from service.http import problems
from service.http.pipeline.exchange import Exchange
from service.http.pipeline.step import Step


class Failures(Step):
    """Turn what the steps and the application raise into a problem response, unless a response has begun.

    What was raised after the response began is logged and raised on: only closing the connection can then
    tell the client that the body is not whole.
    """

    async def answer(self, exchange: Exchange, error: Exception) -> None:
        """Answer for an error."""
        if exchange.has_begun:
            problems.report(error, exchange.scope)
            raise error
        status, headers, body = problems.answer(error, exchange.scope)
        await exchange.send({"type": "http.response.start", "status": status, "headers": headers})
        content = b"" if exchange.method == "HEAD" else body
        await exchange.send({"type": "http.response.body", "body": content, "more_body": False})
