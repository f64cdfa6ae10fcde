"""Requests leave nothing behind that only garbage collection would find, which costs more than they do."""

import gc
from typing import Any

import pytest
from litestar import Litestar

from service.http.pipeline.step import Exchange

KEEPS_DEFINITIONS = True

NAIL = b'{"name": "Nail", "price": 1}'


async def ask(app: Any, method: str, path: str, body: bytes, headers: dict[str, str]) -> int:
    """Send a request as a server does; returns the status."""
    status = 0

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]

    lines = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), *lines],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {},
    }
    await app(scope, receive, send)
    return status


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/api/products", b"", 200),
        ("GET", "/api/products/5" + "0" * 23, b"", 404),
        ("GET", "/api/nothing/at/all", b"", 404),
        ("POST", "/api/products", NAIL, 201),
        ("POST", "/api/products", b"{", 400),
        ("POST", "/api/products/query", b"{}", 200),
    ],
)
async def test_request_leaves_no_reference_cycles(
    app: Litestar, admin: dict[str, str], method: str, path: str, body: bytes, expected: int
) -> None:
    headers = {"content-type": "application/json", **admin} if body else {}
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            assert await ask(app, method, path, body, headers) == expected
        left = [each for each in gc.get_objects() if type(each) is Exchange]
    finally:
        gc.enable()
    assert left == []
