"""The main process: starts the workers, replaces the dead, drains and stops on a signal."""

import logging
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.queues import SimpleQueue
from multiprocessing.sharedctypes import RawArray
from typing import Any

import structlog
from granian.constants import Interfaces, Loops
from granian.log import LogLevels
from granian.server.mp import MPServer, WorkerProcess

from service.drain import Drain
from service.errors import StartupFailure
from service.server.address import Address, find
from service.server.announcement import announce
from service.server.worker import Loader

TICK_S = 0.05
"""How often the main process looks after its workers."""

BACKLOG = 2048
"""Connections that may wait for a worker to accept them."""

CONNECTIONS = 8192
"""Connections that one worker holds at the most; streams keep theirs, so it is far above the usual load."""

FAILED_STARTS = 5
"""How many replacements in a row may fail to start before the service gives up."""

THROUGH_OUR_LOGS = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {"_granian": {"handlers": [], "propagate": True}},
}
"""Granian's logging without its own handlers."""

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
) -> None:
    """Serve the ASGI factory `target` ("module:function") until SIGTERM, SIGINT or SIGHUP, then drain.

    `port` 0 takes a free one. `on_ready` is called once, with the URL, when
    all workers run and readiness is 200; if that takes longer than `patience_s` it is logged. A second signal
    cuts off what is in flight and raises SystemExit. Raises StartupFailure when the service cannot start or
    cannot go on.
    """
    address = find(host, port)
    server = Server(target, address, workers, drain_delay_s, drain_timeout_s)
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
        with suppress(SystemExit):  # Granian counts a worker that the same signal reached as a failure
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
        self, target: str, address: Address, workers: int, drain_delay_s: float, drain_timeout_s: int
    ) -> None:
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
            backpressure=CONNECTIONS,
            log_level=LogLevels.warning,
            log_dictconfig=THROUGH_OUR_LOGS,
            workers_kill_timeout=drain_timeout_s,
        )
        logging.getLogger("_granian").setLevel(logging.CRITICAL)  # in this process we say it ourselves
        cells = RawArray("i", 1 + workers)
        self.drain = Drain()
        self.drain.share(cells, 0)
        self.cells = cells
        self.drain_delay_s = drain_delay_s
        self.drain_timeout_s = drain_timeout_s
        self.starts = RawArray("i", workers)
        self.sentences: SimpleQueue[str] = multiprocessing.SimpleQueue()
        self.loader = Loader(target, cells, self.starts, self.sentences, drain_timeout_s)
        self.signals: list[int] = []
        self.failure: str | None = None
        self.failed_starts = 0
        self.has_been_up = False
        self.over = threading.Event()

    def is_up(self) -> bool:
        """Tell whether every worker of now has started."""
        return all(self.starts)

    def signal_handler_interrupt(self, number: int = signal.SIGTERM, *_: Any, **__: Any) -> None:
        """Drain at the first signal; at the second cut off what is still in flight."""
        self.signals.append(number)
        if len(self.signals) > 1:
            for worker in self.wrks:
                with suppress(
                    AttributeError, ValueError
                ):  # one that is only being started has no process yet
                    worker.inner.kill()
        self.interrupt_signal = True
        self.main_loop_interrupt.set()

    signal_handler_reload = signal_handler_interrupt

    def _spawn_worker(  # type: ignore[override]  # Granian's own servers leave out the abstract one's socket
        self, idx: int, target: Any, callback_loader: Any
    ) -> WorkerProcess:
        self.starts[idx] = 0
        return super()._spawn_worker(idx, target, partial(callback_loader, idx))

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:
        while not self.interrupt_signal and self.failure is None:
            self.main_loop_interrupt.wait(TICK_S)
            self.main_loop_interrupt.clear()
            if self.is_up():
                self.has_been_up, self.failed_starts = True, 0
            dead = [worker.idx for worker in self.wrks if not worker.inner.is_alive()]
            if dead and not self._is_stopping():
                self._replace(dead, spawn_target, target_loader)
        self.over.set()
        if self.failure is None:
            self._drain()

    def _is_stopping(self) -> bool:
        """Tell, a moment later, whether the signal that ended a worker was meant for all of us."""
        time.sleep(TICK_S)
        return self.interrupt_signal

    def _replace(self, dead: list[int], spawn_target: Any, target_loader: Any) -> None:
        self.failed_starts += sum(not self.starts[slot] for slot in dead)
        if not self.sentences.empty():
            self.failure = self.sentences.get()
        elif not self.has_been_up:
            self.failure = "A worker could not start; the log above says why."
        elif self.failed_starts >= FAILED_STARTS:
            self.failure = f"Workers failed to start {FAILED_STARTS} times in a row; the log above says why."
        else:
            log.error("workers died", replaced=len(dead))
            self._respawn_workers(dead, spawn_target, target_loader)

    def _drain(self) -> None:
        log.info("draining", requests_in_flight=self._in_flight())
        self.drain.leave()
        left_at = time.monotonic()
        self._wait(lambda: time.monotonic() - left_at >= self.drain_delay_s)
        self.drain.close()
        deadline = time.monotonic() + self.drain_timeout_s
        self._wait(lambda: not self._in_flight() or time.monotonic() >= deadline)
        if requests := self._in_flight():
            log.warning("requests cut off", requests=requests, after_s=self.drain_timeout_s)
        self.workers_kill_timeout = max(1, round(deadline - time.monotonic()))

    def _in_flight(self) -> int:
        return sum(self.cells[1 + worker.idx] for worker in self.wrks if worker.inner.is_alive())

    def _wait(self, is_done: Callable[[], bool]) -> None:
        while not is_done() and len(self.signals) == 1:
            time.sleep(TICK_S)
