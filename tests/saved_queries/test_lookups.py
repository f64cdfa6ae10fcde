"""`lookup` reads another collection by that one's rule and schema, as both are when the query runs."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.saved_queries.shop import ShopService, open_shop


def looking_up(*fields: str) -> dict[str, Any]:
    lookup = {"field": "maker", "as": "by", "fields": [*fields]}
    return {"pipeline": [{"sort": "name"}, {"limit": 1}, {"lookup": lookup}, {"project": ["by"]}]}


QUERIES = {
    "made": looking_up("name", "_owner"),
    "leaking": looking_up("name", "password"),
    "matched": {
        "pipeline": [
            {"lookup": {"field": "maker", "as": "by", "fields": ["name"]}},
            {"match": {"by.name": {"startswith": {"param": "start"}}}},
            {"project": ["name"]},
        ],
        "parameters": {"start": {"type": "string"}},
    },
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(mongodb_uri: str) -> AsyncIterator[ShopService]:
    async with open_shop(mongodb_uri, QUERIES, is_code_first=False) as opened:
        yield opened


async def change(shop: ShopService, member: str, value: Any) -> None:
    body = {member: value}
    answer = await shop.client.patch("/api/collections/makers", json=body, headers=shop.people["admin"])
    assert answer.status_code == 200, answer.text


async def problem(shop: ShopService, query: str, who: str | None) -> tuple[int, str, str]:
    answer = await shop.ask(query, who)
    return answer.status_code, answer.json()["code"], answer.json()["detail"]


async def test_write_only_field_of_looked_up_collection_is_unknown(shop: ShopService) -> None:
    detail = "The query `leaking` does not fit what it looks up any more: there is no field `password`"
    for who in ("ann", "admin"):
        assert await problem(shop, "leaking", who) == (409, "query.unfit", detail)


async def test_match_ignores_looked_up_documents_hidden_from_caller(shop: ShopService) -> None:
    assert await shop.run("matched", "ann", start="Acme") == [{"name": "Desk"}]
    assert await shop.run("matched", "ann", start="B") == []
    assert await shop.run("matched", "buyer", start="B") == [{"name": "Lamp"}]


@pytest.mark.parametrize(("who", "status"), [("ann", 403), ("buyer", 403), ("admin", 200)])
async def test_query_requires_right_to_read_looked_up_collection(
    shop: ShopService, who: str, status: int
) -> None:
    rules = {"get": ["owner", "role:buyer"], "list": "user", "create": "user"}
    await change(shop, "rules", {"get": "nobody"})
    assert (await shop.ask("made", who)).status_code == status
    assert (await shop.ask("matched", who, start="A")).status_code == status
    await change(shop, "rules", rules)
    assert (await shop.ask("made", who)).status_code == 200


async def test_schema_change_of_looked_up_collection_returns_409(shop: ShopService) -> None:
    read = await shop.client.get("/api/collections/makers", headers=shop.people["admin"])
    schema = read.json()["data"]["schema"]
    await change(shop, "schema", {"properties": {"name": None}, "required": []})
    detail = "The query `made` does not fit what it looks up any more: there is no field `name`"
    assert await problem(shop, "made", "ann") == (409, "query.unfit", detail)
    await change(shop, "schema", schema)
    (found,) = await shop.run("made")
    assert found["by"]["name"] == "Acme"


async def test_lookup_by_incompatible_id_type_returns_409(shop: ShopService) -> None:
    admin = shop.people["admin"]
    for id_type, status in (("uuid", 409), ("integer", 200), ("string", 200)):
        name = f"{id_type}s"
        other = {
            "name": name,
            "schema": {"type": "object", "properties": {"name": {"type": "string"}}},
            "rules": {"read": "user"},
            "options": {"id_type": id_type},
        }
        await shop.make("collections", other, "admin")
        ids = {"integer": 7, "string": "7", "uuid": "00000000-0000-4000-8000-000000000007"}
        await shop.make(name, {"id": ids[id_type], "name": "seven"}, "admin")
        reference = {"type": "string", "x-collection": name}
        lookup = {"field": "to", "as": "by", "fields": ["id", "name"]}
        referring = {
            "name": f"to-{name}",
            "schema": {
                "type": "object",
                "properties": {"to": reference, "all": {"items": reference, "type": "array"}},
            },
            "rules": {"read": "user"},
            "queries": {
                "q": {"pipeline": [{"lookup": lookup}, {"project": ["by"]}]},
                "all": {"pipeline": [{"lookup": lookup | {"field": "all"}}, {"project": ["by"]}]},
            },
        }
        await shop.make("collections", referring, "admin")
        await shop.make(f"to-{name}", {"to": "7", "all": ["7", "x", "7"]}, "admin")
        seven = {"id": ids[id_type], "name": "seven"}
        for query, expected in (("q", seven), ("all", [seven])):
            answer = await shop.client.get(f"/api/to-{name}/queries/{query}", headers=admin)
            assert answer.status_code == status, answer.text
            if status == 200:
                assert answer.json()["data"] == [{"by": expected}]
            else:
                assert answer.json()["code"] == "query.unfit"


async def test_lookup_in_deleted_collection_returns_409(shop: ShopService) -> None:
    answer = await shop.client.delete("/api/collections/makers?confirm=makers", headers=shop.people["admin"])
    assert answer.status_code == 200
    detail = "The query looks up `makers`, and there is no such collection any more"
    assert await problem(shop, "made", "ann") == (409, "query.unfit", detail)
