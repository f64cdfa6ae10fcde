"""The limit of requests that a worker handles at once, and the bounded queue of those that wait."""

import asyncio
import time
from collections import deque

Ticket = tuple[float, "asyncio.Future[bool]"]
"""When a waiter came, and the future that says whether it has got a slot."""

TICK_S = 0.05
"""How late a waiter may learn that its patience is over; one timer serves all."""

OVERLOADED = 0.5
"""The part of its patience after which the oldest waiter shows that the queue holds more than a burst."""


class ConcurrencyLimiter:
    """At most `slots` are taken at once; at most `queue_length` others wait, each at most `patience_s`.

    First come, first served, while that works: a burst is smoothed and nobody is refused. When the oldest
    waiter has used up half of its patience, more comes than goes, and in order all would wait to the limit.
    Then the newest are served first, and the oldest, whose clients have the least patience left, are refused
    when theirs is over ("adaptive LIFO", B. Maurer: Fail at Scale, ACM Queue 2015).

    One event loop uses it. `refused` counts those that got no slot.
    """

    def __init__(self, slots: int, *, queue_length: int, patience_s: float) -> None:
        self.slots = slots
        self.queue_length = queue_length
        self.patience_s = patience_s
        self.taken = 0
        self.refused = 0
        self._queue: deque[Ticket] = deque()
        self._returning: deque[Ticket] = deque()
        self._is_ticking = False

    @property
    def queued(self) -> int:
        """How many wait for a slot."""
        return len(self._queue) + len(self._returning)

    def acquire_now(self) -> bool:
        """Take a slot if one is free; returns whether."""
        if self.taken >= self.slots:
            return False
        self.taken += 1
        return True

    async def wait(self) -> bool:
        """Wait in the queue for a slot; returns whether there was one in time. A full queue refuses now."""
        if len(self._queue) >= self.queue_length:
            self.refused += 1
            return False
        has_slot = await self._wait_in(self._queue)
        self.refused += not has_slot
        return has_slot

    async def reacquire(self) -> None:
        """Take a slot, before those in the queue, for who released its own during something now done."""
        if not self.acquire_now():
            await self._wait_in(self._returning)

    def release(self) -> None:
        """Release a slot, to the next waiter if there is one."""
        if not self._queue and not self._returning:
            self.taken -= 1
            return
        while (ticket := self._next()) is not None:
            if not ticket.done():
                ticket.set_result(True)
                return
        self.taken -= 1

    def _next(self) -> "asyncio.Future[bool] | None":
        if self._returning:
            return self._returning.popleft()[1]
        if not self._queue:
            return None
        is_overloaded = time.monotonic() - self._queue[0][0] > OVERLOADED * self.patience_s
        return (self._queue.pop() if is_overloaded else self._queue.popleft())[1]

    async def _wait_in(self, queue: deque[Ticket]) -> bool:
        loop = asyncio.get_running_loop()
        ticket: asyncio.Future[bool] = loop.create_future()
        queue.append((time.monotonic(), ticket))
        if not self._is_ticking and queue is self._queue:
            self._is_ticking = True
            loop.call_later(TICK_S, self._tick)
        try:
            return await ticket
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled() and ticket.result():
                self.release()  # it came just before
            raise

    def _tick(self) -> None:
        """Refuse those that have waited too long; the queue is in the order of their coming."""
        latest_s = time.monotonic() - self.patience_s
        while self._queue and (self._queue[0][0] <= latest_s or self._queue[0][1].done()):
            _, ticket = self._queue.popleft()
            if not ticket.done():
                ticket.set_result(False)
        self._is_ticking = bool(self._queue)
        if self._is_ticking:
            asyncio.get_running_loop().call_later(TICK_S, self._tick)
