"""Requests with an `Idempotency-Key`, repeated."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar

from service.documents import idempotency
from service.kit.errors import IdempotencyMismatch, IdempotencyRunning
from tests.conftest import Asker, connect
from tests.scenarios.repeats import MUG, is_replayed, listed, shown
from tests.services import services_of


@pytest.fixture
def key() -> dict[str, str]:
    return {"Idempotency-Key": f'"{uuid4()}"'}


@pytest.fixture
async def clients(
    client: httpx.AsyncClient, second_worker: Litestar
) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Provide a client of each of two workers."""
    async with connect(second_worker) as second:
        yield [client, second]


async def test_repeated_create_with_key_creates_once_and_replays_response(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str], key: dict[str, str]
) -> None:
    first = await client.post(goods, json=MUG, headers=ann | key)
    assert (first.status_code, is_replayed(first)) == (201, False)
    again = [await client.post(goods, json=MUG, headers=ann | key) for _ in range(2)]
    assert [shown(each) for each in again] == [shown(first)] * 2
    assert all(map(is_replayed, again))
    assert again[0].headers["location"] == f"{goods}/{first.json()['data']['id']}"
    assert (again[0].headers["etag"], again[0].headers["cache-control"]) == ('"1"', "no-store")
    assert await listed(client, goods) == [first.json()["data"]]


async def test_repeated_patch_with_key_applies_once(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str], key: dict[str, str]
) -> None:
    mug = (await client.post(goods, json=MUG, headers=ann)).json()["data"]
    path = f"{goods}/{mug['id']}"
    first = await client.patch(path, json={"price": 1}, headers=ann | key)
    assert (first.json()["data"]["_version"], first.json()["data"]["price"]) == (2, 1)
    await client.patch(path, json={"price": 2}, headers=ann)
    again = await client.patch(path, json={"price": 1}, headers=ann | key)
    assert shown(again) == shown(first)
    assert is_replayed(again)
    now = (await client.get(path)).json()["data"]
    assert (now["_version"], now["price"]) == (3, 2)


async def test_repeated_create_without_key_creates_twice(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str], app: Litestar
) -> None:
    for _ in range(2):
        assert not is_replayed(await client.post(goods, json=MUG, headers=ann))
    assert len(await listed(client, goods)) == 2
    assert await services_of(app).database.motor["_idempotency"].count_documents({}) == 0


async def test_concurrent_creates_with_key_on_two_workers_create_once(
    clients: list[httpx.AsyncClient], app: Litestar, ann: dict[str, str], key: dict[str, str]
) -> None:
    path = "/api/products"
    answered = await asyncio.gather(
        *(clients[number % 2].post(path, json=MUG, headers=ann | key) for number in range(20))
    )
    [first] = [each for each in answered if each.status_code == 201 and not is_replayed(each)]
    for each in answered:
        if each.status_code == 201:
            assert shown(each) == shown(first)
        else:
            assert (each.status_code, each.json()["code"]) == (409, IdempotencyRunning.code)
            assert each.headers["retry-after"] == "1"
    later = [await each.post(path, json=MUG, headers=ann | key) for each in clients]
    assert [shown(each) for each in later] == [shown(first)] * 2
    assert await services_of(app).database.motor["products"].count_documents({}) == 1


async def test_concurrent_patches_with_key_apply_once(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str], key: dict[str, str]
) -> None:
    mug = (await client.post(goods, json=MUG, headers=ann)).json()["data"]
    path = f"{goods}/{mug['id']}"
    answered = await asyncio.gather(
        *(client.patch(path, json={"price": 1}, headers=ann | key) for _ in range(20))
    )
    assert {each.status_code for each in answered} <= {200, 409}
    assert {each.json()["data"]["_version"] for each in answered if each.status_code == 200} == {2}
    assert (await client.get(path)).json()["data"]["_version"] == 2


