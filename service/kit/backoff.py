"""Pauses between attempts at what may fail for a while: each longer than the one before, up to a longest."""

import asyncio
import random
from dataclasses import dataclass
from typing import Self

_LARGEST_EXPONENT = 64


@dataclass(frozen=True, slots=True)
class Backoff:
    """The first pause, the longest one, and how many times as long each is as the one before."""

    first_s: float
    longest_s: float
    growth: float = 2.0

    def pause_s(self, failures: int) -> float:
        """Return the pause when as many attempts have failed before the last one.

        >>> [Backoff(0.2, 1.0).pause_s(failures) for failures in range(4)]
        [0.2, 0.4, 0.8, 1.0]
        """
        return min(self.first_s * self.growth ** min(failures, _LARGEST_EXPONENT), self.longest_s)

    async def sleep(self, failures: int) -> None:
        """Pause for a random part of that time, so that those who met part."""
        await asyncio.sleep(random.uniform(0, self.pause_s(failures)))  # noqa: S311  # no secret


class Attempts:
    """Attempts without end: iterating over them pauses before each but the first."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._failures = 0
        self._has_begun = False

    @property
    def pause_s(self) -> float:
        """The pause before the next attempt."""
        return self._backoff.pause_s(self._failures)

    def reset(self) -> None:
        """Begin again with the first pause, since the present attempt has got somewhere."""
        self._failures = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> None:
        if self._has_begun:
            await asyncio.sleep(self.pause_s)
            self._failures += 1
        self._has_begun = True
