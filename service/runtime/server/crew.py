"""The workers of now: which are to serve, which is to follow another, which are on their way out."""

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
"""How long a worker that has been followed serves on, so that answers move its clients to other workers."""

STOP_S = 5.0
"""How long a worker may take to end once it is told to."""

log = structlog.get_logger("sheaf.server")


@dataclass(eq=False, slots=True)
class Member:
    """One worker process. It has a slot: its place in what the processes share."""

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
        """Have it close its connections, each with its next answer."""
        self.moved_s = time.monotonic()
        self.process.interrupt_by_parent = True
        self.drain.move()

    def end(self) -> None:
        """Tell it to end: to let requests in flight finish, close its connections and stop."""
        self.told_to_end_s = time.monotonic()
        self.process.terminate()  # type: ignore[no-untyped-call]

    def kill(self) -> None:
        """End it at once, even if it is only being started."""
        with suppress(AttributeError, ValueError):  # it has no process yet, or not any more
            self.process.kill()  # type: ignore[no-untyped-call]


class Crew:
    """All worker processes: those that are to serve, and those that others have followed.

    There is one slot more than there are workers, for the one that is to follow another.
    """

    def __init__(self, workers: int, drain_timeout_s: float) -> None:
        slots = range(workers + 1)
        self.cells = RawArray("i", CELLS_EACH * len(slots))
        self.starts = RawArray("i", len(slots))
        self.workers = workers
        self.members: list[Member] = []
        self.vacated: list[int] = []
        """Slots whose workers have died in service."""
        self._drain_timeout_s = drain_timeout_s
        self._drains = [Drain() for _ in slots]
        for slot, drain in zip(slots, self._drains, strict=True):
            drain.share(self.cells, slot)

    def add(self, spawn: Callable[[int], WorkerProcess], generation: int) -> Member:
        """Start a worker in a free slot: in one whose worker has died, for connections may wait there."""
        free = set(range(len(self._drains))) - {member.slot for member in self.members}
        slot = self.vacated.pop(0) if self.vacated else min(free)
        self.starts[slot] = STARTING
        self._drains[slot].open()
        member = Member(spawn(slot), slot, self._drains[slot], generation)
        self.members.append(member)
        member.process.start()  # type: ignore[no-untyped-call]
        return member

    def bury(self) -> list[Member]:
        """Forget the workers that have ended; gives those that nobody told to."""
        dead = [member for member in self.members if not member.is_alive]
        self.members = [member for member in self.members if member not in dead]
        unexpected = [member for member in dead if member.moved_s is None]
        self.vacated += [member.slot for member in unexpected if self.is_up(member)]
        return unexpected

    @property
    def serving(self) -> list[Member]:
        """The workers that are to serve, the oldest first, be they up or being started."""
        return [member for member in self.members if member.moved_s is None]

    @property
    def leaving(self) -> list[Member]:
        """The workers that have been followed."""
        return [member for member in self.members if member.moved_s is not None]

    @property
    def accepting(self) -> list[int]:
        """The slots that new connections should go to."""
        up = [member.slot for member in self.serving if self.is_up(member)]
        return sorted(up or [member.slot for member in self.serving])

    @property
    def missing(self) -> int:
        """How many workers are to be started."""
        return max(self.workers - len(self.serving), len(self.vacated))

    @property
    def drains(self) -> Iterator[Drain]:
        """The drains of all workers."""
        return (member.drain for member in self.members)

    @property
    def in_flight(self) -> int:
        """Requests that have begun and not ended."""
        return sum(member.drain.in_flight for member in self.members if member.is_alive)

    def is_up(self, member: Member) -> bool:
        """Tell whether a worker has started."""
        return bool(self.starts[member.slot] != STARTING)

    def is_ready(self, member: Member) -> bool:
        """Tell whether a worker has been ready for requests."""
        return bool(self.starts[member.slot] == READY)

    def see_off(self) -> None:
        """Take the workers that have been followed one step further on their way out."""
        now_s = time.monotonic()
        for member in self.leaving:
            moved_s = member.moved_s or now_s
            if member.told_to_end_s is not None:
                if now_s - member.told_to_end_s > STOP_S:
                    member.kill()
            elif not self.is_up(member) or (now_s - moved_s >= LINGER_S and not member.drain.in_flight):
                member.end()
            elif now_s - moved_s >= self._drain_timeout_s:
                if cut_off := member.drain.in_flight:
                    log.warning("requests cut off", requests=cut_off, after_s=self._drain_timeout_s)
                member.end()
