"""Answering in time, also while the database does not."""

from litestar.types import HTTPResponseStartEvent, Receive

from service.http.pipeline.step import Exchange, Received, Step
from service.runtime.deadline import Clock, Watch


class Deadline(Step):
    """Fail with DatabaseUnavailable when an answer has not begun after `timeout_s` seconds.

    The time that the client takes to send its body does not count, nor operations within `deadline.lifted`.
    """

    def __init__(self, *, timeout_s: float) -> None:
        self._watch = Watch(timeout_s)

    def enter(self, exchange: Exchange) -> None:
        """Start a clock."""
        exchange.clock = clock = Clock(self._watch)
        clock.begin()

    def receiving(self, exchange: Exchange, receive: Receive) -> Receive:
        """Stop the clock while the client is sending."""
        clock = _clock(exchange)

        async def receive_unhurried() -> Received:
            clock.stop()
            try:
                return await receive()
            finally:
                clock.start()

        return receive_unhurried

    def complete(self, exchange: Exchange, _: HTTPResponseStartEvent) -> None:
        """Stop for good, because the answer begins."""
        _clock(exchange).end()

    def failed(self, exchange: Exchange, error: BaseException) -> BaseException:
        """Return DatabaseUnavailable where it was the clock that cut the request off."""
        return _clock(exchange).cause_of(error)

    def leave(self, exchange: Exchange) -> None:
        """Stop the clock, which what outlives the request has too."""
        _clock(exchange).close()


def _clock(exchange: Exchange) -> Clock:
    if exchange.clock is None:
        raise RuntimeError("the clock starts as the request enters")
    return exchange.clock