async def test_concurrent_patches_with_different_keys_are_all_applied_and_replayed(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str], app: Litestar
) -> None:
    mug = (await client.post(goods, json=MUG, headers=ann)).json()["data"]
    path = f"{goods}/{mug['id']}"

    async def patched(number: int) -> httpx.Response:
        headers = ann | {"Idempotency-Key": f"key-{number}"}
        return await client.patch(path, json={"price": number}, headers=headers)

    first = await asyncio.gather(*map(patched, range(8)))
    assert sorted(each.json()["data"]["_version"] for each in first) == list(range(2, 10))
    again = await asyncio.gather(*map(patched, range(8)))
    assert list(map(shown, again)) == list(map(shown, first))
    assert await services_of(app).database.motor["_idempotency"].count_documents({"is_done": True}) == 8
    assert (await client.get(path)).json()["data"]["_version"] == 9


CHANGES: dict[str, dict[str, Any]] = {
    "the body": {"json": MUG | {"price": 1}},
    "the media type": {"headers": {"Content-Type": "application/json; charset=utf-8"}},
    "If-Match": {"headers": {"If-Match": '"1"'}},
    "If-None-Match": {"headers": {"If-None-Match": "*"}},
    "the query": {"params": {"a": "1"}},
    "the method": {"method": "PATCH"},
    "the path": {"method": "PATCH", "url": "/api/products/other"},
}
"""What makes a request another one."""


async def test_key_with_different_request_returns_422(
    client: httpx.AsyncClient, ann: dict[str, str], key: dict[str, str]
) -> None:
    goods = "/api/products"
    first = await client.post(goods, json=MUG, headers=ann | key)
    for change, parts in CHANGES.items():
        headers = ann | key | parts.get("headers", {})
        other = await client.request(
            **({"method": "POST", "url": goods, "json": MUG} | parts | {"headers": headers})
        )
        assert (other.status_code, other.json()["code"]) == (422, IdempotencyMismatch.code), change
        assert other.json()["detail"] == "This Idempotency-Key was used for another request"
    assert await listed(client, goods) == [first.json()["data"]]
    again = await client.post(goods, json=MUG, headers=ann | key)
    assert shown(again) == shown(first)


async def test_keys_are_scoped_to_user(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str], bob: dict[str, str], key: dict[str, str]
) -> None:
    anns = await client.post(goods, json=MUG, headers=ann | key)
    bobs = await client.post(goods, json=MUG, headers=bob | key)
    assert (bobs.status_code, is_replayed(bobs)) == (201, False)
    assert anns.json()["data"]["_owner"] != bobs.json()["data"]["_owner"]
    other = await client.post(goods, json=MUG | {"price": 1}, headers=bob | key)
    assert other.status_code == 422
    assert len(await listed(client, goods)) == 2


async def test_replay_is_served_after_roles_change(
    client: httpx.AsyncClient, goods: str, as_user: Asker, key: dict[str, str]
) -> None:
    first = await client.post(goods, json=MUG, headers=as_user("ann") | key)
    again = await client.post(goods, json=MUG, headers=as_user("ann", "editor") | key)
    assert shown(again) == shown(first)


async def test_replay_is_refused_after_loss_of_access(
    client: httpx.AsyncClient,
    admin: dict[str, str],
    ann: dict[str, str],
    key: dict[str, str],
) -> None:
    definition = {"name": "notes", "schema": {"type": "object"}, "rules": {"create": "user"}}
    await client.post("/api/collections", json=definition, headers=admin)
    first = await client.post("/api/notes", json={"a": 1}, headers=ann | key)
    await client.patch("/api/collections/notes", json={"rules": {"create": "role:editor"}}, headers=admin)
    refused = await client.post("/api/notes", json={"a": 1}, headers=ann | key)
    assert (refused.status_code, refused.json()["code"]) == (403, "access.denied")
    anonymous = await client.post("/api/notes", json={"a": 1}, headers=key)
    assert anonymous.status_code == 401
    forged = await client.post("/api/notes", json={"a": 1}, headers=key | {"Authorization": "Bearer x"})
    assert forged.status_code == 401
    await client.patch("/api/collections/notes", json={"rules": {"create": "user"}}, headers=admin)
    again = await client.post("/api/notes", json={"a": 1}, headers=ann | key)
    assert shown(again) == shown(first)
    await client.delete("/api/collections/notes?confirm=notes", headers=admin)
    assert (await client.post("/api/notes", json={"a": 1}, headers=ann | key)).status_code == 404


