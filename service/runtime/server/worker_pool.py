"""The worker processes: those that serve, a successor that starts, those on their way out."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.sharedctypes import RawArray

import structlog
from granian.server.mp import WorkerProcess

from service.runtime.drain import CELLS_EACH, Drain
from service.runtime.server.worker import READY, STARTING

LINGER_S = 2.0
"""How long a worker that has a successor serves on, so that its answers move clients to other workers."""

STOP_S = 5.0
"""How long a worker may take to end once it is asked to."""

log = structlog.get_logger("sheaf.server")


@dataclass(eq=False, slots=True)
class Worker:
    """One worker process. Its slot is its index in what the processes share."""

    process: WorkerProcess
    slot: int
    drain: Drain
    generation: int
    began_s: float = field(default_factory=time.monotonic)
    moved_s: float | None = None
    told_to_end_s: float | None = None

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""
        return bool(self.process.inner.is_alive())

    @property
    def age_s(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.began_s

    def move(self) -> None:
        """Have it close its connections, each with its next answer: it has a successor."""
        self.moved_s = time.monotonic()
        self.process.interrupt_by_parent = True
        self.drain.move()

    def end(self) -> None:
        """Ask it to end: to let requests in flight finish, close its connections and stop."""
        self.told_to_end_s = time.monotonic()
        self.process.terminate()  # type: ignore[no-untyped-call]

    def kill(self) -> None:
        """End it at once, even if it is only being started."""
        with suppress(AttributeError, ValueError):  # it has no process yet, or not any more
            self.process.kill()  # type: ignore[no-untyped-call]


class WorkerPool:
    """All worker processes: those that are to serve, and those that have a successor.

    There is one slot more than `size`, for a successor that starts before its predecessor ends.
    """

    def __init__(self, size: int, drain_timeout_s: float) -> None:
        slots = range(size + 1)
        self.cells = RawArray("i", CELLS_EACH * len(slots))
        self.starts = RawArray("i", len(slots))
        self.size = size
        self.workers: list[Worker] = []
        self.vacated: list[int] = []
        """Slots whose workers have died while they served."""
        self._drain_timeout_s = drain_timeout_s
        self._drains = [Drain() for _ in slots]
        for slot, drain in zip(slots, self._drains, strict=True):
            drain.share(self.cells, slot)

    def add(self, spawn: Callable[[int], WorkerProcess], generation: int) -> Worker:
        """Start a worker in a free slot: in one whose worker has died, for connections may wait there."""
        free = set(range(len(self._drains))) - {worker.slot for worker in self.workers}
        slot = self.vacated.pop(0) if self.vacated else min(free)
        self.starts[slot] = STARTING
        self._drains[slot].open()
        worker = Worker(spawn(slot), slot, self._drains[slot], generation)
        self.workers.append(worker)
        worker.process.start()  # type: ignore[no-untyped-call]
        return worker

    def reap(self) -> list[Worker]:
        """Forget the workers that have ended; returns those that nobody asked to."""
        dead = [worker for worker in self.workers if not worker.is_alive]
        self.workers = [worker for worker in self.workers if worker not in dead]
        unexpected = [worker for worker in dead if worker.moved_s is None]
        self.vacated += [worker.slot for worker in unexpected if self.is_up(worker)]
        return unexpected

    @property
    def serving(self) -> list[Worker]:
        """The workers that are to serve, the oldest first, whether up or starting."""
        return [worker for worker in self.workers if worker.moved_s is None]

    @property
    def leaving(self) -> list[Worker]:
        """The workers that have a successor."""
        return [worker for worker in self.workers if worker.moved_s is not None]

    @property
    def accepting(self) -> list[int]:
        """The slots that new connections should go to."""
        up = [worker.slot for worker in self.serving if self.is_up(worker)]
        return sorted(up or [worker.slot for worker in self.serving])

    @property
    def missing(self) -> int:
        """How many workers are to be started."""
        return max(self.size - len(self.serving), len(self.vacated))

    @property
    def drains(self) -> Iterator[Drain]:
        """The drains of all workers."""
        return (worker.drain for worker in self.workers)

    @property
    def in_flight(self) -> int:
        """Requests that have begun and not ended."""
        return sum(worker.drain.in_flight for worker in self.workers if worker.is_alive)

    def is_up(self, worker: Worker) -> bool:
        """Return whether a worker has started."""
        return bool(self.starts[worker.slot] != STARTING)

    def is_ready(self, worker: Worker) -> bool:
        """Return whether a worker has been ready for requests."""
        return bool(self.starts[worker.slot] == READY)

    def end_leaving(self) -> None:
        """Take the workers that have a successor one step further on their way out."""
        now_s = time.monotonic()
        for worker in self.leaving:
            moved_s = worker.moved_s or now_s
            if worker.told_to_end_s is not None:
                if now_s - worker.told_to_end_s > STOP_S:
                    worker.kill()
            elif not self.is_up(worker) or (now_s - moved_s >= LINGER_S and not worker.drain.in_flight):
                worker.end()
            elif now_s - moved_s >= self._drain_timeout_s:
                if cut_off := worker.drain.in_flight:
                    log.warning("requests cut off", requests=cut_off, after_s=self._drain_timeout_s)
                worker.end()
