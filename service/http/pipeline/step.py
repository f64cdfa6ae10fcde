"""What a middleware of the pipeline may do about a request: the one base of all of them."""

from collections.abc import Awaitable
from typing import ClassVar

from litestar.types import HTTPResponseStartEvent, Receive

from service.http.pipeline.exchange import Exchange


class Step:
    """One concern of the pipeline; it overrides what it needs, and only that is called.

    Steps hold no state of a request: that is the exchange's. `kinds` names the connections it looks at.
    """

    kinds: ClassVar[tuple[str, ...]] = ("http",)

    def enter(self, _exchange: Exchange) -> Awaitable[None] | None:
        """Look at a request that comes in; raises the Failure that refuses it.

        Gives an awaitable only where there is something to wait for. Who answers in it ends the request.
        """
        return None

    def receiving(self, _exchange: Exchange, receive: Receive) -> Receive:
        """Wrap what the body is received with; only called once a body is read."""
        return receive

    def complete(self, _exchange: Exchange, _head: HTTPResponseStartEvent) -> None:
        """Complete the head of the answer before it is sent; the last step first, if it was entered."""

    def failed(self, _exchange: Exchange, error: BaseException) -> BaseException:
        """Return what to answer for an error raised further in; the last step first, if it was entered."""
        return error

    async def answer(self, _exchange: Exchange, error: Exception) -> None:
        """Answer for an error that was raised before an answer began, or raise it on."""
        raise error

    def leave(self, _exchange: Exchange) -> None:
        """End what `enter` began, however the request has ended; the last step first, if it was entered."""
