"""How far the drain of each worker has come, seen alike by its main process and by the worker."""

from ctypes import Array, c_int

OPEN, MOVING, LEAVING, CLOSED = range(4)
CELLS_EACH = 2

Cells = list[int] | Array[c_int]
"""Of each slot: the stage, which the main process writes, and its worker's count of requests in flight."""


class Drain:
    """The drain of one worker; `share` makes its process and the main process see the same cells.

    >>> drain = Drain()
    >>> drain.is_draining, drain.is_leaving, drain.is_closed
    (False, False, False)
    >>> drain.move(); drain.is_draining, drain.is_leaving, drain.is_closed
    (True, False, False)
    >>> drain.leave(); drain.is_draining, drain.is_leaving, drain.is_closed
    (True, True, False)
    >>> drain.close(); drain.is_draining, drain.is_leaving, drain.is_closed
    (True, True, True)
    """

    def __init__(self) -> None:
        self._cells: Cells = [OPEN, 0]
        self._stage, self._count = 0, 1

    @classmethod
    def of_process(cls) -> "Drain":
        """Return the drain that the server of this process, if there is one, keeps up to date."""
        return _OF_PROCESS

    def share(self, cells: Cells, slot: int) -> None:
        """Follow, from now on, the shared cells of the worker in `slot` (from 0)."""
        self._cells = cells
        self._stage, self._count = slot * CELLS_EACH, slot * CELLS_EACH + 1

    def open(self) -> None:
        """Begin anew, for a worker that is about to start: with no request in flight."""
        self._cells[self._stage] = OPEN
        self._cells[self._count] = 0

    @property
    def is_draining(self) -> bool:
        """Whether this worker is on its way out, so that answers close their connections."""
        return bool(self._cells[self._stage] != OPEN)

    @property
    def is_leaving(self) -> bool:
        """Whether the whole service is going away, so that readiness must say no."""
        return bool(self._cells[self._stage] >= LEAVING)

    @property
    def is_closed(self) -> bool:
        """Whether new work is refused; endless streams should end when it becomes true."""
        return bool(self._cells[self._stage] == CLOSED)

    @property
    def in_flight(self) -> int:
        """Requests of this worker that have begun and not ended."""
        return self._cells[self._count]

    def move(self) -> None:
        """Have clients move to the other workers, and serve whatever still comes."""
        self._cells[self._stage] = MOVING

    def leave(self) -> None:
        """Say no to readiness, and go on serving."""
        self._cells[self._stage] = LEAVING

    def close(self) -> None:
        """Refuse new work."""
        self._cells[self._stage] = CLOSED

    def began(self) -> None:
        """Count a request."""
        self._cells[self._count] += 1

    def ended(self) -> None:
        """Count that a request is over."""
        self._cells[self._count] -= 1


_OF_PROCESS = Drain()
