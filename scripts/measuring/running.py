"""Runs of load: one target under one workload, measured."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Self

from scripts.measuring import processes, serving, workloads
from scripts.measuring.load import Job, Outcome
from scripts.measuring.pace import Pace
from scripts.measuring.plan import Plan
from scripts.measuring.targets import Target

REFUSAL = "status 503"
CROWD = 256
"""Requests that one worker does at once, as SHEAF_CONCURRENCY is by default."""
COUNTED_S = 600.0
"""What a run of so many requests may take."""


@dataclass(frozen=True)
class Row:
    """What one run measured."""

    round: int
    workload: str
    target: str
    connections: int
    requests: int
    errors: dict[str, int]
    per_second: float
    p50_ms: float
    p99_ms: float
    server_us: float
    """CPU time of the service per request."""
    mongod_us: float
    generator_us: float
    memory_mib: float
    pace_us: float
    """CPU time of a fixed loop meanwhile: the higher, the slower the machine was."""

    @property
    def refused(self) -> int:
        """How many a worker refused that had more to do than it does at once, as it is meant to."""
        return self.errors.get(REFUSAL, 0) if self.connections > CROWD else 0

    @property
    def wrong(self) -> int:
        """How many were not answered rightly."""
        return sum(self.errors.values()) - self.refused


class Generator:
    """The process that makes the load; a context manager that ends it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scripts.measuring.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=serving.ROOT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def load(self, job: Job) -> Outcome:
        """Do a job; its own bounds on time end it."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("The load generator has no pipes.")
        self._process.stdin.write(json.dumps(asdict(job)) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("The load generator ended; what it said is above.")
        return Outcome(**json.loads(line))


@dataclass(frozen=True)
class Case:
    """One thing to measure: a target under a workload, over so many connections."""

    target: Target
    workload: str
    connections: int


def measure_all(
    cases: Sequence[Case], plan: Plan, mongod_pids: list[int], tell: Callable[[Row], None]
) -> list[Row]:
    """Measure all cases in each round, each round in another order, so that no case has the quiet hour."""
    rows = []
    with Generator() as generator:
        for number in range(plan.rounds):
            first = number * len(cases) // plan.rounds
            for case in [*cases[first:], *cases[:first]]:
                row = measure(generator, case, plan, mongod_pids, number)
                tell(row)
                rows.append(row)
    return rows


def measure(  # noqa: PLR0917
    generator: Generator,
    case: Case,
    plan: Plan,
    mongod_pids: list[int],
    number: int,
    count: int | None = None,
) -> Row:
    """Measure one case, for the plan's time or until so many requests; what it created is removed."""
    target = case.target
    host = f"{target.host}:{target.port}"
    requests = [
        (each.text(host), int(each.status), each.starts, each.at_least)
        for each in target.requests_of(case.workload)
    ]
    pids = {"server": target.pids, "mongod": mongod_pids}
    seconds, lead_s = (plan.seconds, plan.lead_s) if count is None else (COUNTED_S, 0.0)
    job = Job(target.host, target.port, case.connections, seconds, lead_s, requests, pids, count)
    with Pace() as pace:
        outcome = generator.load(job)
    memory_mib = processes.worker_memory_mib(target.pids)
    if case.workload in workloads.WRITING:
        target.forget_created()
    return Row(
        round=number,
        workload=case.workload,
        target=target.name,
        connections=case.connections,
        requests=outcome.requests,
        errors=outcome.errors,
        per_second=outcome.requests / outcome.seconds,
        p50_ms=outcome.p50_us / 1000,
        p99_ms=outcome.p99_us / 1000,
        server_us=outcome.cpu_us["server"],
        mongod_us=outcome.cpu_us["mongod"],
        generator_us=outcome.cpu_us["generator"],
        memory_mib=memory_mib,
        pace_us=pace.us,
    )
