"""Workers that are killed in the middle of requests with an `Idempotency-Key`."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any
from uuid import uuid4

import httpx
import pymongo
import pytest

from tests.live.deployment import children, client, deployed, token
from tests.live.processes import Service

pytestmark = pytest.mark.alone

CLIENTS = 12
PAUSE_S = 0.1
DEADLINE_S = 100.0


async def test_request_cut_off_by_killed_worker_is_done_once_when_repeated(mongodb_uri: str) -> None:
    name = f"test_{uuid4().hex[:12]}"
    with (
        pymongo.MongoClient[dict[str, Any]](mongodb_uri) as mongodb,
        short_transactions(mongodb),
        deployed(mongodb_uri, SHEAF_DATABASE=name, SHEAF_OPERATION_TIMEOUT_S="1") as service,
    ):
        editor = token("editor")
        async with client(service) as http:
            counter = await http.post("/api/products", json={"name": "counter", "price": 0}, headers=editor)
            path = f"/api/products/{counter.json()['data']['id']}"
        sending = [asyncio.create_task(send(service, editor, path, number)) for number in range(CLIENTS)]
        await asyncio.sleep(0.4)
        for pid in children(service.process.pid):
            os.kill(pid, signal.SIGKILL)
        sent = [request for requests in await asyncio.gather(*sending) for request in requests]
        cut_off = [request for request in sent if request[3] is None]
        assert cut_off
        async with asyncio.timeout(DEADLINE_S), client(service) as http:
            answers = await asyncio.gather(*(repeated(http, editor, *request) for request in sent))
        created = sum(method == "POST" for method, *_ in sent)
        products = mongodb[name]["products"]
        assert products.count_documents({"name": {"$ne": "counter"}}) == created
        assert len(products.distinct("name")) == created + 1
        changes = [answer["_version"] for answer in answers if answer["name"] == "counter"]
        assert sorted(changes) == list(range(2, len(changes) + 2))
        mongodb.drop_database(name)


@contextmanager
def short_transactions(mongodb: "pymongo.MongoClient[dict[str, Any]]") -> Iterator[None]:
    """Have MongoDB end a transaction whose worker is gone after a second instead of a minute."""
    name = "transactionLifetimeLimitSeconds"
    before = mongodb.admin.command({"getParameter": 1, name: 1})[name]
    mongodb.admin.command({"setParameter": 1, name: 1})
    try:
        yield
    finally:
        mongodb.admin.command({"setParameter": 1, name: before})


Request = tuple[str, str, dict[str, Any], dict[str, Any] | None]
"""Method, path, body with the key as its name or category, and the document that was answered, if any."""


async def send(service: Service, headers: dict[str, str], counter: str, sender: int) -> list[Request]:
    """Create documents and change one that all change, until the connection breaks."""
    sent: list[Request] = []
    async with client(service) as http:
        for number in count():
            key = f"{sender}-{number}"
            method, path, body = "POST", "/api/products", {"name": key, "price": 1.0}
            if number % 3 == 2:  # the others would not come to pass for all the meetings
                method, path, body = "PATCH", counter, {"category": key}
            try:
                answer = await http.request(method, path, json=body, headers=headers | keyed(key))
            except httpx.TransportError:
                return [*sent, (method, path, body, None)]
            if answer.is_success:
                sent.append((method, path, body, answer.json()["data"]))
    raise AssertionError


async def repeated(
    http: httpx.AsyncClient,
    headers: dict[str, str],
    method: str,
    path: str,
    body: dict[str, Any],
    known: dict[str, Any] | None,
) -> dict[str, Any]:
    """Repeat a request until it is answered, which is as before if it was."""
    key = body.get("category") or body["name"]
    while True:
        try:
            answer = await http.request(method, path, json=body, headers=headers | keyed(key))
        except httpx.TransportError:
            await asyncio.sleep(PAUSE_S)
            continue
        if answer.is_success:
            document: dict[str, Any] = answer.json()["data"]
            assert known is None or document == known
            return document
        assert answer.status_code in {409, 503}, answer.text
        await asyncio.sleep(PAUSE_S)


def keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}
