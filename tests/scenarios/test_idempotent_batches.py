"""Requests with many operations under an `Idempotency-Key`, repeated."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar

from tests.scenarios.repeats import MUG, listed, shown
from tests.services import services_of

KEEPS_DEFINITIONS = True


@pytest.fixture
def headers(ann: dict[str, str]) -> dict[str, str]:
    return ann | {"Idempotency-Key": str(uuid4())}


def batch(goods: str, *, atomic: bool, price: float = 1) -> dict[str, Any]:
    """Return a batch that creates a cup and changes it, and in the middle does what cannot be done."""
    name = goods.removeprefix("/api/")
    impossible = {"op": "delete", "collection": name, "id": "0" * 24}
    operations = [
        {"op": "create", "collection": name, "document": MUG | {"name": "Cup"}, "as": "cup"},
        *([] if atomic else [impossible]),
        {"op": "patch", "collection": name, "id": {"_ref": "cup"}, "patch": {"price": price}},
    ]
    return {"atomic": atomic, "operations": operations}


@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "each"])
async def test_repeated_batch_with_key_runs_once(
    client: httpx.AsyncClient, goods: str, headers: dict[str, str], atomic: bool
) -> None:
    body = batch(goods, atomic=atomic)
    first = await client.post("/api/batch", json=body, headers=headers)
    expected = [201, 200] if atomic else [201, 404, 200]
    assert [each["status"] for each in first.json()["data"]] == expected
    again = await client.post("/api/batch", json=body, headers=headers)
    assert (shown(again), again.headers["idempotency-replayed"]) == (shown(first), "true")
    [cup] = await listed(client, goods)
    assert (cup["_version"], cup["price"]) == (2, 1)
    other = await client.post("/api/batch", json=batch(goods, atomic=atomic, price=2), headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.mismatch")
    assert await listed(client, goods) == [cup]


@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "each"])
async def test_concurrent_batches_with_key_run_once(
    client: httpx.AsyncClient, goods: str, headers: dict[str, str], atomic: bool
) -> None:
    body = batch(goods, atomic=atomic)
    answers = await asyncio.gather(
        *(client.post("/api/batch", json=body, headers=headers) for _ in range(10))
    )
    done = [each for each in answers if each.status_code == 200]
    assert {each.status_code for each in answers} <= {200, 409}
    assert {each.content for each in done} == {done[0].content}
    assert [cup["_version"] for cup in await listed(client, goods)] == [2]


async def test_failed_atomic_batch_is_replayed_without_effect(
    client: httpx.AsyncClient, goods: str, headers: dict[str, str]
) -> None:
    body = batch(goods, atomic=False) | {"atomic": True}
    first = await client.post("/api/batch", json=body, headers=headers)
    assert (first.status_code, first.json()["code"]) == (404, "document.not_found")
    again = await client.post("/api/batch", json=body, headers=headers)
    assert (shown(again), again.headers["idempotency-replayed"]) == (shown(first), "true")
    assert await listed(client, goods) == []


async def test_repeated_bulk_create_and_patch_with_key_run_once(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str], headers: dict[str, str], app: Litestar
) -> None:
    mugs = [MUG | {"price": price} for price in range(3)]
    first = await client.post(goods, json=mugs, headers=headers)
    again = await client.post(goods, json=mugs, headers=headers)
    assert (first.status_code, shown(again)) == (201, shown(first))
    assert len(await listed(client, goods)) == 3
    changing = ann | {"Idempotency-Key": str(uuid4())}
    parameters = {"filter[price][lt]": "2", "max_affected": "10"}
    first = await client.patch(goods, params=parameters, json={"price": 1}, headers=changing)
    again = await client.patch(goods, params=parameters, json={"price": 1}, headers=changing)
    assert (first.status_code, shown(again)) == (200, shown(first))
    assert again.headers["idempotency-replayed"] == "true"
    assert sorted(mug["_version"] for mug in await listed(client, goods)) == [1, 1, 2]
    notes = services_of(app).database.motor["_idempotency"]
    assert await notes.count_documents({"is_done": True}) == 2
