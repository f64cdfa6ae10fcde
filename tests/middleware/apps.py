"""Small ASGI applications, and the client that asks them."""

from collections.abc import Sequence
from typing import Any

import httpx
from litestar.types import ASGIApp, Receive, Scope, Send

from service.http.pipeline.runner import Pipeline
from service.http.pipeline.step import Step

Pairs = Sequence[tuple[bytes, bytes]]


def answering(body: bytes = b"{}", *, status: int = 200, headers: Pairs = ()) -> ASGIApp:
    """Return an application that answers everything alike."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return app


def raising(error: Exception) -> ASGIApp:
    """Return an application that fails before it answers."""

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise error

    return app


def echoing() -> ASGIApp:
    """Return an application that reads the whole body and answers with it."""

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message: Any = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        await answering(body)(_scope, receive, send)

    return app


def wrap(app: ASGIApp, *outermost_first: Step) -> ASGIApp:
    """Put steps of a pipeline around an application."""
    return Pipeline(app, outermost_first)


def client_of(app: Any, address: str = "192.0.2.1") -> httpx.AsyncClient:
    """Return a client of an application that comes from `address`."""
    transport = httpx.ASGITransport(app, client=(address, 50_000))
    return httpx.AsyncClient(
        transport=transport, base_url="http://sheaf.test", headers={"accept-encoding": ""}
    )


async def get(app: ASGIApp, path: str = "/api/films", **headers: str) -> httpx.Response:
    """Ask for a path; `if_match` is the header `if-match`."""
    return await ask(app, "GET", path, **headers)


async def ask(app: ASGIApp, method: str, path: str = "/api/films", **headers: str) -> httpx.Response:
    """Send a request without a body."""
    async with client_of(app) as client:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await client.request(method, path, headers=named)