async def test_anonymous_keys_must_be_unguessable_and_work_from_any_address(
    client: httpx.AsyncClient, app: Litestar, admin: dict[str, str], key: dict[str, str]
) -> None:
    definition = {"name": "wall", "schema": {"type": "object"}, "rules": {"create": "anyone"}}
    await client.post("/api/collections", json=definition, headers=admin)
    short = await client.post("/api/wall", json={"a": 1}, headers={"Idempotency-Key": "1"})
    assert (short.status_code, short.json()["code"]) == (400, "request.invalid")
    first = await client.post("/api/wall", json={"a": 1}, headers=key)
    async with connect(app, "192.0.2.9") as elsewhere:
        again = await elsewhere.post("/api/wall", json={"a": 1}, headers=key)
    assert (first.status_code, shown(again), is_replayed(again)) == (201, shown(first), True)
    assert await services_of(app).database.motor["wall"].count_documents({}) == 1


REFUSED: list[tuple[bytes, str, int, str]] = [
    (b'{"name": ""}', "application/json", 400, "document.invalid"),
    (b'{"name": "Mug", "price": 1, "_version": 7}', "application/json", 400, "field.not_writable"),
    (b'{"name":', "application/json", 400, "json.invalid"),
    (b"{}", "text/plain", 415, "media_type.unsupported"),
]


async def test_refused_request_is_replayed_verbatim(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    for body, media_type, status, code in REFUSED:
        headers = ann | {"Content-Type": media_type, "Idempotency-Key": str(uuid4())}
        first = await client.post(goods, content=body, headers=headers)
        assert (first.status_code, first.json()["code"], is_replayed(first)) == (status, code, False)
        again = await client.post(goods, content=body, headers=headers)
        assert (shown(again), is_replayed(again)) == (shown(first), True), code
    assert await listed(client, goods) == []


async def test_not_found_duplicate_and_stale_responses_are_replayed(
    client: httpx.AsyncClient, admin: dict[str, str], key: dict[str, str]
) -> None:
    definition = {
        "name": "notes",
        "schema": {"type": "object"},
        "rules": {"read": "anyone"},
        "options": {"id_type": "string"},
        "indexes": [{"fields": ["a"], "unique": True}],
    }
    await client.post("/api/collections", json=definition, headers=admin)

    async def asked(name: str, body: dict[str, Any], **more: str) -> httpx.Response:
        headers = admin | {"Idempotency-Key": name} | {key.replace("_", "-"): more[key] for key in more}
        if name == "taken":
            return await client.post("/api/notes", json=body, headers=headers)
        return await client.patch("/api/notes/1", json=body, headers=headers)

    absent = await asked("absent", {"b": 1})
    assert (absent.status_code, absent.json()["code"]) == (404, "document.not_found")
    await client.post("/api/notes", json={"id": "1", "a": 1}, headers=admin)
    taken = await asked("taken", {"id": "2", "a": 1})
    assert (taken.status_code, taken.json()["code"]) == (409, "document.duplicate")
    stale = await asked("stale", {"b": 1}, if_match='"7"')
    assert (stale.status_code, stale.json()["_version"]) == (412, 1)
    await client.patch("/api/notes/1", json={"a": 2}, headers=admin)
    assert shown(await asked("absent", {"b": 1})) == shown(absent)
    assert shown(await asked("taken", {"id": "2", "a": 1})) == shown(taken)
    assert shown(await asked("stale", {"b": 1}, if_match='"7"')) == shown(stale)
    assert (await client.get("/api/notes")).json()["data"][0]["_version"] == 2


async def test_oversized_response_is_replayed_without_body(
    client: httpx.AsyncClient,
    goods: str,
    ann: dict[str, str],
    key: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(idempotency, "ANSWER_LIMIT_BYTES", 100)
    first = await client.post(goods, json=MUG, headers=ann | key)
    assert (first.status_code, len(first.content) > 100) == (201, True)
    again = await client.post(goods, json=MUG, headers=ann | key)
    assert (again.status_code, again.content, is_replayed(again)) == (201, b"", True)
    assert again.headers["preference-applied"] == "return=minimal"
    assert again.headers["location"] == first.headers["location"]
    assert await listed(client, goods) == [first.json()["data"]]
