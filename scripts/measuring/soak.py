"""Watches what the service does not give back: `scripts/soak --minutes 30`; exits with 1 if it leaks."""

import argparse
import asyncio
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bson import ObjectId
from pymongo import MongoClient

from scripts.measuring import serving
from scripts.measuring.soaking import judge, report
from scripts.measuring.soaking.administrator import administer
from scripts.measuring.soaking.clients import Client
from scripts.measuring.soaking.faults import Faults
from scripts.measuring.soaking.journal import Journal
from scripts.measuring.soaking.samples import Sample, Sampler
from service.access.principals import Principal
from service.dev import mongod
from service.identity.core.tokens import Tokens

WORKERS = 2
SAMPLES = 120
"""How many samples are taken over the whole time."""

SHORTEST_SAMPLE_S = 0.3
LAST_SHARE = 0.12
"""Share of the time in which workers are renewed: before, one worker lives through it all."""

REST_S = 3.0
"""How long without load is rest: longer than metrics are old, and than answers take to be all given."""

TOKEN_S = 86_400
PATIENCE_S = 5.0

FAULT_EVERY_S = 20.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, by how many clients, how long MongoDB is frozen at a time, and how long rest is.

    `patience_s` is how long the service waits for MongoDB: longer on a busy machine.
    """

    seconds: float
    clients: int
    frozen_s: float
    rest_s: float = REST_S
    patience_s: float = PATIENCE_S

    @property
    def fault_every_s(self) -> float:
        """Seconds from fault to fault; in a short time each kind comes once."""
        return min(FAULT_EVERY_S, self.seconds / 6)


@dataclass
class Soak:
    """One run: a service, its clients and faults, and what was found."""

    plan: Plan
    sampler: Sampler
    faults: Faults
    journal: Journal

    async def run(self, url: str, token: str) -> list[judge.Finding]:
        """Load with faults, rest, renew the workers under load, rest; returns what was found."""
        gate, stop = asyncio.Event(), asyncio.Event()
        before = await self._rest(gate)
        elder = self.faults.worker_processes()[0].pid
        gate.set()
        async with asyncio.TaskGroup() as group:
            for number in range(self.plan.clients):
                group.create_task(Client(number, url, self.journal).run(gate, stop))
            administrator = Client(self.plan.clients, url, self.journal)
            group.create_task(administer(administrator, token, gate, stop))
            faults = [self.faults.vanish, self.faults.kill, self.faults.freeze]
            await self._weather(self.plan.seconds * (1 - LAST_SHARE), faults)
            taken = list(self.sampler.samples[1:])
            await self.faults.renew()
            await self._weather(self.plan.seconds * LAST_SHARE, [self.faults.vanish])
            stop.set()
        after = await self._rest(gate)
        return judge.under_load(taken, elder, self.plan.clients) + judge.at_rest(before, after)

    async def _rest(self, gate: asyncio.Event) -> Sample:
        gate.clear()
        await asyncio.sleep(self.plan.rest_s)
        return await asyncio.to_thread(self.sampler.take, self.faults.worker_processes())

    async def _weather(self, seconds: float, faults: Sequence[Callable[[], Awaitable[None]]]) -> None:
        """Bring one fault after the other, each at least once, and take samples, for so long."""
        each_came = asyncio.Event()

        async def befall() -> None:
            while True:
                for fault in faults:
                    await asyncio.sleep(self.plan.fault_every_s)
                    await fault()
                each_came.set()

        async def watch() -> None:
            pause_s = max(SHORTEST_SAMPLE_S, self.plan.seconds / SAMPLES)
            while True:
                await asyncio.sleep(pause_s)
                await asyncio.to_thread(self.sampler.take, self.faults.worker_processes())

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(befall()), group.create_task(watch())]
            await asyncio.sleep(seconds)
            await each_came.wait()
            for task in tasks:
                task.cancel()


@contextmanager
def opened(plan: Plan, directory: Path) -> Iterator[tuple[Soak, str, str]]:
    """Start a MongoDB and the service; provides the soak, the service's URL and an administrator's token."""
    temporary = directory / "temporary"
    temporary.mkdir()
    with mongod.start(directory / "mongodb") as server, MongoClient[dict[str, Any]](server.uri) as client:
        port = free_port()
        variables = serving.environment(server.uri, "soak") | {
            "SHEAF_METRICS_PORT": str(port),
            "SHEAF_OPERATION_TIMEOUT_S": str(plan.patience_s),
            "SHEAF_RATE_LIMIT_AUTH": serving.NO_LIMIT,
            "SHEAF_RATE_LIMIT_REFRESH": serving.NO_LIMIT,
            "TMPDIR": str(temporary),
        }
        command = [*serving.CLI, "serve", "--workers", str(WORKERS)]
        with serving.started(command, variables, directory / "service.log") as service:
            journal = Journal()
            url = f"http://{service.host}:{service.port}"
            sampler = Sampler(service.pid, f"http://127.0.0.1:{port}/metrics", client, temporary)
            faults = Faults(service, server.pid, WORKERS, plan.frozen_s, journal)
            yield Soak(plan, sampler, faults, journal), url, administrator(variables["SHEAF_JWT_SECRET"])


def administrator(secret: str) -> str:
    """Return the access token of an administrator."""
    who = Principal("user", str(ObjectId()), frozenset({"admin"}), session_id="soak")
    return Tokens(secret, [], "sheaf", "sheaf", TOKEN_S).issue(who)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as trial:
        return int(trial.getsockname()[1])


def soak(plan: Plan, directory: Path) -> bool:
    """Run a soak, print what it found, and tell whether all is well."""
    with opened(plan, directory) as (run, url, token):
        found = asyncio.run(run.run(url, token))
    print(report.requests(run.journal))
    print()
    print(report.findings(found))
    return not run.journal.unexplained() and not any(finding.leaks for finding in found)


def main() -> None:
    """Read the flags, run, and exit with 1 if something is not as it should be."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long clients ask (30)")
    parser.add_argument("--clients", type=int, default=16, help="how many clients ask (16)")
    parser.add_argument("--frozen", type=float, default=2.0, help="seconds that MongoDB is frozen for (2)")
    waits = "seconds that the service waits for MongoDB (5): more where the machine has much else to do"
    parser.add_argument("--patience", type=float, default=PATIENCE_S, help=waits)
    parser.add_argument("--keep", type=Path, help="a new directory that keeps the logs")
    chosen = parser.parse_args()
    plan = Plan(chosen.minutes * 60, chosen.clients, chosen.frozen, patience_s=chosen.patience)
    with tempfile.TemporaryDirectory(prefix="sheaf-soak-") as temporary:
        directory = chosen.keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        sys.exit(0 if soak(plan, directory) else 1)


if __name__ == "__main__":
    main()
