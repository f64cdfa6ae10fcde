"""The places at which a worker does requests, and the bounded line of those that wait for one."""

import asyncio
import time
from collections import deque

Ticket = tuple[float, "asyncio.Future[bool]"]
"""When somebody has come, and what tells them whether they have got a place."""

TICK_S = 0.05
"""How late somebody who has waited long enough may hear of it; one timer serves all."""

OVERLOADED = 0.5
"""The part of its patience after which the oldest in line shows that the line does not just hold a burst."""


class Places:
    """At most `places` have a place at once; of others at most `waiting` wait, each at most `patience_s`.

    Who has come first is first, while that works: a burst is smoothed and nobody is refused. When the oldest
    has waited half of its patience, more comes than goes, and in their order all would wait as long as they
    can. Then the newest are first: those are served quickly, and the oldest, whose clients have the least
    patience left, hear of it when theirs is over ("adaptive LIFO", B. Maurer: Fail at Scale, ACM Queue 2015).

    One event loop uses it. `refused` counts those that got no place.
    """

    def __init__(self, places: int, *, waiting: int, patience_s: float) -> None:
        self.places = places
        self.waiting = waiting
        self.patience_s = patience_s
        self.taken = 0
        self.refused = 0
        self._line: deque[Ticket] = deque()
        self._returning: deque[Ticket] = deque()
        self._is_ticking = False

    @property
    def in_line(self) -> int:
        """How many wait for a place."""
        return len(self._line) + len(self._returning)

    def take(self) -> bool:
        """Take a place if one is free; tells whether."""
        if self.taken >= self.places:
            return False
        self.taken += 1
        return True

    async def wait(self) -> bool:
        """Wait in line for a place; tells whether there was one in time, at once if the line is full."""
        if len(self._line) >= self.waiting:
            self.refused += 1
            return False
        has_place = await self._wait_in(self._line)
        self.refused += not has_place
        return has_place

    async def take_again(self) -> None:
        """Take a place, before those in line, after it was given back during something that is now done."""
        if not self.take():
            await self._wait_in(self._returning)

    def give_back(self) -> None:
        """Give a place back, to the next in line if somebody waits."""
        if not self._line and not self._returning:
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
        if not self._line:
            return None
        is_overloaded = time.monotonic() - self._line[0][0] > OVERLOADED * self.patience_s
        return (self._line.pop() if is_overloaded else self._line.popleft())[1]

    async def _wait_in(self, line: deque[Ticket]) -> bool:
        loop = asyncio.get_running_loop()
        ticket: asyncio.Future[bool] = loop.create_future()
        line.append((time.monotonic(), ticket))
        if not self._is_ticking and line is self._line:
            self._is_ticking = True
            loop.call_later(TICK_S, self._tick)
        try:
            return await ticket
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled() and ticket.result():
                self.give_back()  # it came just before
            raise

    def _tick(self) -> None:
        """Tell those that have waited too long; the line is in the order of their coming."""
        latest_s = time.monotonic() - self.patience_s
        while self._line and (self._line[0][0] <= latest_s or self._line[0][1].done()):
            _, ticket = self._line.popleft()
            if not ticket.done():
                ticket.set_result(False)
        self._is_ticking = bool(self._line)
        if self._is_ticking:
            asyncio.get_running_loop().call_later(TICK_S, self._tick)
