"""A43: caches between us and those who ask, which must not give one caller's answer to another."""

from dataclasses import dataclass, field
from itertools import permutations, product
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.attacks.conftest import MUG, AttackedService, made

SLASHES = "http://sheaf.test/"
"""An address whose path begins with one slash too many."""

PEOPLE: list[str | None] = ["admin", None, "ann", "bob"]


@dataclass
class Cache:
    """A cache as RFC 9111 has it: one for everybody (3.5, 5.2.2.7), or the private one of one browser."""

    client: httpx.AsyncClient
    is_shared: bool
    kept: dict[Any, list[tuple[httpx.Request, httpx.Response]]] = field(default_factory=dict)
    hits: int = 0

    async def get(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        for asked, answer in self.kept.get(path, []):
            if all(asked.headers.get(name) == headers.get(name.title()) for name in varying(answer)):
                return await self._revalidated(path, headers, answer)
        answer = await self.client.get(path, headers=headers)
        self._keep(path, answer)
        return answer.status_code, answer.content

    async def _revalidated(
        self, path: str, headers: dict[str, str], answer: httpx.Response
    ) -> tuple[int, bytes]:
        assert "no-cache" in answer.headers["cache-control"], "used without asking"
        tagged = {"If-None-Match": answer.headers["etag"]} if "etag" in answer.headers else {}
        fresh = await self.client.get(path, headers=headers | tagged)
        if fresh.status_code == httpx.codes.NOT_MODIFIED:
            self.hits += 1
            return answer.status_code, answer.content
        self._keep(path, fresh)
        return fresh.status_code, fresh.content

    def _keep(self, path: str, answer: httpx.Response) -> None:
        said = answer.headers["cache-control"]
        if "no-store" in said or "*" in answer.headers["vary"] or (self.is_shared and "private" in said):
            return
        self.kept.setdefault(path, []).insert(0, (answer.request, answer))


def varying(answer: httpx.Response) -> list[str]:
    """Return the request headers that an answer depends on, of those that these clients differ in."""
    names = {name.strip().lower() for name in answer.headers["vary"].split(",")}
    return sorted(names - {"accept-encoding", "origin"})


@pytest.fixture
async def paths(attacked: AttackedService) -> list[str]:
    """Provide what can be read, some of it not by everybody, some of it not alike."""
    name = f"notes{uuid4().hex[:8]}"
    rules = {"read": ["owner", "role:reader"], "create": "user"}
    schema = {"type": "object", "properties": {"hidden": {"type": "string", "writeOnly": True}}}
    await made(attacked, "/api/collections", {"name": name, "schema": schema, "rules": rules}, "admin")
    anns = await made(attacked, f"/api/{name}", {"text": "Ann's", "hidden": "x"}, "ann")
    bobs = await made(attacked, f"/api/{name}", {"text": "Bob's"}, "bob")
    schema = {"type": "object", "properties": {"note": {"type": "string", "x-collection": name}}}
    rules = {"read": "anyone", "create": "user"}
    await made(attacked, "/api/collections", {"name": f"{name}s", "schema": schema, "rules": rules}, "admin")
    link = await made(attacked, f"/api/{name}s", {"note": anns["id"]}, "bob")
    mug = attacked.places["code-first"].mug["id"]
    return [
        *(f"/api/{name}", f"/api/{name}?fields=text", f"/api/{name}?filter[text][exists]=true&sort=-id"),
        *(f"/api/{name}/{anns['id']}", f"/api/{name}/{bobs['id']}", f"{SLASHES}/api//{name}//{anns['id']}"),
        *(f"{SLASHES}/api/{name}", f"/api/%{ord(name[0]):x}{name[1:]}", f"/api/{name}/{anns['id']}/"),
        *(
            "/api/products",
            f"/api/products/{mug}",
            f"{SLASHES}/api/products/{mug}",
            "/api/vault",
            "/api/goods",
        ),
        *("/api/collections", "/api/collections/goods", "/api/profile", "/api/openapi.json", "/docs"),
        *(f"/api/{name}s", f"/api/{name}s?expand=note", f"/api/{name}s/{link['id']}?expand=note"),
        *(f"/api/{name}s/{link['id']}", f"/api/{name}/{anns['id']}?fields=text", "/api/nothing"),
    ]


async def test_a43_shared_and_browser_caches_return_each_caller_own_response(
    attacked: AttackedService, paths: list[str]
) -> None:
    shared = Cache(attacked.client, is_shared=True)
    browser = Cache(attacked.client, is_shared=False)
    for path in paths:
        own = {who: await attacked.client.get(path, headers=attacked.people[who]) for who in PEOPLE}
        for order in list(permutations(PEOPLE))[::7]:
            for who, cache in product(order, (shared, browser)):
                status, body = await cache.get(path, attacked.people[who])
                assert status == own[who].status_code, (path, who)
                if status == httpx.codes.OK:
                    assert body == own[who].content, (path, who)
    assert shared.hits
    assert browser.hits > shared.hits


async def test_a43_cache_control_and_vary_match_caller(attacked: AttackedService, paths: list[str]) -> None:
    for path, who in product(paths, PEOPLE):
        answer = await attacked.client.get(path, headers=attacked.people[who])
        said, vary = answer.headers["cache-control"], answer.headers.get("vary", "").lower()
        if answer.status_code != httpx.codes.OK:
            assert said == "no-store", (path, who)
        elif path.removeprefix(SLASHES).startswith("/api"):
            assert said == ("no-cache" if who is None else "private, no-cache"), (path, who)
        if path.removeprefix(SLASHES).startswith("/api"):
            assert "authorization" in vary, (path, who)


async def test_a43_different_bodies_of_url_have_different_etags(
    attacked: AttackedService, paths: list[str]
) -> None:
    bodies: dict[tuple[str, str], bytes] = {}
    for path, who in product(paths, PEOPLE):
        answer = await attacked.client.get(path, headers=attacked.people[who])
        if "etag" in answer.headers:
            place = path, answer.headers["etag"].removeprefix("W/")
            assert bodies.setdefault(place, answer.content) == answer.content, (path, who)
    assert len(bodies) > 10


async def test_a43_etag_of_other_caller_does_not_return_304(
    attacked: AttackedService, paths: list[str]
) -> None:
    for path in paths:
        own = {who: await attacked.client.get(path, headers=attacked.people[who]) for who in PEOPLE}
        tags = {answer.headers.get("etag", '"1"') for answer in own.values()}
        for who, tag in product(PEOPLE, tags):
            answer = await attacked.client.get(path, headers=attacked.people[who] | {"If-None-Match": tag})
            is_known = own[who].headers.get("etag") == tag
            assert answer.status_code == (304 if is_known else own[who].status_code), (path, who, tag)


async def test_a43_idempotent_response_is_replayed_to_its_caller_only(attacked: AttackedService) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    first = await attacked.client.post("/api/products", json=MUG, headers=attacked.people["ann"] | key)
    before = attacked.stored()
    again = await attacked.client.post("/api/products", json=MUG, headers=attacked.people["ann"] | key)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    for answer in (first, again):
        assert answer.headers["cache-control"] == "no-store"
        assert "authorization" in answer.headers["vary"].lower()
    anonymous = await attacked.client.post("/api/products", json=MUG, headers=key)
    forged = await attacked.client.post(
        "/api/products", json=MUG, headers=key | {"Authorization": "Bearer x"}
    )
    assert (anonymous.status_code, forged.status_code) == (401, 401)
    assert attacked.stored() == before
    for who in ("bob", "admin"):
        other = await attacked.client.post("/api/products", json=MUG, headers=attacked.people[who] | key)
        assert "idempotency-replayed" not in other.headers
        assert other.json()["data"]["_owner"] != first.json()["data"]["_owner"]
