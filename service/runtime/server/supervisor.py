"""The main process: starts the workers, replaces the dead, drains and stops on a signal."""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from http.client import HTTPConnection, HTTPException
from multiprocessing.queues import SimpleQueue
from multiprocessing.sharedctypes import RawArray
from typing import Any

import structlog
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer, WorkerProcess

from service.kit.errors import StartupFailure
from service.kit.tasks import Backoff
from service.runtime.metrics import SIZE_BYTES, Cells, Exposition, WorkerState
from service.runtime.server.address import Address, find
from service.runtime.server.listening import BACKLOG, USUAL, Connections, Listening
from service.runtime.server.scraping import Scraping, scraped
from service.runtime.server.worker import READINESS, Loader
from service.runtime.server.worker_pool import Worker, WorkerPool

RENEWAL_PATIENCE_S = 60.0
"""How long a successor may take to be ready."""


class Renewal:
    """Renews a pool, step by step: workers of an older generation than the present one get a successor."""

    def __init__(self, pool: WorkerPool) -> None:
        self.generation = 0
        self._pool = pool
        self._began_s: float | None = None

    def ask(self) -> None:
        """Have every present worker replaced by a successor."""
        self.generation += 1

    def go_on(self, spawn: Callable[[int], WorkerProcess]) -> None:
        """Take the next step that can be taken now, if there is one."""
        pool = self._pool
        outdated = self._outdated()
        if not outdated and len(pool.serving) <= pool.size:
            self._finish()
            return
        if self._began_s is None:
            self._began_s = time.monotonic()
            log.info("renewing", workers=len(outdated))
        if pool.leaving:
            return
        if len(pool.serving) <= pool.size:
            pool.add(spawn, self.generation)
            return
        waited_for = [one for one in pool.serving if one not in outdated and not pool.is_ready(one)]
        if not waited_for:
            min(outdated or pool.serving, key=pool.is_ready).move()  # first what does not serve yet
        elif waited_for[0].age_s > RENEWAL_PATIENCE_S:
            waited_for[0].move()
            waited_for[0].kill()
            self._give_up(f"a new worker was not ready after {RENEWAL_PATIENCE_S:.0f} s")

    def is_given_up(self, failed: list[Worker], sentence: str | None) -> bool:
        """Return the renewal up if it was the successor that failed to start; returns whether it was.

        The old workers serve on.
        """
        if not failed or not self._outdated() or len(self._pool.serving) < self._pool.size:
            return False
        self._give_up(sentence or "a new worker could not start, the log above says why")
        return True

    def _outdated(self) -> list[Worker]:
        return [worker for worker in self._pool.serving if worker.generation < self.generation]

    def _give_up(self, reason: str) -> None:
        for worker in self._pool.serving:
            worker.generation = self.generation
        self._began_s = None
        log.error("renewal given up", reason=reason.rstrip("."), hint="The old workers serve on.")

    def _finish(self) -> None:
        if self._began_s is not None and not self._pool.leaving:
            log.info("renewed", duration_s=round(time.monotonic() - self._began_s, 1))
            self._began_s = None


TICK_S = 0.05
"""How often the main process looks after its workers."""


LARGE_BYTES = 1_048_576
"""From this size on, memory of workers is the system's again once it is free: Argon2 takes 19 MiB each time.

By glibc, which would raise the bound to that size and then keep it; others do not know it.
"""

FAILED_STARTS = 5
"""How many replacements in a row may fail to start before the service gives up, if no worker is left."""

RETRY = Backoff(0.1, 10.0)
"""How long the start of a worker waits after one that failed; doubled with each."""

THROUGH_OUR_LOGS = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {"_granian": {"handlers": [], "propagate": True}},
}
"""Granian's logging without its own handlers."""

EAGER_S, PATIENT_S = 0.05, 0.5
"""How often readiness is asked for, before and after it takes too long."""

log = structlog.get_logger("sheaf.server")


