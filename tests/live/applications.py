"""Small ASGI applications that the live tests serve, so that slowness and failure are theirs to choose."""

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn

from service.http.pipeline.draining import DrainingMiddleware
from service.http.pipeline.runner import Pipeline
from service.kit.errors import Failure, StartupFailure
from service.runtime import logs
from service.runtime.drain import Drain

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def answer(send: Send, status: int, text: str, headers: dict[str, str] | None = None) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": text.encode()})


def patient() -> Any:
    """Answer its process id, on `/slow` after a second, on `/slower` after four, on `/endless` never.

    Its health is as Sheaf's; on `/waiting` it answers how many wait for such an answer.
    """
    logs.configure("info", "json")
    drain = Drain.of_process()
    pauses_s = {"/slow": 1.0, "/slower": 4.0, "/endless": 600.0}
    waiting = 0

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        nonlocal waiting
        if scope["type"] == "lifespan":
            await live(receive, send)
        elif scope["path"] == "/waiting":
            await answer(send, HTTPStatus.OK, str(waiting))
        elif scope["path"] == "/api/health/ready":
            await answer(send, HTTPStatus.SERVICE_UNAVAILABLE if drain.is_leaving else HTTPStatus.OK, "")
        else:
            if pause_s := pauses_s.get(scope["path"]):
                waiting += 1
                await asyncio.sleep(pause_s)
                waiting -= 1
            await answer(send, HTTPStatus.OK, str(os.getpid()))

    middle = Pipeline(inner, [DrainingMiddleware(drain)])

    async def outer(scope: Any, receive: Receive, send: Send) -> None:
        try:
            await middle(scope, receive, send)  # type: ignore[arg-type]  # Litestar's scope is a narrower type
        except Failure as failure:
            await answer(send, failure.status, failure.code, failure.headers)

    return outer


async def live(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def fickle() -> Any:
    """Be `patient`, or fail as settings do while the file named by SPOILED is there."""
    if Path(os.environ["SPOILED"]).exists():
        unset()
    return patient()


def unset() -> NoReturn:
    """Fail as settings do."""
    raise StartupFailure("SHEAF_JWT_SECRET must be set.")


def broken() -> NoReturn:
    """Fail as a bug does."""
    logs.configure("info", "json")
    raise ZeroDivisionError("a bug")


def unlivable() -> Any:
    """Fail in its lifespan, the way that Litestar reports it."""
    logs.configure("info", "json")

    async def application(_scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "Traceback …"})
        raise StartupFailure("The database is too old.")

    return application
