"""Who sees what in the contract, and how it is kept and renewed."""

import asyncio
from dataclasses import replace
from time import process_time
from typing import Any

import httpx
import pytest

from service.access.principals import ANONYMOUS, Principal
from service.collections.registry import Collection
from service.http.contract.assembly import Contracts
from tests.conftest import Asker
from tests.openapi.conftest import ServiceWithCollections
from tests.pace import within
from tests.services import services_of

SHOWN = {
    "nobody": {"kinds", "trees", "shapes", "products", "loose-ends"},
    "ann": {"kinds", "trees", "shapes", "products", "loose-ends"},
    "keeper": {"kinds", "trees", "shapes", "products", "loose-ends", "loose_ends"},
    "admin": {"kinds", "trees", "shapes", "products", "loose-ends", "loose_ends"},
}
OF_LOOSE_ENDS = {
    "nobody": {"/api/loose-ends": {"post"}},
    "ann": {
        "/api/loose-ends": {"get", "post", "patch"},
        "/api/loose-ends/query": {"post"},
        "/api/loose-ends/queries": {"get"},
        "/api/loose-ends/changes": {"get"},
        "/api/loose-ends/{id}": {"get", "put", "patch"},
    },
    "admin": {
        "/api/loose-ends": {"get", "post", "patch", "delete"},
        "/api/loose-ends/query": {"post"},
        "/api/loose-ends/queries": {"get"},
        "/api/loose-ends/changes": {"get"},
        "/api/loose-ends/{id}": {"get", "put", "patch", "delete"},
    },
}
COLLECTIONS = {"kinds", "trees", "shapes", "loose-ends", "loose_ends", "products"}


@pytest.mark.parametrize("who", SHOWN)
async def test_contract_has_the_collections_that_the_caller_may_use(
    service: ServiceWithCollections, who: str
) -> None:
    contract = await service.contract(who)
    assert {path.split("/")[2] for path in contract["paths"]} & COLLECTIONS == SHOWN[who]
    assert {tag["name"] for tag in contract["tags"]} & COLLECTIONS == SHOWN[who]


@pytest.mark.parametrize("who", OF_LOOSE_ENDS)
async def test_contract_has_the_operations_that_the_caller_may_use(
    service: ServiceWithCollections, who: str
) -> None:
    paths = (await service.contract(who))["paths"]
    seen = {path: set(methods) for path, methods in paths.items() if path.split("/")[2] == "loose-ends"}
    assert seen == OF_LOOSE_ENDS[who]


async def test_contract_has_no_schema_of_a_hidden_collection(service: ServiceWithCollections) -> None:
    told = (await service.client.get("/api/openapi.json")).text
    assert "loose_ends" not in told
    assert "Loose_ends" not in told


async def test_contract_for_anonymous_has_no_program_version(service: ServiceWithCollections) -> None:
    contract = await service.contract("nobody")
    assert contract["info"]["version"] == "1.0.0"
    assert contract["servers"] == [{"url": "/"}]


async def test_contract_is_private_and_has_a_strong_tag(service: ServiceWithCollections) -> None:
    answer = await service.client.get("/api/openapi.json", headers=service.people["ann"])
    tag = answer.headers["etag"]
    assert not tag.startswith("W/")
    assert answer.headers["cache-control"] == "private, no-cache"
    assert "Authorization" in answer.headers["vary"]
    again = await service.client.get(
        "/api/openapi.json", headers=service.people["ann"] | {"If-None-Match": tag}
    )
    assert (again.status_code, again.content) == (304, b"")
    other = await service.client.get(
        "/api/openapi.json", headers=service.people["admin"] | {"If-None-Match": tag}
    )
    assert other.status_code == 200
    head = await service.client.head("/api/openapi.json", headers=service.people["ann"])
    assert (head.headers["etag"], head.content) == (tag, b"")


async def test_contract_with_unknown_parameter_returns_400(service: ServiceWithCollections) -> None:
    answer = await service.client.get("/api/openapi.json?version=2")
    assert answer.status_code == 400


async def test_changed_definition_changes_the_contract(
    client: httpx.AsyncClient, admin: dict[str, str], as_user: Asker
) -> None:
    async def told() -> Any:
        answer = await client.get("/api/openapi.json")
        return answer.headers["etag"], answer.json()

    before, contract = await told()
    assert "/api/films" not in contract["paths"]
    film = {"type": "object", "properties": {"title": {"type": "string"}}}
    body = {"name": "films", "schema": film, "rules": {"list": "anyone"}}
    assert (await client.post("/api/collections", json=body, headers=admin)).status_code == 201
    made, contract = await told()
    assert set(contract["paths"]["/api/films"]) == {"get"}
    change = {"schema": {"properties": {"year": {"type": "integer"}}}, "rules": {"create": "anyone"}}
    assert (await client.patch("/api/collections/films", json=change, headers=admin)).status_code == 200
    changed, contract = await told()
    assert set(contract["paths"]["/api/films"]) == {"get", "post"}
    assert contract["components"]["schemas"]["FilmsCreate"]["properties"]["year"] == {"type": "integer"}
    await client.delete("/api/collections/films?confirm=films", headers=admin)
    assert len({before, made, changed}) == 3
    assert (await told())[0] == before


class CountingContracts(Contracts):
    """Contracts that count how often one is built."""

    def __init__(self) -> None:
        super().__init__()
        self.built = 0

    def _built(self, *arguments: Any) -> Any:
        self.built += 1
        return super()._built(*arguments)


def user(*roles: str) -> Principal:
    return Principal("user", "1", frozenset(roles))


async def test_contract_is_built_once_for_callers_who_see_the_same(service: ServiceWithCollections) -> None:
    collections = services_of(service.app).registry.all()
    contracts = CountingContracts()
    several = await asyncio.gather(*(contracts.get(collections, user("admin")) for _ in range(20)))
    assert contracts.built == 1
    assert len({id(each) for each in several}) == 1
    editor = await contracts.get(collections, user("editor"))
    assert editor is await contracts.get(collections, user("writer"))
    assert contracts.built == 2
    assert await contracts.get(collections, ANONYMOUS) is not editor


async def test_contract_of_200_collections_is_built_in_time(service: ServiceWithCollections) -> None:
    kinds: Collection = services_of(service.app).registry.get("kinds")
    many = [replace(kinds, name=f"kinds-{number}") for number in range(200)]
    contracts = Contracts()
    began_s = process_time()
    with within(3):
        first = await contracts.get(many, user("admin"))
    built_s = process_time() - began_s
    assert len(first.content) > 1_000_000
    with within(0.2):
        for _ in range(10):
            assert await contracts.get(many, user("admin")) is first
    changed = [*many[:-1], replace(many[-1], version=2)]
    began_s = process_time()
    assert (await contracts.get(changed, user("admin"))).content == first.content
    assert process_time() - began_s < built_s
