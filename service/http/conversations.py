"""What is said over a WebSocket: what its client asks for, and what it is told."""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import aclosing, suppress
from time import monotonic
from typing import Any, cast

from litestar.types import Scope

from service.access.principals import Principal
from service.changes import requests, several
from service.changes.entries import Entry, at, refused
from service.changes.mailbox import Waiting
from service.changes.several import MAXIMUM_SUBSCRIPTIONS
from service.changes.streams import FAREWELL_S, UNTRUSTED, Stream
from service.changes.subscriptions import Reset, Start, Subscription
from service.http import problems
from service.http.bearers import Bearers
from service.http.pipeline.rate_limit import CHARGE
from service.http.services import Services
from service.http.streaming import PING_S, PINGS_PER_CURSOR, may_be_cut
from service.http.websockets import (
    INTERNAL,
    NORMAL,
    NOT_JSON,
    POLICY,
    PROTOCOL,
    RESTARTING,
    TOO_LARGE,
    UNAUTHORIZED,
    UNSUPPORTED,
    Socket,
    subprotocols_of,
)
from service.kit import strict_json
from service.kit.errors import JsonInvalid, ParameterInvalid
from service.kit.violations import Violations, shown

MAXIMUM_MESSAGE_BYTES = 64 * 1024
"""Of one message of a client."""

MESSAGES_PER_S = 20
"""Messages that a client may send, over time."""

BURST = 200
"""Messages that a client may send at once: all of its subscriptions, and some more."""

MESSAGES: Mapping[str, tuple[str, ...]] = {
    "authenticate": ("token",),
    "subscribe": ("key", *requests.MEMBERS),
    "unsubscribe": ("key",),
    "ping": (),
}
"""The messages of clients by their `type`, and the further members of each."""

CODES = {"draining": RESTARTING, "lifetime": NORMAL, "expired": UNAUTHORIZED, "revoked": UNAUTHORIZED}
"""The codes with which a connection is closed after a goodbye, by its reason."""

SEVERAL = "parts of the message are invalid"


