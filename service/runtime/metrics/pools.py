"""What becomes of connections to MongoDB, as the driver tells it."""

from collections import Counter
from threading import Lock
from typing import Any

from pymongo.monitoring import ConnectionPoolListener


class Pools(ConnectionPoolListener):
    """Counts connections of all the driver's pools; from any thread, some 2 µs for each use of one.

    `opened` counts all since the start, `closed` and `failed` (uses for which none was to be had) by the
    driver's reason.
    """

    def __init__(self) -> None:
        self.opened = 0
        self.in_use = 0
        self.closed: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._lock = Lock()

    @property
    def idle(self) -> int:
        """Connections that nothing uses."""
        return max(0, self.opened - self.closed.total() - self.in_use)

    def connection_created(self, _: Any) -> None:
        """Count it."""
        with self._lock:
            self.opened += 1

    def connection_closed(self, event: Any) -> None:
        """Count it."""
        with self._lock:
            self.closed[event.reason] += 1

    def connection_check_out_failed(self, event: Any) -> None:
        """Count it."""
        with self._lock:
            self.failed[event.reason] += 1

    def connection_checked_out(self, _: Any) -> None:
        """Count it."""
        with self._lock:
            self.in_use += 1

    def connection_checked_in(self, _: Any) -> None:
        """Count it."""
        with self._lock:
            self.in_use -= 1

    def _ignore(self, event: Any) -> None:
        """Pass over what says nothing about numbers."""

    pool_created = pool_ready = pool_cleared = pool_closed = _ignore
    connection_ready = connection_check_out_started = _ignore