def run(
    target: str,
    *,
    host: str,
    port: int,
    workers: int,
    drain_delay_s: float,
    drain_timeout_s: int,
    patience_s: float,
    on_ready: Callable[[str], None],
    scraping: Scraping | None = None,
    connections: Connections = USUAL,
) -> None:
    """Serve the ASGI factory `target` ("module:function") until SIGTERM or SIGINT, then drain.

    SIGHUP, but a terminal's, puts new workers into the place of those that run. `port` 0 takes a free one.
    `on_ready` is called once, with the URL, when all workers run and readiness is 200; what takes longer than
    `patience_s` is logged. With `scraping` metrics are answered meanwhile. A second signal cuts off what is
    in flight and raises SystemExit. Raises StartupFailure when the service cannot start or cannot go on.
    """
    address = find(host, port)
    server = Server(
        target,
        address,
        workers,
        drain_delay_s,
        drain_timeout_s,
        connections=connections,
        is_measured=scraping is not None,
    )
    threading.Thread(
        target=announce,
        args=(address,),
        kwargs={
            "is_up": server.is_up,
            "is_over": server.over.is_set,
            "patience_s": patience_s,
            "on_ready": on_ready,
        },
        daemon=True,
    ).start()
    try:
        with (
            server.scraped(scraping),
            suppress(SystemExit),  # Granian counts a worker that the same signal reached as a failure
        ):
            server.serve(target_loader=server.loader, wrap_loader=False)
    finally:
        server.over.set()
    if server.failure is not None:
        raise StartupFailure(server.failure)
    if len(server.signals) > 1:
        raise SystemExit(128 + server.signals[-1])


