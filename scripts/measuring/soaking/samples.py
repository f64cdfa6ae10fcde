"""What the service holds at a moment: memory, descriptors, threads, tasks, connections, of each process."""

import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families
from pymongo import MongoClient

from scripts.measuring.processes import MIB

TASKS, CONNECTIONS = "sheaf_asyncio_tasks", "sheaf_mongodb_connections"
SCRAPE_S = 5.0


@dataclass(frozen=True, slots=True)
class Held:
    """What one process holds."""

    memory_mib: float
    """Its own and its share of what it shares (PSS)."""
    descriptors: int
    threads: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What there is at a moment; what metrics tell is the sum of all workers."""

    at_s: float
    main: Held
    workers: dict[int, Held]
    tasks: float
    pooled: float
    """Connections to MongoDB that the workers know of."""
    connections: int
    """Connections that MongoDB knows of."""
    zombies: int
    files: int
    """Temporary files that are left."""


@dataclass
class Sampler:
    """Takes samples of a service: its processes, metrics, MongoDB and temporary directory."""

    pid: int
    metrics_url: str
    client: "MongoClient[dict[str, Any]]"
    temporary: Path
    samples: list[Sample] = field(default_factory=list)

    def take(self, workers: list[psutil.Process]) -> Sample:
        """Take a sample."""
        main = psutil.Process(self.pid)
        told = scraped(self.metrics_url)
        sample = Sample(
            at_s=time.monotonic(),
            main=held(main),
            workers={worker.pid: found for worker in workers if (found := of_living(worker)) is not None},
            tasks=told.get(TASKS, 0.0),
            pooled=told.get(CONNECTIONS, 0.0),
            connections=self.client.admin.command("serverStatus")["connections"]["current"],
            zombies=sum(child.status() == psutil.STATUS_ZOMBIE for child in main.children(recursive=True)),
            files=sum(1 for _ in self.temporary.iterdir()),
        )
        self.samples.append(sample)
        return sample


def held(process: psutil.Process) -> Held:
    """Return what a process holds."""
    with process.oneshot():
        memory = process.memory_full_info()
        return Held(memory.pss / MIB, process.num_fds(), process.num_threads())


def of_living(process: psutil.Process) -> Held | None:
    """Return what a process holds, None if it has just ended."""
    try:
        return held(process)
    except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
        return None


def scraped(url: str) -> dict[str, float]:
    """Read metrics; returns the sum of each one's series."""
    with urllib.request.urlopen(url, timeout=SCRAPE_S) as answer:  # noqa: S310 - our own service's
        text = answer.read().decode()
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for series in family.samples:
            sums[series.name] = sums.get(series.name, 0.0) + series.value
    return sums
