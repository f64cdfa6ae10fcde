"""What MongoDB refuses of a write is the client's fault where it is, whichever write it was."""

from typing import Any

import httpx
import pytest
from litestar import Litestar

from tests.services import services_of

INDEXED: dict[str, Any] = {
    "name": "places",
    "schema": {"type": "object"},
    "indexes": [{"text": ["title"]}, {"geo": "at"}, {"fields": ["p", "q"]}],
    "rules": {"read": "anyone", "write": "user"},
}


@pytest.mark.parametrize(
    "unfit",
    [
        {"at": 1},
        {"at": {"type": "Point", "coordinates": [200, 1000]}},
        {"p": [1], "q": [2]},
    ],
    ids=str,
)
async def test_value_that_fits_no_index_returns_400_on_every_write(
    client: httpx.AsyncClient, admin: dict[str, str], ann: dict[str, str], unfit: dict[str, Any]
) -> None:
    await client.post("/api/collections", json=INDEXED, headers=admin)
    present = (await client.post("/api/places", json={"title": "Here"}, headers=ann)).json()["data"]
    path = f"/api/places/{present['id']}"
    for answer in (
        await client.post("/api/places", json=unfit, headers=ann),
        await client.put(path, json=unfit, headers=ann),
        await client.patch(path, json=unfit, headers=ann),
    ):
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (400, "document.invalid"), problem
        assert problem["detail"] == "A value does not fit an index of `places`"
    assert (await client.get("/api/places")).json()["data"] == [present]


@pytest.mark.parametrize("more_bytes", [300_000, 900_000])
async def test_document_exceeding_database_limit_returns_413(
    client: httpx.AsyncClient, app: Litestar, ann: dict[str, str], admin: dict[str, str], more_bytes: int
) -> None:
    await client.post("/api/collections", json=INDEXED | {"indexes": []}, headers=admin)
    path = (await client.post("/api/places", json={}, headers=ann)).headers["location"]
    places = services_of(app).registry.database.motor["places"]
    present = await places.find_one_and_delete({})
    await places.insert_one(present | {"text": "x" * 16_600_000})
    answer = await client.patch(path, json={"more": "x" * more_bytes}, headers=ann)
    assert (answer.status_code, answer.json()["code"]) == (413, "body.too_large")
    assert await places.count_documents({"more": {"$exists": True}}) == 0
