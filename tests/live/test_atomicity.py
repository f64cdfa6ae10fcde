"""A batch is wholly there or not at all, also when MongoDB dies in the middle of it."""

import asyncio
import secrets
from collections import defaultdict
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest

from tests.live.deployment import Database, client, database, deployed, token
from tests.live.processes import DEADLINE_S, Service

pytestmark = pytest.mark.alone

WRITERS = 6
"""Who send batches at once, so that many are under way when the database dies."""

COLLECTIONS = ("one", "two", "three")
DOCUMENTS = 4
"""Documents that a batch creates in each collection."""

TALLIES = {"one": "tally-1", "two": "tally-2"}
"""Documents that every batch counts itself in."""


async def test_batch_is_atomic_when_database_is_killed(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    begun: set[str] = set()
    well_under_way = asyncio.Event()
    with database(tmp_path) as mongodb, deployed(mongodb.uri, SHEAF_OPERATION_TIMEOUT_S="1") as service:
        async with client(service) as http:
            await prepare(http)
        writing = [
            asyncio.create_task(write(service, writer, begun, acknowledged, well_under_way))
            for writer in range(WRITERS)
        ]
        await asyncio.wait_for(well_under_way.wait(), DEADLINE_S)
        await asyncio.sleep(secrets.randbelow(200) / 1000)
        mongodb.kill()
        await asyncio.gather(*writing)
        await asyncio.to_thread(mongodb.start)
        check(mongodb, begun, acknowledged)


async def prepare(http: httpx.AsyncClient) -> None:
    for name in COLLECTIONS:
        definition = {"name": name, "schema": {"type": "object"}, "options": {"id_type": "string"}}
        answer = await http.post("/api/collections", json=definition, headers=token("admin"))
        assert answer.status_code == 201, answer.text
    for name, tally in TALLIES.items():
        body = {"id": tally, "count": 0}
        answer = await http.post(f"/api/{name}", json=body, headers=token("admin"))
        assert answer.status_code == 201, answer.text


async def write(
    service: Service, writer: int, begun: set[str], acknowledged: set[str], well_under_way: asyncio.Event
) -> None:
    """Send batches until the database is gone, noting which were begun and which were acknowledged."""
    headers = token("admin")
    async with client(service) as http:
        for number in count():
            batch = f"{writer}-{number}"
            begun.add(batch)
            answer = await http.post("/api/batch", json={"operations": operations(batch)}, headers=headers)
            if answer.status_code == 503:
                return
            assert answer.status_code == 200, answer.text
            acknowledged.add(batch)
            if len(acknowledged) > WRITERS:
                well_under_way.set()


def operations(batch: str) -> list[dict[str, Any]]:
    """Return the operations of a batch: documents in every collection, and its count in each tally."""
    creations = [
        {"op": "create", "collection": name, "document": {"batch": batch, "text": "x" * 500}}
        for name in COLLECTIONS * DOCUMENTS
    ]
    counts = [
        {"op": "patch", "collection": name, "id": tally, "operations": {"inc": {"count": 1}}}
        for name, tally in TALLIES.items()
    ]
    return [*creations[:6], *counts, *creations[6:]]


def check(mongodb: Database, begun: set[str], acknowledged: set[str]) -> None:
    """Every batch has all of its documents or none; the acknowledged ones have them; each counted once."""
    found: dict[str, list[str]] = defaultdict(list)
    with pymongo.MongoClient[dict[str, Any]](mongodb.uri) as direct:
        for name in COLLECTIONS:
            for document in direct["sheaf"][name].find({"batch": {"$exists": True}}):
                found[document["batch"]].append(name)
        counted = [direct["sheaf"][name].find_one({"_id": tally}) for name, tally in TALLIES.items()]
    whole = sorted(COLLECTIONS * DOCUMENTS)
    assert {batch: sorted(names) for batch, names in found.items()} == dict.fromkeys(found, whole)
    assert acknowledged <= found.keys() <= begun
    assert [tally and tally["count"] for tally in counted] == [len(found)] * len(TALLIES)
