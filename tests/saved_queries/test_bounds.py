"""Saved queries that take too much, or meet what they cannot compute with, are stopped in our words."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from bson import Decimal128, ObjectId

from service.saved_queries.limits import MAXIMUM_ANSWER_BYTES
from tests.saved_queries.shop import ShopService, open_shop

NAMES: list[dict[str, Any]] = [{"sort": "name"}, {"project": ["name"]}]

QUERIES: dict[str, Any] = {
    "names": {"description": "Every name.", "pipeline": NAMES},
    "sum_of_parts": {"pipeline": [{"project": {"x": {"add": ["price", "parts"]}}}]},
    "two_arrays": {"pipeline": [{"sort": "tags,makers"}]},
    "long": {"pipeline": [{"project": {"x": {"concat": ["name"] * 20}}}]},
    "longer": {
        "pipeline": [
            {"set": {"name": {"concat": ["name"] * 5}}},
            {"project": {"x": {"length": {"concat": ["name"] * 20}}}},
        ]
    },
    "slow": {
        "pipeline": [
            {"set": {"a": "tags", "b": "tags", "c": "tags"}},
            *({"unwind": name} for name in "abc"),
            {"count": "n"},
        ]
    },
    "repeated": {"pipeline": [{"unwind": "tags"}, {"project": ["name"]}]},
    "pushed": {"pipeline": [{"unwind": "tags"}, {"group": {"all": {"push": "name"}}}]},
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(mongodb_uri: str) -> AsyncIterator[ShopService]:
    async with open_shop(mongodb_uri, QUERIES, is_code_first=False) as opened:
        yield opened


@pytest.fixture
def insert_sale(shop: ShopService) -> Iterator[Callable[..., None]]:
    """Provide a function that stores a sale of Bob's past the service, for the length of a test."""
    planted: list[Any] = []
    owner = shop.database["sales"].find_one({"name": "Mug"}) or {}

    def store(**members: Any) -> None:
        document = {"name": "x", "price": 1, "_version": 1, "_owner": owner["_owner"], "planted": True}
        planted.append(shop.database["sales"].insert_one(document | members).inserted_id)

    yield store
    shop.database["sales"].delete_many({"_id": {"$in": planted}})


async def test_slow_query_is_stopped_with_422(shop: ShopService, insert_sale: Callable[..., None]) -> None:
    insert_sale(tags=[str(number) for number in range(1000)])
    answer = await shop.ask("slow", "bob")
    assert (answer.status_code, answer.json()["code"]) == (422, "query.too_expensive")
    assert answer.json()["detail"] == "The query takes longer than 2 seconds"
    assert await shop.run("names", "ann") != []


@pytest.mark.parametrize(
    ("name", "copies", "detail"),
    [
        ("pushed", 200, "The query needs more memory than a stage may have"),
        ("pushed", 20, "The query makes a document of more than MongoDB's 16 MB"),
        ("long", 1, "The query makes a document of more than MongoDB's 16 MB"),
        ("longer", 1, "The query makes a document of more than MongoDB's 16 MB"),
        ("repeated", 8, f"The query gives more than {MAXIMUM_ANSWER_BYTES // 2**20} MiB"),
    ],
)
async def test_query_exceeding_memory_or_size_limit_is_stopped_with_422(
    shop: ShopService, insert_sale: Callable[..., None], name: str, copies: int, detail: str
) -> None:
    insert_sale(name="x" * 1_000_000, tags=["t"] * copies)
    answer = await shop.ask(name, "bob")
    assert (answer.status_code, answer.json()["code"], answer.json()["detail"]) == (
        422,
        "query.too_expensive",
        detail,
    )


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("sum_of_parts", {"price": "dear"}),
        ("sum_of_parts", {"price": datetime(9999, 12, 31, tzinfo=UTC), "parts": 2**50}),
        ("sum_of_parts", {"price": datetime(9999, 12, 31, tzinfo=UTC), "parts": 2**63 - 1}),
        ("two_arrays", {"tags": ["a"], "makers": ["b", "c"]}),
    ],
)
async def test_document_that_query_cannot_compute_with_returns_409(
    shop: ShopService, insert_sale: Callable[..., None], name: str, members: dict[str, Any]
) -> None:
    insert_sale(**members)
    answer = await shop.ask(name, "bob")
    assert answer.json() == {
        "type": "https://sheaf.dev/problems/query.unfit",
        "title": "The query does not fit the present data",
        "status": 409,
        "code": "query.unfit",
        "detail": "A document holds a value that the query cannot compute with",
        "instance": f"/api/sales/queries/{name}",
        "request_id": answer.headers["x-request-id"],
        "hint": "Have its pipeline `match` the documents that it can.",
    }


async def test_values_not_matching_schema_are_returned_as_json(
    shop: ShopService, insert_sale: Callable[..., None]
) -> None:
    insert_sale(name=ObjectId("5" * 24), price=Decimal128("1.5"), parts=float("nan"))
    assert {"name": "5" * 24} in await shop.run("names", "bob")
