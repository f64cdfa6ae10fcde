"""What a worker process does before the application runs, and around its lifespan."""

import asyncio
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from ctypes import Array, c_double, c_int
from dataclasses import dataclass
from http import HTTPStatus
from importlib import import_module
from multiprocessing.queues import SimpleQueue
from typing import Any, NoReturn

import structlog

from service.kit.errors import StartupFailure
from service.kit.tasks import Attempts, Backoff
from service.runtime.drain import Cells, Drain
from service.runtime.metrics import Meter
from service.runtime.server import listening

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

STARTING, UP, READY = range(3)
"""How far the start of a worker has come: READY once its own readiness has been 200."""

READINESS = "/api/health/ready"
LOOK_AGAIN_S = 0.005
ASK_AGAIN = Backoff(0.1, 1.0)

GARBAGE_THRESHOLDS = 20_000, 20, 20
"""After how many new objects, and how many such rounds, garbage is looked for."""

log = structlog.get_logger("sheaf.server")


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads the application in a new process, where it is sent whole: it holds only what can be shared."""

    target: str
    cells: Cells
    starts: "Array[c_int]"
    sentences: "SimpleQueue[str]"
    drain_timeout_s: int
    measures: "tuple[Array[c_double], ...]" = ()

    def __call__(self, slot: int) -> Application:
        """Set this process up as the worker in `slot`; returns its application.

        A StartupFailure goes to the main process as its sentence, anything else to the log; both end this
        process.
        """
        _leave_the_foreground()
        threading.Thread(target=_end_with_parent, args=(self.drain_timeout_s,), daemon=True).start()
        Drain.of_process().share(self.cells, slot)
        if self.measures:
            Meter.of_process().share(self.measures[slot])
        module, _, factory = self.target.partition(":")
        try:
            application: Application = getattr(import_module(module), factory)()
        except Exception as error:  # noqa: BLE001 - whatever it is, this process is over
            self._give_up(error)

        def watched(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> Awaitable[None]:
            if scope["type"] == "lifespan":
                return self._live(application, slot, scope, receive, send)
            return application(scope, receive, send)

        return watched

    async def _live(
        self,
        application: Application,
        slot: int,
        scope: MutableMapping[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        """Run the lifespan, noting that it is up; a failed start ends the process here, with its reason."""
        reason: Exception = RuntimeError("the lifespan ended before the application was up")
        asking: asyncio.Task[None] | None = None

        async def heed() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown" and asking is not None:
                asking.cancel()
            return message

        async def note(message: Message) -> None:
            nonlocal reason, asking
            if message["type"] == "lifespan.startup.failed":
                reason = RuntimeError(message.get("message") or str(reason))
                return
            if message["type"] == "lifespan.startup.complete":
                self.starts[slot] = UP
                _spare_garbage_collection()
                while not listening.is_open():  # noqa: ASYNC110 - another process opens it
                    await asyncio.sleep(LOOK_AGAIN_S)
                asking = asyncio.create_task(self._note_readiness(application, slot, scope))
            await send(message)

        try:
            await application(scope, heed, note)
        except Exception as error:
            if self.starts[slot]:
                log.exception("shutdown failed")
                raise
            reason = error
        if not self.starts[slot]:
            self._give_up(reason)

    async def _note_readiness(
        self, application: Application, slot: int, lifespan: MutableMapping[str, Any]
    ) -> None:
        """Ask the application itself until it is ready: over the shared address, any worker might answer."""
        async for _ in Attempts(ASK_AGAIN):
            if await _status(application, lifespan) == HTTPStatus.OK:
                break
        self.starts[slot] = READY

    def _give_up(self, error: Exception) -> NoReturn:
        while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        if isinstance(error, StartupFailure):
            self.sentences.put(str(error))
        else:
            log.error("worker failed", exc_info=error)
        sys.stderr.flush()
        os._exit(1)


async def _status(application: Application, lifespan: MutableMapping[str, Any]) -> int | None:
    """Return the status of the application's readiness; None without an answer."""
    status: int | None = None

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]

    scope = {
        "type": "http",
        "asgi": lifespan["asgi"],
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": READINESS,
        "raw_path": READINESS.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
        "state": dict(lifespan.get("state") or {}),
    }
    with suppress(Exception):  # a bug of readiness is in the log, and is not ready
        await application(scope, receive, send)
    return status


def _spare_garbage_collection() -> None:
    """Have what is there for good not be looked at, and the rest less often.

    With thousands of requests in work, looking took a third of the time, and found nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def _leave_the_foreground() -> None:
    """Keep Ctrl-C, which a terminal sends to its whole foreground group, for the main process to act on."""
    if sys.platform != "win32":
        os.setpgid(0, 0)


def _end_with_parent(drain_timeout_s: int) -> None:
    """Stop when the main process is gone, however it went, so that no worker is left behind."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(drain_timeout_s)
    os._exit(1)
