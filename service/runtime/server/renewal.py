"""The rolling restart: one worker after the other gets a successor, and goes when that is ready."""

import time
from collections.abc import Callable

import structlog
from granian.server.mp import WorkerProcess

from service.runtime.server.crew import Crew, Member

PATIENCE_S = 60.0
"""How long a successor may take to be ready."""

log = structlog.get_logger("sheaf.server")


class Renewal:
    """Renews a crew, step by step: whoever is of an older generation than the present one is followed."""

    def __init__(self, crew: Crew) -> None:
        self.generation = 0
        self._crew = crew
        self._began_s: float | None = None

    def ask(self) -> None:
        """Have every worker of now followed by a new one."""
        self.generation += 1

    def go_on(self, spawn: Callable[[int], WorkerProcess]) -> None:
        """Take the next step that can be taken now, if there is one."""
        crew = self._crew
        outdated = self._outdated()
        if not outdated and len(crew.serving) <= crew.workers:
            self._finish()
            return
        if self._began_s is None:
            self._began_s = time.monotonic()
            log.info("renewing", workers=len(outdated))
        if crew.leaving:
            return
        if len(crew.serving) <= crew.workers:
            crew.add(spawn, self.generation)
            return
        waited_for = [one for one in crew.serving if one not in outdated and not crew.is_ready(one)]
        if not waited_for:
            min(outdated or crew.serving, key=crew.is_ready).move()  # first what does not serve yet
        elif waited_for[0].age_s > PATIENCE_S:
            waited_for[0].move()
            waited_for[0].kill()
            self._give_up(f"a new worker was not ready after {PATIENCE_S:.0f} s")

    def is_given_up(self, failed: list[Member], sentence: str | None) -> bool:
        """Give the renewal up if it was the successor that failed to start; tells whether it was.

        The old workers serve on.
        """
        if not failed or not self._outdated() or len(self._crew.serving) < self._crew.workers:
            return False
        self._give_up(sentence or "a new worker could not start, the log above says why")
        return True

    def _outdated(self) -> list[Member]:
        return [member for member in self._crew.serving if member.generation < self.generation]

    def _give_up(self, reason: str) -> None:
        for member in self._crew.serving:
            member.generation = self.generation
        self._began_s = None
        log.error("renewal given up", reason=reason.rstrip("."), hint="The old workers serve on.")

    def _finish(self) -> None:
        if self._began_s is not None and not self._crew.leaving:
            log.info("renewed", duration_s=round(time.monotonic() - self._began_s, 1))
            self._began_s = None
