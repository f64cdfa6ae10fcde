"""What a caller may do in a collection: decided once per verb, however often a request needs it."""

from typing import Any

import pytest
from httpx import AsyncClient
from litestar import Litestar

from service.access.decisions import Decision
from service.access.principals import ANONYMOUS, Principal
from service.access.rules import Rules, Verb
from service.collections.registry import Registry
from service.documents.access import Access
from service.kit.errors import Forbidden, SignInRequired
from tests.services import services_of


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> list[Verb]:
    """The verbs that the rules were asked for."""
    verbs: list[Verb] = []
    decide = Rules.decide

    def noted(self: Rules, verb: Verb, principal: Principal) -> Decision:
        verbs.append(verb)
        return decide(self, verb, principal)

    monkeypatch.setattr(Rules, "decide", noted)
    return verbs


def test_verb_is_decided_once(app: Litestar, decided: list[Verb]) -> None:
    access = Access(services_of(app).registry.get("products"), ANONYMOUS)

    first = access.permit("list")

    assert access.decide("list") is first
    assert access.permit("list") is first
    assert decided == ["list"]


def test_refused_verb_raises_each_time(app: Litestar) -> None:
    collection = services_of(app).registry.get("products")
    key = Principal("key", "1", frozenset(), scopes=frozenset({"products:read"}))
    anonymous, with_key = Access(collection, ANONYMOUS), Access(collection, key)

    for _ in range(2):
        with pytest.raises(SignInRequired):
            anonymous.permit("delete")
        with pytest.raises(Forbidden):
            with_key.permit("delete")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/products"),
        ("GET", "/api/products?filter[price][gt]=1&sort=-price"),
        ("POST", "/api/products/query"),
        ("GET", "/api/products/queries"),
    ],
)
async def test_list_decides_rule_and_looks_up_collection_once(
    client: AsyncClient, decided: list[Verb], monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    found: list[str] = []
    get = Registry.get

    def noted(self: Registry, name: str) -> Any:
        found.append(name)
        return get(self, name)

    monkeypatch.setattr(Registry, "get", noted)

    response = await client.request(method, path, json={} if method == "POST" else None)

    assert response.status_code == 200
    assert decided == ["list"]
    assert found == ["products"]


async def test_get_decides_rule_once(client: AsyncClient, decided: list[Verb]) -> None:
    response = await client.get("/api/products/000000000000000000000000")

    assert response.status_code == 404
    assert decided == ["get"]


async def test_change_decides_each_rule_once(
    client: AsyncClient, admin: dict[str, str], decided: list[Verb]
) -> None:
    made = await client.post("/api/products", json={"name": "Mug", "price": 7}, headers=admin)
    decided.clear()

    patched = await client.patch(
        made.headers["location"],
        json={"price": 8},
        headers={**admin, "Content-Type": "application/merge-patch+json"},
    )

    assert patched.status_code == 200
    assert sorted(decided) == ["get", "update"]


async def test_batch_decides_each_rule_once_for_all_its_operations(
    client: AsyncClient, admin: dict[str, str], decided: list[Verb]
) -> None:
    operations = [
        {"op": "create", "collection": "products", "document": {"name": "Mug", "price": number}}
        for number in range(3)
    ]

    answer = await client.post("/api/batch", json={"operations": operations}, headers=admin)

    assert answer.status_code == 200
    assert sorted(decided) == ["create", "get"]