class Server(MPServer):
    """Granian's server under our own watch, because its own neither drains nor tells why a worker failed."""

    def __init__(
        self,
        target: str,
        address: Address,
        workers: int,
        drain_delay_s: float,
        drain_timeout_s: int,
        *,
        connections: Connections,
        is_measured: bool = False,
    ) -> None:
        os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(LARGE_BYTES))
        multiprocessing.set_start_method(
            "spawn", force=True
        )  # forking a process that has threads can deadlock
        super().__init__(
            target,
            address=address.ip,
            port=address.port,
            interface=Interfaces.ASGI,
            workers=workers,
            loop=Loops.auto,
            backlog=BACKLOG,
            backpressure=connections.within_file_limit(),
            http=HTTPModes.http1,  # telling HTTP/2 from it would wait for a silent client without end
            http1_settings=HTTP1Settings(header_read_timeout=round(connections.idle_s * 1000)),
            log_level=LogLevels.warning,
            log_dictconfig=THROUGH_OUR_LOGS,
            workers_kill_timeout=drain_timeout_s,
        )
        logging.getLogger("_granian").setLevel(logging.CRITICAL)  # in this process we say it ourselves
        self.listening = Listening(address, workers + 1, stall_s=connections.stall_s)
        self.pool = WorkerPool(workers, drain_timeout_s)
        self.drain_delay_s = drain_delay_s
        self.drain_timeout_s = drain_timeout_s
        self.sentences: SimpleQueue[str] = multiprocessing.SimpleQueue()
        self.measures = tuple(
            RawArray("d", SIZE_BYTES // 8) for _ in range(len(self.pool.starts) if is_measured else 0)
        )
        self.replacements = 0
        self.loader = Loader(
            target, self.pool.cells, self.pool.starts, self.sentences, drain_timeout_s, self.measures
        )
        self.renewal = Renewal(self.pool)
        self.is_of_terminal = os.isatty(0)
        self.signals: list[int] = []
        self.failure: str | None = None
        self.failed_starts = 0
        self.next_start_s = 0.0
        self.has_been_up = False
        self.is_listening = False
        self.over = threading.Event()

    def is_up(self) -> bool:
        """Return whether every worker that is to serve has started."""
        serving = self.pool.serving
        return len(serving) >= self.workers and all(map(self.pool.is_up, serving))

    def scraped(self, scraping: Scraping | None) -> AbstractContextManager[object]:
        """Answer scrapes of what the workers measure, until the context ends."""
        if scraping is None:
            return nullcontext()
        cells = [*map(Cells, self.measures)]
        exposition = Exposition(cells, self._states, self.workers, lambda: self.replacements)
        return scraped(scraping, exposition)

    def _states(self) -> list[WorkerState]:
        """Return how the workers are, by their slots."""
        states = {
            one.slot: WorkerState(self.pool.is_up(one), one.drain.in_flight) for one in self.pool.workers
        }
        return [states.get(slot, WorkerState(False, 0)) for slot in range(len(self.pool.starts))]

    def signal_handler_interrupt(self, number: int = signal.SIGTERM, *_: Any, **__: Any) -> None:
        """Drain at the first signal; at the second cut off what is still in flight."""
        self.signals.append(number)
        if len(self.signals) > 1:
            for worker in self.pool.workers:
                worker.kill()
        self.interrupt_signal = True
        self.main_loop_interrupt.set()

    def signal_handler_reload(self, number: int = signal.SIGHUP, *_: Any, **__: Any) -> None:
        """Put a new worker into the place of every one; but a terminal's hangup ends what it has started."""
        if self.is_of_terminal:
            self.signal_handler_interrupt(number)
            return
        self.renewal.ask()
        self.main_loop_interrupt.set()

    def _init_shared_socket(self) -> None:
        self._ssp, self._sso = None, None
        self._shd: Any = None

    def _drop_shared_socket(self) -> None:
        self.listening.close()

    def _spawn_workers(self, spawn_target: Any, target_loader: Any) -> None:
        def spawn(slot: int) -> WorkerProcess:
            self._shd = self.listening.of(slot)
            return self._spawn_worker(slot, spawn_target, partial(target_loader, slot))

        self.spawn = spawn
        for _ in range(self.workers):
            self.pool.add(spawn, self.renewal.generation)

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:  # noqa: ARG002 - Granian's interface
        while not self.interrupt_signal and self.failure is None:
            self.main_loop_interrupt.wait(TICK_S)
            self.main_loop_interrupt.clear()
            if self.is_up():
                self.has_been_up, self.failed_starts = True, 0
            dead = self.pool.reap()
            self._direct()  # before anything that takes time: until then connections go to the dead, too
            if dead and not self._is_stopping(dead):
                self._note_deaths(dead)
            self._fill_up()
            self.pool.end_leaving()
            self.renewal.go_on(self.spawn)
            self.interrupt_children.clear()
        self.over.set()
        if self.failure is None:
            self._drain()
        self.wrks = [worker.process for worker in self.pool.workers]  # whom Granian stops

    def _is_stopping(self, dead: list[Worker]) -> bool:
        """Return whether what ended workers was meant for all: our own signal may come a moment later."""
        if any(worker.process.inner.exitcode == 0 for worker in dead):
            time.sleep(TICK_S)
        return self.interrupt_signal

    def _note_deaths(self, dead: list[Worker]) -> None:
        failed = [worker for worker in dead if not self.pool.is_up(worker)]
        sentence = None if self.sentences.empty() else self.sentences.get()
        if self.renewal.is_given_up(failed, sentence):
            return
        self.failed_starts += len(failed)
        if not self.has_been_up:
            self.failure = sentence or "A worker could not start; the log above says why."
        elif self.failed_starts >= FAILED_STARTS and not any(map(self.pool.is_up, self.pool.serving)):
            said = f"Workers failed to start {FAILED_STARTS} times in a row; the log above says why."
            self.failure = sentence or said
        else:
            log.error("workers died", replaced=len(dead), reason=sentence)
            self.replacements += len(dead)
        pause_s = RETRY.pause_s(self.failed_starts) if failed else 0.0
        self.next_start_s = time.monotonic() + pause_s

    def _fill_up(self) -> None:
        if self.failure is None and time.monotonic() >= self.next_start_s:
            for _ in range(self.pool.missing):
                self.pool.add(self.spawn, self.renewal.generation)

    def _direct(self) -> None:
        """Have new connections go to the workers that are up; until one of them is, they are refused."""
        self.listening.steer(self.pool.accepting)
        if not self.is_listening and any(map(self.pool.is_up, self.pool.serving)):
            self.listening.open()
            self.is_listening = True

    def _drain(self) -> None:
        log.info("draining", requests_in_flight=self.pool.in_flight)
        for drain in self.pool.drains:
            drain.leave()
        left_at = time.monotonic()
        self._wait(lambda: time.monotonic() - left_at >= self.drain_delay_s)
        for drain in self.pool.drains:
            drain.close()
        deadline = time.monotonic() + self.drain_timeout_s
        self._wait(lambda: not self.pool.in_flight or time.monotonic() >= deadline)
        if requests := self.pool.in_flight:
            log.warning("requests cut off", requests=requests, after_s=self.drain_timeout_s)
        self.workers_kill_timeout = max(1, round(deadline - time.monotonic()))

    def _wait(self, is_done: Callable[[], bool]) -> None:
        while not is_done() and len(self.signals) == 1:
            time.sleep(TICK_S)


def announce(
    address: Address,
    *,
    is_up: Callable[[], bool],
    is_over: Callable[[], bool],
    patience_s: float,
    on_ready: Callable[[str], None],
) -> None:
    """Call `on_ready` with the URL when every worker runs and readiness is 200, or return when it is over.

    What takes longer than `patience_s` is logged once, and waited for on.
    """
    began = time.monotonic()
    is_patient = False
    while not is_over():
        if is_up() and _status(address) == 200:  # noqa: PLR2004 - HTTP's OK
            on_ready(address.url)
            return
        if not is_patient and time.monotonic() - began > patience_s:
            is_patient = True
            log.warning(
                "not ready", waited_s=patience_s, hint="Is MongoDB reachable? It is tried again and again."
            )
        time.sleep(PATIENT_S if is_patient else EAGER_S)


def _status(address: Address) -> int | None:
    connection = HTTPConnection(address.reachable_ip, address.port, timeout=10)
    try:
        connection.request("GET", READINESS, headers={"Connection": "close"})
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
