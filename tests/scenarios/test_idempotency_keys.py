"""Where an `Idempotency-Key` may stand, and what it may be."""

from uuid import uuid4

import httpx
from litestar import Litestar

from tests.scenarios.repeats import MUG, is_replayed, listed
from tests.services import services_of

KEEPS_DEFINITIONS = True

BAD_HEADERS: list[list[tuple[str, str]]] = [
    [("Idempotency-Key", "")],
    [("Idempotency-Key", "x" * 256)],
    [("Idempotency-Key", '"a";b')],
    [("Idempotency-Key", "a\tb")],
    [("Idempotency-Key", "a"), ("Idempotency-Key", "a")],
]


async def test_invalid_key_header_returns_400(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    for sent in BAD_HEADERS:
        answer = await client.post(goods, json=MUG, headers=[*ann.items(), *sent])
        assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid"), sent
    assert await listed(client, goods) == []


UNHEEDING = [
    ("POST", "/api/auth/login"),
    ("POST", "/api/auth/register"),
    ("POST", "/api/collections"),
    ("PATCH", "/api/collections/products"),
    ("PATCH", "/api/profile"),
]


async def test_key_on_unsupported_route_returns_400(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    for method, path in UNHEEDING:
        answer = await client.request(method, path, json={}, headers=admin | {"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid"), path
        assert answer.json()["detail"] == "Idempotency-Key is not heeded at this address"


async def test_query_by_post_ignores_key(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str], app: Litestar
) -> None:
    for expected in (0, 1):
        answer = await client.post(f"{goods}/query", json={}, headers={"Idempotency-Key": "1"})
        assert (answer.status_code, len(answer.json()["data"])) == (200, expected)
        await client.post(goods, json=MUG, headers=ann)
    assert await services_of(app).database.motor["_idempotency"].count_documents({}) == 0


async def test_idempotent_methods_ignore_key(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str], app: Litestar
) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    mug = (await client.post(goods, json=MUG, headers=ann)).json()["data"]
    path = f"{goods}/{mug['id']}"
    assert (await client.get(path, headers=ann | key)).status_code == 200
    for price in (1, 2):
        answer = await client.put(path, json=MUG | {"price": price}, headers=ann | key)
        assert (answer.json()["data"]["price"], is_replayed(answer)) == (price, False)
    assert (await client.delete(path, headers=ann | key)).status_code == 204
    assert (await client.delete(path, headers=ann | key)).status_code == 404
    assert await services_of(app).database.motor["_idempotency"].count_documents({}) == 0
