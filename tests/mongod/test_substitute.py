"""What the service does on the substitute for MongoDB, for development where there is no MongoDB to bring."""

import shutil
import sys
from pathlib import Path
from typing import Any

import httpx

from service.dev import mongod
from service.dev.mongod.search import PROGRAMS, Server
from tests.conftest import Service, served
from tests.services import services_of

SIGN_IN = {"email": "ann@example.com", "password": "correct horse battery staple"}
SORTED = "/api/products?sort=-price,name&fields=name"


async def created(service: Service) -> list[dict[str, Any]]:
    """Create three products in one request under a key, and repeat it."""
    products = [{"name": name, "price": price} for name, price in (("Mug", 5), ("Desk", 90), ("Lamp", 30))]
    headers = service.signed_in("admin") | {"Idempotency-Key": "three-products"}
    first = await service.client.post("/api/products", json=products, headers=headers)
    again = await service.client.post("/api/products", json=products, headers=headers)
    assert (first.status_code, again.json()) == (201, first.json()), first.text
    documents: list[dict[str, Any]] = first.json()["data"]
    return documents


async def test_substitute_serves_all_but_search_ordered_cursors_and_changes(
    tmp_path: Path,
) -> None:
    program = shutil.which(PROGRAMS["secantus"], path=str(Path(sys.executable).parent))
    assert program is not None
    with mongod.start(tmp_path, server=Server("secantus", Path(program))) as server:
        async with served(server.uri) as service:
            documents = await created(service)
            await check_lists(service, documents)
            patched = await service.client.patch(
                "/api/products?filter[price][gte]=30&max_affected=2",
                content=b'{"inc": {"price": 1}}',
                headers=service.signed_in("admin")
                | {"Content-Type": "application/vnd.sheaf.operations+json"},
            )
            assert patched.json() == {"data": {"matched": 2, "changed": 2}}
            await check_sessions(service)
            await check_lockout(service)
            await check_images(service)


async def check_lists(service: Service, documents: list[dict[str, Any]]) -> None:
    """Read lists by number, by cursor in the order of ids, and by words, which cannot be."""
    by_price = [{"id": documents[place]["id"], "name": documents[place]["name"]} for place in (1, 2, 0)]
    first = (await service.client.get(f"{SORTED}&limit=2")).json()
    assert first == {"data": by_price[:2], "page": 1, "limit": 2, "has_more": True}
    second = (await service.client.get(f"{SORTED}&limit=2&page=2")).json()
    assert second == {"data": by_price[2:], "page": 2, "limit": 2, "has_more": False}
    by_id = (await service.client.get("/api/products?limit=2")).json()
    rest = (await service.client.get(f"/api/products?limit=2&cursor={by_id['next']}")).json()
    assert [*by_id["data"], *rest["data"]] == documents
    searched = await service.client.get("/api/products?q=desk")
    assert (searched.status_code, searched.json()["errors"][0]["code"]) == (400, "not_indexed")


async def check_sessions(service: Service) -> None:
    """Register, sign in, refresh twice, use a key, give the first token again, and so end the session."""
    client = service.client
    assert (await client.post("/api/auth/register", json=SIGN_IN)).status_code == 201
    first = (await client.post("/api/auth/login", json=SIGN_IN)).json()["data"]
    second = await refreshed(service, first["refresh_token"])
    assert second.status_code == 200, second.text
    third = await refreshed(service, second.json()["data"]["refresh_token"])
    assert third.status_code == 200, third.text
    holder = {"Authorization": f"Bearer {third.json()['data']['access_token']}"}
    made = await client.post("/api/keys", json={"name": "k", "scopes": ["products:read"]}, headers=holder)
    by_key = {"Authorization": f"Bearer {made.json()['data']['key']}"}
    assert (await client.get("/api/products", headers=by_key)).status_code == 200
    reused = await refreshed(service, first["refresh_token"])
    assert (reused.status_code, reused.json()["code"]) == (401, "auth.session_ended")
    assert (await client.get("/api/profile", headers=holder)).json()["code"] == "auth.token_invalid"


async def refreshed(service: Service, token: str) -> httpx.Response:
    """Return the answer to a refresh token."""
    return await service.client.post("/api/auth/refresh", json={"refresh_token": token})


async def check_lockout(service: Service) -> None:
    """Guess at the password of nobody until guesses are not verified any more."""
    guess = {"email": "bob@example.com", "password": "not the right one"}
    answers = [await service.client.post("/api/auth/login", json=guess) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert answers[-1].json()["code"] == "auth.locked"


async def check_images(service: Service) -> None:
    """Define a collection that must be live, which cannot be, and one that need not be."""
    admin = service.signed_in("admin")
    notes = {"name": "notes", "schema": {"type": "object"}}
    refused = await service.client.post(
        "/api/collections", json=notes | {"options": {"live": True}}, headers=admin
    )
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/options/live"]
    made = await service.client.post("/api/collections", json=notes, headers=admin)
    assert made.status_code == 201, made.text
    assert not services_of(service.app).registry.get("notes").is_live
