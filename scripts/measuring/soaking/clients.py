"""Clients of all manners: well-behaved, mistaken, slow, and such that go away in the middle."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from scripts.measuring import answers
from scripts.measuring.soaking.journal import CLOSED, REFUSED, TIMED_OUT, UNAVAILABLE, Entry, Journal

PRODUCTS = "/api/products"
PASSWORD = "correct-horse-battery-staple-8"  # noqa: S105 - of accounts that live for minutes
PATIENCE_S = 30.0
PAUSE_S = (0.0, 0.1)
OWN = 12
"""Documents that a client keeps: it deletes the others, so that the database does not grow."""

DETAIL = 300
"""Characters of an unexpected answer that are noted."""

ARRIVING_S = 1.0
"""In which time clients come: what all do at once when they do is hard work, passwords above all."""

SLOW_PIECES, SLOW_PAUSE_S = 5, 0.2

ACTIONS = {
    "get": 24,
    "get again": 8,
    "list": 12,
    "filter": 8,
    "create": 14,
    "patch": 12,
    "refresh": 3,
    "sign in": 1,
    "mistake": 8,
    "abort": 5,
    "slow body": 2,
}
"""What clients do, by how often."""

MISTAKES: list[tuple[str, str, bytes, int]] = [
    ("POST", PRODUCTS, b'{"name": "n', 400),
    ("POST", PRODUCTS, b'{"name": "", "price": -1}', 400),
    ("GET", f"{PRODUCTS}?filter[colour][eq]=red", b"", 400),
    ("GET", f"{PRODUCTS}?limit=0", b"", 400),
    ("GET", f"{PRODUCTS}/{'0' * 24}", b"", 404),
    ("GET", "/api/nothing-of-the-kind", b"", 404),
    ("PUT", PRODUCTS, b"{}", 405),
]


class Client:
    """One client: does one thing after the other while the gate is open, and writes down what came of it."""

    def __init__(self, number: int, url: str, journal: Journal) -> None:
        self._email = f"soak-{number}@example.org"
        self._url = url
        self._journal = journal
        self._random = random.Random(number)  # noqa: S311 - no secret
        self.http = httpx.AsyncClient(base_url=url, timeout=PATIENCE_S)
        self._session: dict[str, Any] | None = None
        self._own: list[str] = []
        self.actions: dict[str, Callable[[], Awaitable[None]]] = {
            "get": self._get,
            "get again": self._get_again,
            "list": self._list,
            "filter": self._filter,
            "create": self._create,
            "patch": self._patch,
            "refresh": self._refresh,
            "sign in": self._sign_in,
            "mistake": self._mistake,
            "abort": self._abort,
            "slow body": self._slow_body,
        }

    async def run(self, gate: asyncio.Event, stop: asyncio.Event) -> None:
        """Ask until told to stop, and nothing while the gate is closed."""
        async with self.http:
            await asyncio.sleep(self._random.uniform(0, ARRIVING_S))
            await self._register()
            names, weights = list(ACTIONS), list(ACTIONS.values())
            while not stop.is_set():
                await gate.wait()
                if self._session is None:
                    await self._sign_in()
                else:
                    await self.actions[self._random.choices(names, weights)[0]]()
                await asyncio.sleep(self._random.uniform(*PAUSE_S))

    async def ask(
        self, kind: str, method: str, path: str, expected: set[int], **request: Any
    ) -> httpx.Response | None:
        """Send a request and note what came of it; returns the answer if it is one that was expected."""
        began_s = time.monotonic()
        answer: httpx.Response | None = None
        outcome: int | str
        try:
            answer = await self.http.request(method, path, **request)
            outcome = answer.status_code
        except httpx.TimeoutException:
            outcome = TIMED_OUT
        except httpx.ConnectError:
            outcome = REFUSED
        except httpx.TransportError:
            outcome = CLOSED
        is_expected = outcome in expected
        detail = "" if answer is None or is_expected else answer.text[:DETAIL]
        self._journal.entries.append(Entry(kind, began_s, time.monotonic(), outcome, is_expected, detail))
        return answer if is_expected else None

    @property
    def _headers(self) -> Mapping[str, str]:
        token = "" if self._session is None else self._session["access_token"]
        return {"Authorization": f"Bearer {token}"}

    def _new(self) -> dict[str, Any]:
        number = self._random.randrange(10**6)
        return {"name": f"soak {number}", "price": number / 100, "category": f"c{number % 20}"}

    async def _register(self) -> None:
        """Get an account, however long it takes: that is no part of what is watched."""
        who = {"email": self._email, "password": PASSWORD, "name": "Soak"}
        answer = None
        while answer is None or answer.status_code == UNAVAILABLE:
            answer = await self.ask("register", "POST", "/api/auth/register", {201, 409, 503}, json=who)

    async def _sign_in(self) -> None:
        who = {"email": self._email, "password": PASSWORD}
        answer = await self.ask("sign in", "POST", "/api/auth/login", {200}, json=who)
        self._session = None if answer is None else answer.json()["data"]

    async def _refresh(self) -> None:
        token = {"refresh_token": "" if self._session is None else self._session["refresh_token"]}
        answer = await self.ask("refresh", "POST", "/api/auth/refresh", {200}, json=token)
        self._session = None if answer is None else answer.json()["data"]  # it may have been used: sign in

    async def _create(self) -> None:
        answer = await self.ask("create", "POST", PRODUCTS, {201}, json=self._new(), headers=self._headers)
        if answer is not None:
            self._own.append(answer.json()["data"]["id"])
        if len(self._own) > OWN:
            gone = self._own.pop(self._random.randrange(OWN))
            await self.ask("delete", "DELETE", f"{PRODUCTS}/{gone}", {204}, headers=self._headers)

    async def _patch(self) -> None:
        if self._own:
            path = f"{PRODUCTS}/{self._random.choice(self._own)}"
            price = {"price": self._random.randrange(1000)}
            await self.ask("patch", "PATCH", path, {200}, json=price, headers=self._headers)

    async def _get(self) -> None:
        if self._own:
            await self.ask("get", "GET", f"{PRODUCTS}/{self._random.choice(self._own)}", {200})

    async def _get_again(self) -> None:
        if self._own:
            path = f"{PRODUCTS}/{self._random.choice(self._own)}"
            answer = await self.ask("get", "GET", path, {200})
            if answer is not None:
                known = {"If-None-Match": answer.headers["etag"]}
                await self.ask("get again", "GET", path, {304}, headers=known)

    async def _list(self) -> None:
        path = f"{PRODUCTS}?limit=20&page={self._random.randint(1, 5)}&sort=-_created_at"
        await self.ask("list", "GET", path, {200})

    async def _filter(self) -> None:
        few = f"filter[category][eq]=c{self._random.randrange(20)}&filter[price][gte]=100"
        await self.ask("filter", "GET", f"{PRODUCTS}?{few}", {200})

    async def _mistake(self) -> None:
        method, path, body, status = self._random.choice(MISTAKES)
        headers = {**self._headers, "Content-Type": "application/json"}
        await self.ask("mistake", method, path, {status}, content=body, headers=headers)

    def _head(self, length: int) -> bytes:
        lines = {"Host": "soak", "Content-Type": "application/json", "Content-Length": str(length)}
        fields = "".join(f"{name}: {value}\r\n" for name, value in {**lines, **self._headers}.items())
        return f"POST {PRODUCTS} HTTP/1.1\r\n{fields}\r\n".encode()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        where = urlsplit(self._url)
        return await asyncio.open_connection(where.hostname, where.port)

    async def _abort(self) -> None:
        """Go away in the middle of a body, or before the answer."""
        body = json.dumps(self._new() | {"tags": ["aborted"]}).encode()
        sent = self._random.choice([body, body[: len(body) // 2]])
        _, writer = await self._open()
        writer.write(self._head(len(body)) + sent)
        await asyncio.sleep(self._random.uniform(0, 0.02))
        writer.transport.abort()

    async def _slow_body(self) -> None:
        """Send a body in pieces, with pauses."""
        body = json.dumps(self._new()).encode()
        began_s = time.monotonic()
        outcome: int | str = CLOSED
        reader, writer = await self._open()
        try:
            writer.write(self._head(len(body)))
            size = len(body) // SLOW_PIECES + 1
            for start in range(0, len(body), size):
                writer.write(body[start : start + size])
                await asyncio.sleep(SLOW_PAUSE_S)
            received = b""
            while (answer := answers.read(received)) is None:
                received += await asyncio.wait_for(reader.read(65_536), PATIENCE_S) or _eof()
            outcome = answer.status
            if outcome == 201:  # noqa: PLR2004 - Created
                self._own.append(json.loads(received[answer.body_at : answer.end])["data"]["id"])
        except TimeoutError:
            outcome = TIMED_OUT
        except OSError:
            outcome = CLOSED
        finally:
            writer.transport.abort()
        entry = Entry("slow body", began_s, time.monotonic(), outcome, outcome == 201)  # noqa: PLR2004
        self._journal.entries.append(entry)


def _eof() -> bytes:
    raise ConnectionResetError("the answer did not come")