class Conversation:
    """One open WebSocket: a stream of several subscriptions that come and go.

    One task reads, and does at once what is asked; the other one sends all that there is to send, so that it
    is in order, and has subscriptions begin, one after the other.
    """

    def __init__(self, services: Services, scope: Scope, stream: Stream, socket: Socket) -> None:
        self._services = services
        self._bearers = Bearers(services.tokens, services.key_bearers, services.revocations)
        self._scope = scope
        self._stream = stream
        self._socket = socket
        self._beginning: deque[tuple[Subscription, Start]] = deque()
        self._pings = 0
        self._allowance = float(BURST)
        self._counted_at_s = monotonic()

    async def run(self) -> None:
        """Talk until either side ends it."""
        stream = self._stream
        offered = PROTOCOL if PROTOCOL in subprotocols_of(self._scope) else None
        await self._socket.accept(offered)
        reading = asyncio.create_task(self._read(), name="reading a WebSocket")
        reading.add_done_callback(lambda _: stream.mailbox.close())
        code = INTERNAL
        try:
            with may_be_cut(stream):
                await self._write(reading)
            code = reading.result() if reading.done() else CODES[stream.bye or "lifetime"]
        finally:
            reading.cancel()
            await asyncio.wait({reading})
            with suppress(TimeoutError):  # of a client that takes nothing
                async with asyncio.timeout(FAREWELL_S):
                    await self._socket.close(code)

    # --- what is told

    async def _write(self, reading: "asyncio.Task[int]") -> None:
        mailbox = self._stream.mailbox
        while not reading.done() and (self._stream.bye is None or len(mailbox)):
            if await mailbox.wait(PING_S):
                await self._send(mailbox.take())
            elif not self._beginning and not mailbox.is_closed:
                await self._ping()
            while self._beginning and self._stream.bye is None and not reading.done():
                await self._begin(*self._beginning.popleft())

    async def _begin(self, subscription: Subscription, start: Start) -> None:
        told = several.begun(subscription, subscription.begin(start), self._refusal)
        async with aclosing(cast("Any", told)) as beginning:
            async for entries in beginning:
                if self._stream.bye is not None:
                    return
                await self._send(Waiting(subscription, entry) for entry in entries)
                await self._send(self._stream.mailbox.take())

    async def _send(self, waiting: Iterable[Waiting]) -> None:
        stream = self._stream
        for each in waiting:
            if stream.bye in UNTRUSTED and each.source is not stream:
                continue
            stream.sending_since_s = monotonic()
            await self._socket.send(each.entry.as_json(each.source.member))
            stream.sending_since_s = None

    async def _ping(self) -> None:
        """Say that the connection is alive, and now and then from where subscriptions may go on."""
        self._pings += 1
        told = [Waiting(self._stream, Entry("ping"))]
        if not self._pings % PINGS_PER_CURSOR:
            for subscription in self._stream.subscriptions.values():
                cursor = subscription.cursor
                if cursor is not None:
                    told.append(Waiting(subscription, at(cursor)))
        await self._send(told)

    # --- what is asked

    async def _read(self) -> int:
        """Do what the client's messages ask for; returns the code to close with, once it may send no more."""
        while True:
            message = await self._socket.receive()
            if message is None:
                return NORMAL
            if isinstance(message, bytes):
                return UNSUPPORTED
            raw = message.encode("utf-8", "surrogatepass")
            if len(raw) > MAXIMUM_MESSAGE_BYTES:
                return TOO_LARGE
            if not self._is_allowed():
                return POLICY
            try:
                body = strict_json.parse(raw)
            except JsonInvalid:
                return NOT_JSON
            answer = await self._answer(body)
            if answer is not None and not self._stream.mailbox.put(self._stream, answer):
                return POLICY

    def _is_allowed(self) -> bool:
        """Count a message; returns whether the client has not sent too many of late."""
        now_s = monotonic()
        earned = (now_s - self._counted_at_s) * MESSAGES_PER_S
        self._counted_at_s = now_s
        self._allowance = min(self._allowance + earned, float(BURST)) - 1
        return self._allowance >= 0

    async def _answer(self, body: Any) -> Entry | None:
        """Do what a message asks for; returns what to say to that."""
        key = body.get("key") if isinstance(body, dict) else None
        try:
            return await self._do(_checked(body))
        except Exception as error:  # noqa: BLE001  # whatever it is: the connection stays
            return self._refusal(error, key if isinstance(key, str) and _fits(key) else None)

    async def _do(self, message: Mapping[str, Any]) -> Entry | None:
        match message["type"]:
            case "ping":
                return Entry("pong")
            case "authenticate":
                await self._authenticate(message["token"])
            case "subscribe":
                await self._subscribe(message["key"], message)
            case _:
                self._unsubscribe(message["key"])
        return None

    async def _authenticate(self, token: str) -> None:
        found = self._bearers.read(token, self._scope["state"].get("client_address"))
        principal = found if isinstance(found, Principal) else await found
        self._services.streams.sign_in(self._stream, principal)
        self._scope["state"]["principal"] = principal

    async def _subscribe(self, key: str, message: Mapping[str, Any]) -> None:
        stream, catching = self._stream, self._services.catching
        present = {name: each for name, each in stream.subscriptions.items() if not each.has_ended}
        violations = Violations()
        if key in present:
            hint = "End that one first, by `unsubscribe`."
            violations.add("there is a subscription of this name", "taken", "/key", hint)
        elif len(present) >= MAXIMUM_SUBSCRIPTIONS:
            violations.add(f"a stream has {MAXIMUM_SUBSCRIPTIONS} subscriptions at the most", "length", "")
        violations.raise_if_any(ParameterInvalid, SEVERAL)
        charge = self._scope["state"].get(CHARGE)
        if charge is not None:
            await charge(1)
        wanted = {name: message[name] for name in requests.MEMBERS if name in message}
        asked = requests.of_subscription(self._services.registry, stream.principal, wanted)
        subscription = Subscription(catching, asked.interest, stream.mailbox, key)
        start = Start(has_snapshot=asked.has_snapshot)
        try:
            if asked.since is not None:
                start = Start(catching.place(asked.interest, asked.since, "since"))
        except Reset as failure:
            subscription.reset(failure.why)
        stream.subscriptions = {**present, key: subscription}
        self._beginning.append((subscription, start))
        stream.mailbox.ring()

    def _unsubscribe(self, key: str) -> None:
        """End a subscription, which the service may have ended already."""
        subscription = self._stream.subscriptions.pop(key, None)
        if subscription is not None:
            subscription.end()
            self._stream.mailbox.forget(subscription)

    def _refusal(self, error: Exception, key: str | None = None) -> Entry:
        problems.report(error, self._scope)
        failure = problems.translate(error).by_pointers()
        request_id = str(self._scope["state"].get("request_id", ""))
        return refused(failure.problem(instance=self._scope["path"], request_id=request_id), key)


def _fits(key: str) -> bool:
    return 0 < len(key) <= several.MAXIMUM_KEY_CHARACTERS


def _checked(body: Any) -> Mapping[str, Any]:
    """Return a message whose own members are there and of the right types; raises ParameterInvalid."""
    violations = Violations()
    if not isinstance(body, dict):
        violations.add("a message is an object", "type", "")
        raise violations.failure(ParameterInvalid)
    kind = body.get("type")
    if not isinstance(kind, str) or kind not in MESSAGES:
        names = ", ".join(f"`{name}`" for name in MESSAGES)
        violations.add(f"`type` is one of {names}", "enum" if "type" in body else "required", "/type")
        raise violations.failure(ParameterInvalid)
    members = MESSAGES[kind]
    violations.unknown_members(body, ("type", *members), "", f"a member of `{kind}`")
    for name in ("key", "token"):
        if name in members and not isinstance(body.get(name), str):
            code = "type" if name in body else "required"
            violations.add(f"`{shown(name)}` is text", code, f"/{name}")
        elif name == "key" and name in members:
            several.check_key(violations, body[name], "/key")
    violations.raise_if_any(ParameterInvalid, SEVERAL)
    return body
