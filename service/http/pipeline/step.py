"""A request on its way through the pipeline, and what a step may do about it: the one base of all steps."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, TypeAlias, cast

from litestar.types import (
    HTTPReceiveMessage,
    HTTPResponseStartEvent,
    HTTPScope,
    Message,
    Receive,
    Scope,
    Send,
)
from litestar.types.asgi_types import WebSocketReceiveMessage
from litestar.utils import normalize_path

from service.http.pipeline.headers import Headers
from service.runtime.deadline import Clock

Completion = Callable[["Exchange", HTTPResponseStartEvent], None]
Receiving = Callable[["Exchange", Receive], Receive]
Received: TypeAlias = HTTPReceiveMessage | WebSocketReceiveMessage
"""A part of what a client sends. Named, for functions within functions are annotated at each request."""

Rewriting = Callable[[bytes, HTTPResponseStartEvent], Awaitable[bytes]]


STATUS_SWITCHING = 101
STATUS_REFUSED = 403

HELD_FROM_S = "held_from_s"
"""The name in a request's state of when what answers it began to be held open, by `time.perf_counter`.

A WebSocket, when it was accepted.
"""


class Exchange:
    """A request on its way in and its answer on its way out.

    `scope` and its `state` are the server's; `kind` is `http` or `websocket`; `method` and `path` are as
    they were sent. `status` is that of the answer, None before it begins; `sent_bytes` are those of its body
    so far. `began_s` is by `time.perf_counter`. `clock` bounds it, once it is bounded; `limits` are the
    headers of the rate limits in which it was counted. `completions` are those of the steps, by how
    many of them were entered, which is `depth`. Who sets `rewriting` has a body of one piece go through it.
    """

    __slots__ = (
        "_headers",
        "_held",
        "_is_reading",
        "_normal_path",
        "_receive",
        "_send",
        "began_s",
        "clock",
        "completions",
        "depth",
        "is_bodiless",
        "kind",
        "limits",
        "method",
        "path",
        "receivings",
        "rewriting",
        "scope",
        "sent_bytes",
        "state",
        "status",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.began_s = time.perf_counter()
        self.scope: HTTPScope = scope  # type: ignore[assignment]  # a WebSocket's has no method
        self.state: dict[str, Any] = scope.setdefault("state", {})
        self.kind: str = scope["type"]
        self.method: str = self.scope.get("method", "GET")  # as a handshake's is
        self.path: str = self.scope.get("path", "")
        self.status: int | None = None
        self.sent_bytes = 0
        self.is_bodiless = False
        self.clock: Clock | None = None
        self.limits: Headers | None = None
        self.rewriting: Rewriting | None = None
        self.completions: Sequence[tuple[Completion, ...]] = ((),)
        self.depth = 0
        self.receivings: tuple[Receiving, ...] = ()
        self._headers: dict[bytes, bytes] | None = None
        self._held: HTTPResponseStartEvent | None = None
        self._is_reading = False
        self._normal_path: str | None = None
        self._receive = receive
        self._send = send

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The request's headers by their names in lower case, of several lines the first."""
        found = self._headers
        if found is None:
            lines = list(self.scope["headers"])
            found = dict(lines)
            if len(found) < len(lines):
                found = dict(reversed(lines))
            self._headers = found
        return found

    @property
    def normal_path(self) -> str:
        """The path as the router takes it: `//api/auth//login` is `/api/auth/login`."""
        if self._normal_path is None:
            path = self.path
            self._normal_path = normalize_path(path) if "//" in path or path[-1:] == "/" else path
        return self._normal_path

    @property
    def has_begun(self) -> bool:
        """Whether an answer has begun, and nothing else can be said any more."""
        return self.status is not None

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header, whose `name` is in lower case; None when it is absent."""
        return (self._headers or self.headers).get(name)

    async def receive(self) -> Received:
        """Receive the next part of the request's body, through what watches over it."""
        if not self._is_reading:
            self._is_reading = True
            for receiving in self.receivings:
                self._receive = receiving(self, self._receive)
        return await self._receive()

    def let_go(self, receive: Receive) -> None:
        """Forget what watches over the body: it knows the exchange, and each would hold the other."""
        self._receive = receive

    async def send(self, message: Message) -> None:
        """Send a part of the answer; its head is completed by the steps first."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = list(message.get("headers", ()))
            for complete in self.completions[self.depth]:
                complete(self, message)
            self.status = message["status"]
            if self.rewriting is not None:
                self._held = message
                return
        elif message["type"] == "websocket.accept":
            self.status = STATUS_SWITCHING
            self.state[HELD_FROM_S] = time.perf_counter()
        elif message["type"] == "http.response.body":
            if self._held is not None:
                await self._send_held(message)
            if self.is_bodiless:
                message["body"] = b""
            self.sent_bytes += len(message.get("body", b""))
        elif self.status is None and message["type"] == "websocket.close":
            self.status = STATUS_REFUSED
        elif self.status is None and cast("str", message["type"]) == "websocket.http.response.start":
            self.status = cast("Any", message)["status"]
        await self._send(message)

    async def _send_held(self, message: Any) -> None:
        head, self._held = self._held, None
        if head is None:
            return
        if self.rewriting is not None and not message.get("more_body", False):
            message["body"] = await self.rewriting(message.get("body", b""), head)
        await self._send(head)


class Step:
    """One concern of the pipeline; it overrides what it needs, and only that is called.

    Steps hold no state of a request: that is the exchange's. `kinds` names the connections it looks at.
    """

    kinds: ClassVar[tuple[str, ...]] = ("http",)

    def enter(self, _exchange: Exchange) -> Awaitable[None] | None:
        """Look at a request that comes in; raises the Failure that refuses it.

        Gives an awaitable only where there is something to wait for. Who answers in it ends the request.
        """
        return None

    def receiving(self, _exchange: Exchange, receive: Receive) -> Receive:
        """Wrap what the body is received with; only called once a body is read."""
        return receive

    def complete(self, _exchange: Exchange, _head: HTTPResponseStartEvent) -> None:
        """Complete the head of the answer before it is sent; the last step first, if it was entered."""

    def failed(self, _exchange: Exchange, error: BaseException) -> BaseException:
        """Return what to answer for an error raised further in; the last step first, if it was entered."""
        return error

    async def answer(self, _exchange: Exchange, error: Exception) -> None:
        """Answer for an error that was raised before an answer began, or raise it on."""
        raise error

    def leave(self, _exchange: Exchange) -> None:
        """End what `enter` began, however the request has ended; the last step first, if it was entered."""
