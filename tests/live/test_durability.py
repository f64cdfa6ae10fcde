"""What was acknowledged is there, however the service and its MongoDB end."""

import asyncio
import os
import secrets
import signal
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest

from tests.live.deployment import children, client, database, deployed, token, wait_until
from tests.live.processes import Service

pytestmark = pytest.mark.alone

WRITERS = 6
ROUNDS = 2
OWN = ("name", "price", "description", "category", "tags")
PAGE = 100

Documents = dict[str, dict[str, Any]]


async def test_acknowledged_writes_outlive_killed_service_and_database(tmp_path: Path) -> None:
    acknowledged: Documents = {}
    for round_number in range(ROUNDS):
        with database(tmp_path) as mongodb, deployed(mongodb.uri) as service:
            await check(service, mongodb.uri, acknowledged)
            known = len(acknowledged)
            writing = [
                asyncio.create_task(write(service, f"{round_number}-{writer}", acknowledged))
                for writer in range(WRITERS)
            ]
            await asyncio.to_thread(wait_until, lambda: len(acknowledged) > known + WRITERS)  # noqa: B023
            await asyncio.sleep(secrets.randbelow(800) / 1000)
            for pid in (service.process.pid, *children(service.process.pid)):
                os.kill(pid, signal.SIGKILL)
            mongodb.kill()
            await asyncio.gather(*writing)
    with database(tmp_path) as mongodb, deployed(mongodb.uri) as service:
        await check(service, mongodb.uri, acknowledged)


async def write(service: Service, writer: str, acknowledged: Documents) -> None:
    """Create documents and change every other one until the connection breaks, keeping what was answered."""
    async with client(service) as http:
        for number in count():
            try:
                created = await http.post("/api/products", json=first(writer, number), headers=token())
                assert created.status_code == 201, created.text
                document = created.json()["data"]
                acknowledged[document["id"]] = document
                if number % 2:
                    path = f"/api/products/{document['id']}"
                    patch = {name: second(writer, number)[name] for name in ("price", "tags")}
                    changed = await http.patch(path, json=patch, headers=token("admin"))
                    assert changed.status_code == 200, changed.text
                    acknowledged[document["id"]] = changed.json()["data"]
            except httpx.TransportError:
                return


def first(writer: str, number: int) -> dict[str, Any]:
    """Return a document whose name tells all the rest."""
    text = f"{writer} {number} " * 50
    return {
        "name": f"{writer}/{number}",
        "price": float(number),
        "description": text,
        "category": writer,
        "tags": [f"tag-{number}"],
    }


def second(writer: str, number: int) -> dict[str, Any]:
    """Return the same document after its change."""
    return first(writer, number) | {"price": number + 0.5, "tags": [f"tag-{number}", "changed"]}


async def check(service: Service, uri: str, acknowledged: Documents) -> None:
    """Every acknowledged document is there at its version or the next; none, acknowledged or not, is torn."""
    with pymongo.MongoClient[dict[str, Any]](uri) as direct:
        stored = list(direct["sheaf"]["products"].find())
    for document in stored:
        writer, _, number = document["name"].partition("/")
        whole = {1: first, 2: second}[document["_version"]](writer, int(number))
        assert {name: document[name] for name in OWN} == whole
    assert {str(document["_id"]) for document in stored} >= acknowledged.keys()
    async with client(service) as http:
        served = await everything(http)
    assert len(served) == len(stored)
    for document_id, document in acknowledged.items():
        assert served[document_id]["_version"] >= document["_version"]
        if served[document_id]["_version"] == document["_version"]:
            assert served[document_id] == document


async def everything(http: httpx.AsyncClient) -> Documents:
    """Read all documents, page by page."""
    found: Documents = {}
    for page in count(1):
        listed = await http.get("/api/products", params={"page": page, "limit": PAGE, "sort": "name"})
        assert listed.status_code == 200, listed.text
        found |= {document["id"]: document for document in listed.json()["data"]}
        if len(listed.json()["data"]) < PAGE:
            return found
    raise AssertionError
