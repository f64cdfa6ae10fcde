"""Clients as careful ones are: each asks, notes what it was told, and repeats only what is safe to repeat."""

import asyncio
import random
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx

from scripts.measuring.failing.history import (
    Creation,
    Guarded,
    History,
    Outcome,
    Request,
    Tally,
    outcome_of,
)

PATH = "/api/products"
INCREMENT = '{"inc": {"price": 1}}'
OPERATIONS = {"Content-Type": "application/vnd.sheaf.operations+json"}

PATIENCE_S = 20.0
"""How long a client waits for an answer before it counts as none."""

TRIES = 12
"""How often a client sends a request that is safe to repeat."""

LONGEST_WAIT_S = 2.0
MAXIMUM_OWN = 20
"""Created documents that a client remembers, to read and delete them later."""

PAUSE_S = (0.04, 0.12)
"""How long a client rests after each request, from and to."""

ACTIONS = {
    "create": 24,
    "keyed create": 10,
    "increment": 14,
    "keyed increment": 8,
    "guarded change": 12,
    "delete": 8,
    "read": 14,
    "list": 10,
}
"""What clients do, by how often."""


class Client:
    """One client: asks one thing after the other while the gate is open, and writes down what came of it."""

    def __init__(self, number: int, http: httpx.AsyncClient, history: History, seed: int) -> None:
        self.number = number
        self._http = http
        self._history = history
        self._random = random.Random(f"{seed} {number}")  # noqa: S311 - no secret
        self._made = 0
        self._own: list[tuple[str, Creation]] = []
        self._actions = {
            "create": self._create,
            "keyed create": self._create_under_a_key,
            "increment": self._increment,
            "keyed increment": self._increment_under_a_key,
            "guarded change": self._change_at_version,
            "delete": self._delete,
            "read": self._read,
            "list": self._list,
        }

    async def run(self, gate: asyncio.Event, busy: set[int]) -> None:
        """Ask until cancelled, and nothing while the gate is closed; `busy` has the number meanwhile."""
        names, weights = list(ACTIONS), list(ACTIONS.values())
        while True:
            await gate.wait()
            busy.add(self.number)
            try:
                await self._actions[self._random.choices(names, weights)[0]]()
            finally:
                busy.discard(self.number)
            await asyncio.sleep(self._random.uniform(*PAUSE_S))

    async def _ask(
        self, kind: str, method: str, path: str, *, headers: Mapping[str, str] | None = None, **body: Any
    ) -> httpx.Response | None:
        """Send a request once and note it; None when no answer came."""
        began_s = time.monotonic()
        try:
            answer = await self._http.request(method, path, headers=headers, **body)
        except httpx.HTTPError:
            answer = None
        self._history.requests.append(
            Request(
                kind,
                began_s,
                time.monotonic(),
                None if answer is None else answer.status_code,
                has_retry_after=answer is not None and "Retry-After" in answer.headers,
                is_write=method != "GET",
            )
        )
        return answer

    async def _repeat(
        self, kind: str, method: str, path: str, *, headers: Mapping[str, str] | None = None, **body: Any
    ) -> tuple[httpx.Response | None, int]:
        """Send a request until it is answered for good; returns the last answer and the number of tries."""
        answer = None
        for tries in range(1, TRIES + 1):
            answer = await self._ask(kind, method, path, headers=headers, **body)
            if answer is not None and not _passes(answer):
                return answer, tries
            asked_s = LONGEST_WAIT_S if answer is None else float(answer.headers.get("Retry-After", "1"))
            await asyncio.sleep(min(asked_s, LONGEST_WAIT_S) * self._random.uniform(0.5, 1))
        return answer, TRIES

    def _new(self) -> dict[str, Any]:
        self._made += 1
        name = f"{self.number}-{self._made}"
        text = f"{self._random.getrandbits(64):x} " * 8
        return {
            "name": name,
            "price": float(self._made),
            "category": f"client-{self.number}",
            "description": text,
        }

    async def _create(self) -> None:
        content = self._new()
        self._created(content, await self._ask("create", "POST", PATH, json=content), 1)

    async def _create_under_a_key(self) -> None:
        content = self._new()
        key = {"Idempotency-Key": f"create-{content['name']}"}
        self._created(content, *await self._repeat("keyed create", "POST", PATH, headers=key, json=content))

    def _created(self, content: dict[str, Any], answer: httpx.Response | None, tries: int) -> None:
        outcome = _outcome(answer)
        creation = Creation(content["name"], content, outcome, tries)
        self._history.creations[creation.name] = creation
        if answer is not None and outcome is Outcome.ACKNOWLEDGED:
            told = answer.json()["data"]
            self._expect(_own(told) == content, f"the creation of {creation.name} was answered with another")
            self._own = [*self._own[1 - MAXIMUM_OWN :], (told["id"], creation)]

    async def _increment(self) -> None:
        name, document_id, tally = self._one_of(self._history.tallies)
        path = f"{PATH}/{document_id}"
        answer = await self._ask("increment", "PATCH", path, headers=OPERATIONS, content=INCREMENT)
        self._incremented(name, tally, answer)

    async def _increment_under_a_key(self) -> None:
        name, document_id, tally = self._one_of(self._history.tallies)
        self._made += 1
        headers = OPERATIONS | {"Idempotency-Key": f"increment-{self.number}-{self._made}"}
        path = f"{PATH}/{document_id}"
        answer, _ = await self._repeat("keyed increment", "PATCH", path, headers=headers, content=INCREMENT)
        self._incremented(name, tally, answer)

    def _incremented(self, name: str, tally: Tally, answer: httpx.Response | None) -> None:
        outcome = _outcome(answer)
        if answer is None or outcome is Outcome.UNKNOWN:
            tally.unknown += 1
        elif outcome is Outcome.ACKNOWLEDGED:
            told = answer.json()["data"]
            tally.acknowledged += 1
            tally.versions[told["_version"]] += 1
            self._expect(told["price"] == told["_version"] - 1, f"{name} was given another number")
        else:
            self._expect_status(answer, f"an increment of {name}", HTTPStatus.CONFLICT)

    async def _change_at_version(self) -> None:
        name, document_id, guarded = self._one_of(self._history.guarded)
        path = f"{PATH}/{document_id}"
        read = await self._ask("read", "GET", path)
        if read is None or read.status_code != HTTPStatus.OK:
            if read is not None:
                self._expect_status(read, f"reading {name}")
            return
        version = read.json()["data"]["_version"]
        self._made += 1
        number = float(self.number * 10_000 + self._made % 10_000)  # nobody else sets it
        headers = {"If-Match": f'"{version}"'}
        answer = await self._ask("guarded change", "PATCH", path, headers=headers, json={"price": number})
        self._changed(name, guarded, version + 1, number, answer)

    def _changed(
        self, name: str, guarded: Guarded, version: int, number: float, answer: httpx.Response | None
    ) -> None:
        outcome = _outcome(answer)
        if answer is None or outcome is Outcome.UNKNOWN:
            guarded.unknown.setdefault(version, []).append(number)
        elif outcome is Outcome.ACKNOWLEDGED:
            guarded.acknowledged.setdefault(version, []).append(number)
            self._expect(answer.json()["data"]["_version"] == version, f"{name} came to another version")
        else:
            self._expect_status(
                answer, f"a change of {name}", HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CONFLICT
            )

    async def _delete(self) -> None:
        if not self._own:
            return
        document_id, creation = self._own.pop(self._random.randrange(len(self._own)))
        answer, tries = await self._repeat("delete", "DELETE", f"{PATH}/{document_id}")
        is_gone = answer is not None and answer.status_code == HTTPStatus.NOT_FOUND
        if answer is not None and is_gone and tries == 1:
            self._expect_status(answer, f"deleting {creation.name}, whose creation was acknowledged,")
        creation.deletion = Outcome.ACKNOWLEDGED if is_gone else _outcome(answer)
        if creation.deletion is not Outcome.ACKNOWLEDGED:
            return
        again = await self._ask("read", "GET", f"{PATH}/{document_id}")
        if again is not None:
            self._expect_status(again, f"reading {creation.name}, which is deleted,", HTTPStatus.NOT_FOUND)

    async def _read(self) -> None:
        """Read what was acknowledged to this client, which it has not deleted."""
        if not self._own:
            return
        document_id, creation = self._random.choice(self._own)
        answer = await self._ask("read", "GET", f"{PATH}/{document_id}")
        if answer is None:
            return
        self._expect_status(answer, f"reading {creation.name}, which was acknowledged,", HTTPStatus.OK)
        if answer.status_code == HTTPStatus.OK:
            is_same = _own(answer.json()["data"]) == creation.content
            self._expect(is_same, f"{creation.name} was read with another content")

    async def _list(self) -> None:
        """List this client's newest documents, of which the newest acknowledged one is one."""
        newest = self._own[-1][1].name if self._own else None
        query = {"filter[category]": f"client-{self.number}", "sort": "-_created_at", "limit": "50"}
        answer = await self._ask("list", "GET", PATH, params=query)
        if answer is None:
            return
        self._expect_status(answer, "a list", HTTPStatus.OK)
        if answer.status_code == HTTPStatus.OK:
            names = [document["name"] for document in answer.json()["data"]]
            self._expect(len(names) == len(set(names)), f"a list has a document of {self.number} twice")
            self._expect(newest is None or newest in names, f"a list is without {newest}, acknowledged")

    def _one_of(self, documents: dict[str, Any]) -> tuple[str, str, Any]:
        """Choose one of the documents that all share: its name, its id, and what is known of it."""
        name = self._random.choice(list(documents))
        return name, self._history.ids[name], documents[name]

    def _expect_status(self, answer: httpx.Response, what: str, *statuses: int) -> None:
        """Note an answer that is neither of these nor an error of the service, which its time judges."""
        is_error = answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
        self._expect(is_error or answer.status_code in statuses, f"{what} was {answer.status_code}")

    def _expect(self, holds: bool, sentence: str) -> None:
        if not holds:
            self._history.contradictions.append(sentence)


def _outcome(answer: httpx.Response | None) -> Outcome:
    return outcome_of(None if answer is None else answer.status_code)


def _own(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a client wrote of a document that it was told."""
    return {name: document[name] for name in ("name", "price", "category", "description")}


def _passes(answer: httpx.Response) -> bool:
    """Return whether to repeat: the service is unavailable, or still at the first of these requests."""
    return answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or (
        answer.status_code == HTTPStatus.CONFLICT and answer.json()["code"] == "idempotency.running"
    )
