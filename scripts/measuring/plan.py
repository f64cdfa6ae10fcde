"""How much is measured: as much as takes some minutes, or as little as shows that it works."""

from dataclasses import dataclass

from scripts.measuring.workloads import WORKLOADS


@dataclass(frozen=True)
class Plan:
    """What to measure, how long and how often."""

    workloads: tuple[str, ...] = WORKLOADS
    connections: tuple[int, ...] = (1, 32)
    seconds: float = 4.0
    lead_s: float = 1.0
    """Load before each run that counts, so that nothing is measured that happens once."""
    rounds: int = 3
    documents: int = 20_000
    sizes: tuple[int, ...] = (1_000, 100_000, 1_000_000)
    """Documents of a collection, to see how cost grows with them."""
    growing_connections: tuple[int, ...] = (1, 32, 512)
    page: int = 10_000
    collections: int = 200
    documents_each: int = 1_000
    memory_requests: int = 1_000_000
    memory_step: int = 100_000


GROWTH = Plan(seconds=3.0, lead_s=0.5, rounds=2)
QUICK = Plan(
    connections=(8,),
    seconds=0.15,
    lead_s=0.05,
    rounds=1,
    documents=500,
    sizes=(200, 400),
    growing_connections=(1, 4, 8),
    page=12,
    collections=3,
    documents_each=60,
    memory_requests=600,
    memory_step=200,
)
