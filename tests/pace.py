"""Bounds of time that hold on slow and busy machines too.

A bound says what is enough on a machine of ordinary speed. How fast the present one is, and how much else it
does, is measured by a short piece of work of which the usual time is known.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter, process_time

ORDINARY_S = 0.004
"""What the work takes on the machine for which the bounds were chosen, when it does nothing else."""

FRESH_S = 1.0
"""How long a measurement counts as that of the present."""

LATE_TIMES = 30
"""How often the work is done where a bound was missed."""

LATE_S = 15
"""How many seconds a test may take between the begin of a lock and its question how long it lasts."""

Clock = Callable[[], float]


class _Pace:
    """How many times slower than usual the machine is, by a clock; at least 1."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._slowness = 1.0
        self._until_s = 0.0

    def known(self) -> float:
        """Return what was measured a moment ago, or is measured now."""
        if perf_counter() > self._until_s:
            self._slowness = self.measured()
            self._until_s = perf_counter() + FRESH_S
        return self._slowness

    def measured(self) -> float:
        began_s = self._clock()
        _work()
        return max(1.0, (self._clock() - began_s) / ORDINARY_S)


_TEXT = json.dumps([{"name": f"n{number}", "below": {"a": [number, None]}} for number in range(1500)])


def _work() -> None:
    """Do what the service does much of: make objects, and look at them."""
    json.loads(_TEXT)
    sorted(({"name": str(number * 7919 % 5000)} for number in range(5000)), key=lambda each: each["name"])


_PACES = {clock: _Pace(clock) for clock in (perf_counter, process_time)}


@contextmanager
def within(bound_s: float, clock: Clock = perf_counter, *, why: str = "") -> Iterator[None]:
    """Fail if the block takes longer than a machine of ordinary speed may take for it.

    By `process_time` it is the work of this process that counts, and not what else the machine does.
    """
    pace = _PACES[clock]
    before = pace.known()
    began_s = clock()
    yield
    took_s = clock() - began_s
    if took_s >= bound_s:
        slowness = max(before, *(pace.measured() for _ in range(LATE_TIMES)))
        assert took_s < bound_s * slowness, f"{took_s:.3f} s on a machine {slowness:.1f} times slower {why}"


def slowness(clock: Clock = perf_counter) -> float:
    """Return how many times slower than usual the machine is at present, at least 1."""
    return _PACES[clock].known()


def begun(left_s: int, *whole_s: int) -> int:
    """Return the one of some durations that began a moment ago, when so many of its seconds are left.

    What is left of none of them stays as it is.
    """
    return next((whole for whole in whole_s if whole - LATE_S < left_s <= whole), left_s)
