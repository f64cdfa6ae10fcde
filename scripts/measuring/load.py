"""The load generator, a process of its own: reads jobs, one a line, and writes what came of each.

Requests are bytes that were made beforehand; each connection sends the next when it has the whole answer to
the one before. No library on PyPI does this for less than about 100 µs of CPU per request (they stand on
aiohttp or httpx), which on a small machine would be taken from the service that is measured.
"""

import asyncio
import gc
import json
import sys
import time
from array import array
from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import cycle
from typing import Any

import psutil
import uvloop

from scripts.measuring import answers

PATIENCE_S = 15.0
"""What is still waited for after the last request was sent."""

Expectation = tuple[bytes, int, bytes, int]
"""The request, and of its answer: status, first bytes, fewest bytes."""


@dataclass(frozen=True)
class Job:
    """What to send where, for how long, and the processes whose CPU time is read meanwhile."""

    host: str
    port: int
    connections: int
    seconds: float
    lead_s: float
    requests: list[tuple[str, int, str, int]]
    processes: dict[str, list[int]] = field(default_factory=dict)
    count: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a job; `errors` counts, by kind, the requests that no right answer came to."""

    requests: int
    errors: dict[str, int]
    seconds: float
    p50_us: float
    p99_us: float
    cpu_us: dict[str, float]
    """CPU time for each right answer, by process."""


class Load:
    """Keeps so many connections busy."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._turns = cycle(wire(job))
        self._connections: set[Connection] = set()
        self._busy = 0
        self._all_rest = asyncio.Event()
        self._ends_s = 0.0
        self._left = 0
        self._opening: set[asyncio.Task[None]] = set()
        self.latencies_s = array("d")
        self.errors: Counter[str] = Counter()

    async def phase(self, seconds: float, count: int | None) -> float:
        """Send for so long, or so many, and wait for the answers; give the seconds that it took."""
        self.latencies_s = array("d")
        self.errors.clear()
        while len(self._connections) < self._job.connections:
            await self._open()
        began_s = time.perf_counter()
        self._ends_s = began_s + seconds
        self._left = sys.maxsize if count is None else count
        self._all_rest.clear()
        self._busy = len(self._connections)
        for connection in tuple(self._connections):
            connection.ask()
        try:
            async with asyncio.timeout(seconds + PATIENCE_S):
                await self._all_rest.wait()
        except TimeoutError:
            self.errors["timeout"] += self._busy
            for connection in self._connections:
                connection.abandon()
        return time.perf_counter() - began_s

    def turn(self, now_s: float) -> Expectation | None:
        """Return what is to be asked next; None when it is enough, and the connection rests."""
        if now_s < self._ends_s and self._left > 0:
            self._left -= 1
            return next(self._turns)
        self._rest()
        return None

    def lost(self, connection: "Connection", *, was_asking: bool) -> None:
        """Forget a connection that ended; if a request was under way on it, count that and open another."""
        self._connections.discard(connection)
        if was_asking:
            self.errors["connection closed"] += 1
            task = asyncio.get_running_loop().create_task(self._reopen())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _rest(self) -> None:
        self._busy -= 1
        if not self._busy:
            self._all_rest.set()

    async def _reopen(self) -> None:
        try:
            connection = await self._open()
        except OSError:
            self.errors["connection refused"] += 1
            self._rest()
        else:
            connection.ask()

    async def _open(self) -> "Connection":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(self), self._job.host, self._job.port)
        self._connections.add(connection)
        return connection


class Connection(asyncio.Protocol):
    """One connection: asks, reads the whole answer, judges it, asks again."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = b""
        self._asked: Expectation | None = None
        self._asked_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport: Any = transport

    def connection_lost(self, _: Exception | None) -> None:
        """Report to the load, which opens another one."""
        self._load.lost(self, was_asking=self._asked is not None)

    def abandon(self) -> None:
        """Close it, whatever is under way."""
        self._asked = None
        self._transport.abort()

    def ask(self) -> None:
        """Send the next request, or rest."""
        now_s = time.perf_counter()
        self._asked = asked = self._load.turn(now_s)
        if asked is not None:
            self._asked_s = now_s
            self._transport.write(asked[0])

    def data_received(self, data: bytes) -> None:
        """Judge the answer when it is whole."""
        now_s = time.perf_counter()
        received = self._received + data if self._received else data
        try:
            answer = answers.read(received)
        except answers.UnreadableAnswerError as error:
            self._load.errors[str(error)] += 1
            self._transport.abort()
            return
        if answer is None:
            self._received = received
            return
        self._received = b""
        self._judge(received, answer, now_s)
        self.ask()

    def _judge(self, received: bytes, answer: answers.Answer, now_s: float) -> None:
        if self._asked is None or answer.end != len(received):
            self._load.errors["more than was asked for"] += 1
            return
        _, status, starts, at_least = self._asked
        if answer.status != status:
            self._load.errors[f"status {answer.status}"] += 1
        elif answer.end - answer.body_at < at_least or not received.startswith(starts, answer.body_at):
            self._load.errors["wrong shape"] += 1
        else:
            self._load.latencies_s.append(now_s - self._asked_s)


def wire(job: Job) -> list[Expectation]:
    """Return the requests of a job as bytes."""
    return [(text.encode(), status, starts.encode(), least) for text, status, starts, least in job.requests]


def percentile(ordered: "array[float] | list[float]", share: float) -> float:
    """Return the least of the ordered values that at least this share of them does not exceed.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5), percentile([1.0, 2.0, 3.0, 4.0], 0.99)
    (2.0, 4.0)
    """
    rank = -(-len(ordered) * round(share * 1000) // 1000)  # rounded up
    return ordered[max(rank, 1) - 1] if ordered else 0.0


def cpu_s(pids: list[int]) -> float:
    """Return the CPU time of processes so far, in seconds."""
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return sum(each.user + each.system for each in times)


async def measure(job: Job) -> Outcome:
    """Do a job: first the lead, which is not counted, then what is."""
    load = Load(job)
    if job.lead_s:
        await load.phase(job.lead_s, None)
    gc.collect()
    gc.disable()
    before = {name: cpu_s(pids) for name, pids in job.processes.items()}
    own_s = time.process_time()
    seconds = await load.phase(job.seconds, job.count)
    used = {name: cpu_s(pids) - before[name] for name, pids in job.processes.items()}
    used["generator"] = time.process_time() - own_s
    good = len(load.latencies_s)
    ordered = sorted(load.latencies_s)
    return Outcome(
        requests=good,
        errors=dict(load.errors),
        seconds=seconds,
        p50_us=percentile(ordered, 0.5) * 1e6,
        p99_us=percentile(ordered, 0.99) * 1e6,
        cpu_us={name: seconds / max(good, 1) * 1e6 for name, seconds in used.items()},
    )


def main() -> None:
    """Do the jobs that standard input describes, until it ends."""
    for line in sys.stdin:
        gc.enable()
        outcome = uvloop.run(measure(Job(**json.loads(line))))
        print(json.dumps(asdict(outcome)), flush=True)


if __name__ == "__main__":
    main()
