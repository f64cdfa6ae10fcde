"""WebSockets (RFC 6455): how their handshakes are refused, and with which codes they are closed."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from litestar.types import Receive, Scope, Send

NORMAL: Final = 1000
UNSUPPORTED: Final = 1003
NOT_JSON: Final = 1007
POLICY: Final = 1008
TOO_LARGE: Final = 1009
INTERNAL: Final = 1011
RESTARTING: Final = 1012
UNAUTHORIZED: Final = 3000
"""Registered at IANA (WebSocket Close Code Number Registry), as those before it are."""

PROTOCOL = "sheaf"
TOKEN_PROTOCOL = f"{PROTOCOL}.bearer."
"""What a client offers beside PROTOCOL, with its token: pages cannot set the headers of a handshake."""

OF_HTTP = {"ws": "http", "wss": "https"}
"""The schemes of the pages that are of one origin with a WebSocket."""


def subprotocols_of(scope: Scope) -> Sequence[str]:
    """Return the subprotocols that a client offers."""
    found: Sequence[str] = scope.get("subprotocols") or ()  # type: ignore[assignment]  # of WebSockets alone
    return found


def token_of(scope: Scope) -> str | None:
    """Return the token among the subprotocols that a client offers."""
    found = (each for each in subprotocols_of(scope) if each.startswith(TOKEN_PROTOCOL))
    token = next(found, None)
    return None if token is None else token.removeprefix(TOKEN_PROTOCOL)


class Refusal(NamedTuple):
    """How a handshake is answered that is refused."""

    status: int
    headers: Iterable[tuple[bytes, bytes]]
    body: bytes


async def refuse(scope: Scope, receive: Receive, send: Send, refusal: Refusal) -> None:
    """Answer a handshake with a problem, where the server can, else with a bare 403."""
    status, headers, body = refusal
    await receive()
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": POLICY, "reason": ""})
        return
    start: Any = {"type": "websocket.http.response.start", "status": status, "headers": [*headers]}
    last: Any = {"type": "websocket.http.response.body", "body": body, "more_body": False}
    await send(start)
    await send(last)


class Socket:
    """One open WebSocket. Once its client has left, sending does nothing: some servers would raise then."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._has_left = False

    async def accept(self, subprotocol: str | None) -> None:
        """Answer the handshake."""
        await self._receive()
        accepted: Any = {"type": "websocket.accept", "subprotocol": subprotocol, "headers": []}
        await self._send(accepted)

    async def receive(self) -> str | bytes | None:
        """Return the next message, None once the client has left."""
        message: Any = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._has_left = True
            return None
        text: str | None = message.get("text")
        found: str | bytes = message.get("bytes") or b"" if text is None else text
        return found

    async def send(self, text: bytes) -> None:
        """Send a message."""
        await self._send_if_there({"type": "websocket.send", "text": text.decode()})

    async def close(self, code: int) -> None:
        """Close it; nothing may be waiting in `receive`, or some servers send no code."""
        await self._send_if_there({"type": "websocket.close", "code": code, "reason": ""})
        self._has_left = True

    async def _send_if_there(self, message: Any) -> None:
        if self._has_left:
            return
        try:
            await self._send(message)
        except (OSError, RuntimeError):
            self._has_left = True
