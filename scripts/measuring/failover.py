"""Does any acknowledged write get lost when MongoDB's primary goes? `python -m scripts.measuring.failover`.

Three MongoDB servers are one replica set, and clients ask the service for all kinds of work. In each round
the primary is killed, frozen or told to step down; then what is stored is compared with what the clients
were told. The exit code is 1 when something does not hold.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import click
import httpx
from bson import ObjectId
from pymongo import MongoClient
from pymongo.read_concern import ReadConcern

from scripts.measuring.failing.clients import PATH, PATIENCE_S, Client
from scripts.measuring.failing.faults import Fault, faults
from scripts.measuring.failing.history import Guarded, History, Tally
from scripts.measuring.failing.judge import Verdict, judge
from scripts.measuring.failing.service import SECRET, Running, served
from scripts.measuring.failing.table import Result, render, row
from scripts.measuring.failing.windows import Round, measure
from service.access.principals import Principal
from service.dev.mongod import ReplicaSet, start_set
from service.identity.core.tokens import Tokens

TOKEN_TTL_S = 24 * 3600
TALLIES, GUARDED = 4, 4
"""How many documents all clients change, so that they meet."""

WARM_UP_S = 1.0
REST_TIMEOUT_S = 90.0
CALM_S, QUICK_CALM_S = 4.0, 0.5
"""How long a round lasts before its fault, and after the time in which errors may come."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is to be like."""

    rounds: int
    clients: int
    workers: int
    election_timeout_s: float
    calm_s: float
    seed: int
    only: str | None = None


class Traffic:
    """Clients that ask all the time, except while they are told to rest."""

    def __init__(self, http: httpx.AsyncClient, history: History, options: Options) -> None:
        self._gate = asyncio.Event()
        self._busy: set[int] = set()
        self._clients = [Client(number, http, history, options.seed) for number in range(options.clients)]
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(client.run(self._gate, self._busy)) for client in self._clients]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def go(self) -> None:
        """Let the clients ask."""
        self._gate.set()

    async def rest(self) -> None:
        """Wait until no client waits for an answer, or has something to repeat; they begin nothing new."""
        self._gate.clear()
        deadline_s = time.monotonic() + REST_TIMEOUT_S
        while self._busy and time.monotonic() < deadline_s:
            await asyncio.sleep(0.05)
            for task in self._tasks:
                if task.done():
                    task.result()  # a mistake of the client's own ends the run


async def run(options: Options, directory: Path) -> list[Result]:
    """Run all rounds with data in a directory, print each one's row, and give the results."""
    members = await asyncio.to_thread(
        start_set, directory / "mongodb", election_timeout_s=options.election_timeout_s
    )
    with members:
        return await run_on(members, options, directory)


async def run_on(members: ReplicaSet, options: Options, directory: Path) -> list[Result]:
    """Run all rounds on a replica set; the service's log is put into the directory."""
    with served(members.uri, workers=options.workers, log=directory / "service.log") as service:
        history = History()
        async with _connected(service) as http:
            await _share(http, history)
            async with Traffic(http, history, options) as traffic:
                traffic.go()
                await asyncio.sleep(WARM_UP_S)
                return await _rounds(options, members, service, history, traffic)


async def _rounds(
    options: Options, members: ReplicaSet, service: Running, history: History, traffic: Traffic
) -> list[Result]:
    known = [each for each in faults(options.election_timeout_s) if options.only in {None, each.name}]
    workers, results = service.workers(), []
    for number in range(1, options.rounds + 1):
        traffic.go()
        round_ = await _round(number, known[(number - 1) % len(known)], members, options.calm_s)
        await traffic.rest()
        verdict = await asyncio.to_thread(_judged, members.uri, history)
        measured = measure(round_, history.requests)
        result = Result(measured, verdict, are_workers_same=service.workers() == workers)
        results.append(result)
        click.echo(row(result))
        for sentence in result.sentences:
            click.echo(f"  round {number}: {sentence}", err=True)
    return results


async def _round(number: int, fault: Fault, members: ReplicaSet, calm_s: float) -> Round:
    """Have one fault, mend it, and wait until the time of errors is over and the set is whole again."""
    began_s = time.monotonic()
    await asyncio.sleep(calm_s)
    primary = await asyncio.to_thread(members.primary)
    fault_s = time.monotonic()
    mend = await asyncio.to_thread(fault.strike, members, primary)
    struck_s = time.monotonic()
    await asyncio.sleep(fault.lasts_s)
    await asyncio.to_thread(mend)
    await asyncio.sleep(max(0.0, fault_s + fault.allowed_s - time.monotonic()))
    await asyncio.sleep(calm_s)
    ended_s = time.monotonic()
    await asyncio.to_thread(members.wait_until_whole)
    return Round(number, fault.name, began_s, fault_s, struck_s, fault.allowed_s, ended_s)


def _judged(uri: str, history: History) -> Verdict:
    with MongoClient[dict[str, Any]](uri) as client:
        products = client["sheaf"].get_collection("products", read_concern=ReadConcern("majority"))
        return judge(history, products.find())


@asynccontextmanager
async def _connected(service: Running) -> AsyncIterator[httpx.AsyncClient]:
    """Provide the clients' connections, signed in as somebody who may do everything."""
    tokens = Tokens(SECRET, [], "sheaf", "sheaf", TOKEN_TTL_S)
    principal = Principal("user", str(ObjectId()), frozenset({"admin"}), session_id="measuring")
    headers = {"Authorization": f"Bearer {tokens.issue(principal)}"}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(
        base_url=service.url, headers=headers, timeout=PATIENCE_S, limits=limits
    ) as http:
        yield http


async def _share(http: httpx.AsyncClient, history: History) -> None:
    """Create the documents that all clients change."""
    for number in range(TALLIES):
        history.tallies[f"tally {number}"] = Tally()
    for number in range(GUARDED):
        history.guarded[f"guarded {number}"] = Guarded()
    for name in (*history.tallies, *history.guarded):
        answer = await http.post(PATH, json={"name": name, "price": 0})
        answer.raise_for_status()
        history.ids[name] = answer.json()["data"]["id"]


@click.command
@click.option("--rounds", default=10, show_default=True, help="Faults, of each kind in turn.")
@click.option("--clients", default=24, show_default=True, help="Clients that ask at once.")
@click.option("--workers", default=2, show_default=True, help="Processes of the service.")
@click.option("--election-timeout", "election_timeout_s", default=2.0, show_default=True, help="Seconds.")
@click.option("--only", type=click.Choice([each.name for each in faults(0)]), help="One kind of fault.")
@click.option("--quick", is_flag=True, help="Three rounds, with little time between them.")
@click.option("--seed", default=1, show_default=True, help="Of what the clients choose to do.")
@click.option("--keep", type=click.Path(path_type=Path), help="Directory for data and logs, to be kept.")
def main(*, quick: bool, keep: Path | None, rounds: int, **chosen: Any) -> None:
    """Kill, freeze and step down the primary of a replica set under load; show what came of it."""
    options = Options(rounds=3 if quick else rounds, calm_s=QUICK_CALM_S if quick else CALM_S, **chosen)
    if keep is not None:
        results = asyncio.run(run(options, keep.absolute()))
    else:
        with tempfile.TemporaryDirectory() as directory:
            results = asyncio.run(run(options, Path(directory)))
    click.echo()
    click.echo(render(results))
    sys.exit(1 if any(result.sentences for result in results) else 0)


if __name__ == "__main__":
    main()
