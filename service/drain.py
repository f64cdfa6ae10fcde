"""How far the shutdown of the service has come, seen alike by every worker."""

from ctypes import Array, c_int

OPEN, LEAVING, CLOSED = range(3)

Cells = list[int] | Array[c_int]
"""The stage of the shutdown, then the requests in flight of each worker; one writer for each."""


class Drain:
    """The shutdown as one process sees it; `share` makes processes see, and count into, the same cells.

    >>> drain = Drain()
    >>> drain.is_draining, drain.is_closed
    (False, False)
    >>> drain.leave(); drain.is_draining, drain.is_closed
    (True, False)
    >>> drain.close(); drain.is_draining, drain.is_closed
    (True, True)
    """

    def __init__(self) -> None:
        self._cells: Cells = [OPEN, 0]
        self._own = 1

    @classmethod
    def of_process(cls) -> "Drain":
        """Give the one that the server of this process, if there is one, keeps up to date."""
        return _OF_PROCESS

    def share(self, cells: Cells, slot: int) -> None:
        """Follow shared cells from now on, as the worker in `slot` (from 0), with no request in flight."""
        self._cells, self._own = cells, 1 + slot
        cells[self._own] = 0

    @property
    def is_draining(self) -> bool:
        """Whether the service is going away, so that readiness must say no."""
        return bool(self._cells[0] != OPEN)

    @property
    def is_closed(self) -> bool:
        """Whether new work is refused; endless streams should end when it becomes true."""
        return bool(self._cells[0] == CLOSED)

    @property
    def in_flight(self) -> int:
        """Requests that have begun and not ended, over all workers."""
        return sum(self._cells[1:])

    def leave(self) -> None:
        """Say no to readiness, and go on serving."""
        self._cells[0] = LEAVING

    def close(self) -> None:
        """Refuse new work."""
        self._cells[0] = CLOSED

    def began(self) -> None:
        """Count a request of this worker."""
        self._cells[self._own] += 1

    def ended(self) -> None:
        """Count that a request of this worker is over."""
        self._cells[self._own] -= 1


_OF_PROCESS = Drain()
