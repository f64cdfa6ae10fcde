"""Whether something is not given back: under load from window to window, and at rest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scripts.measuring.soaking.samples import Sample

SETTLING = 0.25
"""Share of the time at the start that is not judged: caches fill, pools grow, code warms up."""

WINDOW = 0.3
"""Share of what is judged in which the least value is taken, at its start and at its end."""

FEWEST = 8
"""Samples without which nothing is said about growth."""

SHORTEST_S = 240.0
"""Time without which nothing is said about the growth of memory."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was watched: at first, at the end, and how much more is allowed."""

    what: str
    first: float
    last: float
    allowed: float
    per_hour: float | None = None
    is_judged: bool = True

    @property
    def leaks(self) -> bool:
        """Whether there is more than is allowed."""
        return self.is_judged and self.last - self.first > self.allowed


def memory_allowed(first: float) -> float:
    """Return how many MiB a process of so many may grow: what allocators and caches do."""
    return max(6.0, first * 0.06)


def growth(
    what: str, samples: Sequence[Sample], value: Callable[[Sample], float], allowed: float | None = None
) -> Finding:
    """Compare the least value of the first window with that of the last one; without `allowed`, as memory."""
    settled = samples[int(len(samples) * SETTLING) :]
    size = max(1, int(len(settled) * WINDOW))
    early, late = settled[:size], settled[-size:]
    first, last = min(map(value, early)), min(map(value, late))
    spent_s = late[0].at_s - early[0].at_s
    is_judged = len(settled) >= FEWEST and (allowed is not None or spent_s >= SHORTEST_S)
    limit = memory_allowed(first) if allowed is None else allowed
    per_hour = (last - first) / spent_s * 3600 if spent_s and is_judged else None
    return Finding(what, first, last, limit, per_hour, is_judged)


def under_load(samples: Sequence[Sample], elder: int, clients: int) -> list[Finding]:
    """Judge what was taken under load: of the main process, and of the worker that lived through it all.

    With each kill more of the clients' connections come to that one, until it has them all.
    """

    def of_elder(field: str) -> Callable[[Sample], float]:
        return lambda sample: getattr(sample.workers[elder], field)

    lived = [sample for sample in samples if elder in sample.workers]
    return [
        growth("worker: memory MiB", lived, of_elder("memory_mib")),
        growth("worker: descriptors", lived, of_elder("descriptors"), clients + 4),
        growth("worker: threads", lived, of_elder("threads"), 2),
        growth("main: memory MiB", samples, lambda sample: sample.main.memory_mib),
        growth("MongoDB's connections", samples, lambda sample: sample.connections, 6),
        growth("workers' pooled connections", samples, lambda sample: sample.pooled, 6),
        growth("workers' tasks", samples, lambda sample: sample.tasks, 8),
    ]


def at_rest(before: Sample, after: Sample) -> list[Finding]:
    """Judge what is there without load, before and after; workers are compared as they come."""
    return [
        Finding("at rest, main: descriptors", before.main.descriptors, after.main.descriptors, 0),
        Finding("at rest, main: threads", before.main.threads, after.main.threads, 0),
        Finding("at rest, processes that have ended", before.zombies, after.zombies, 0),
        Finding("at rest, temporary files", before.files, after.files, 0),
        Finding("at rest, workers' tasks", before.tasks, after.tasks, 2),
        Finding("at rest, workers", len(before.workers), len(after.workers), 0),
    ]
