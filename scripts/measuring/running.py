"""Runs of load: one target under one workload, measured."""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass

from scripts.measuring import processes, serving, workloads
from scripts.measuring.load import PATIENCE_S, Job, Outcome
from scripts.measuring.pace import Pace
from scripts.measuring.targets import Target

START_S = 30
"""What starting the generator may take on a busy machine."""


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


def load(job: Job) -> Outcome:
    """Do a job in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.measuring.load"],
        input=json.dumps(asdict(job)),
        capture_output=True,
        text=True,
        check=False,
        cwd=serving.ROOT,
        timeout=START_S + job.lead_s + job.seconds + 2 * PATIENCE_S,
    )
    if done.returncode:
        raise RuntimeError(f"The load generator failed:\n{done.stderr}")
    return Outcome(**json.loads(done.stdout))


def measure(
    target: Target,
    workload: str,
    connections: int,
    *,
    seconds: float,
    lead_s: float,
    mongod_pids: list[int],
    number: int = 0,
    count: int | None = None,
) -> Row:
    """Measure a target under a workload, and remove afterwards what was created."""
    host = f"{target.host}:{target.port}"
    requests = [
        (each.text(host), int(each.status), each.starts, each.at_least)
        for each in target.requests_of(workload)
    ]
    pids = {"server": target.pids, "mongod": mongod_pids}
    job = Job(target.host, target.port, connections, seconds, lead_s, requests, pids, count)
    with Pace() as pace:
        outcome = load(job)
    memory_mib = processes.worker_memory_mib(target.pids)
    if workload in workloads.WRITING:
        target.forget_created()
    return Row(
        round=number,
        workload=workload,
        target=target.name,
        connections=connections,
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
