"""The rolling restart: one worker after the other gets a successor, and ends when that is ready."""

import time
from collections.abc import Callable

import structlog
from granian.server.mp import WorkerProcess

from service.runtime.server.worker_pool import Worker, WorkerPool

PATIENCE_S = 60.0
"""How long a successor may take to be ready."""

log = structlog.get_logger("sheaf.server")


class Renewal:
    """Renews a pool, step by step: workers of an older generation than the present one get a successor."""

    def __init__(self, pool: WorkerPool) -> None:
        self.generation = 0
        self._pool = pool
        self._began_s: float | None = None

    def ask(self) -> None:
        """Give every worker of now a successor."""
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
        elif waited_for[0].age_s > PATIENCE_S:
            waited_for[0].move()
            waited_for[0].kill()
            self._give_up(f"a new worker was not ready after {PATIENCE_S:.0f} s")

    def is_given_up(self, failed: list[Worker], sentence: str | None) -> bool:
        """Give the renewal up if it was the successor that failed to start; returns whether it was.

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
