"""Lists in threads: who asks for the same at once shares a query, and none is of before it was asked for."""

import asyncio
from typing import Any

import bson
import pytest
from litestar import Litestar

from service.collections.registry import Collection
from service.query import ListQuery, parse_list
from service.storage.plans import plan_list
from service.storage.store import decoded
from service.storage.thread_pools import ThreadPool, Work
from tests.services import services_of

KEEPS_DEFINITIONS = True

FAR = bson.DatetimeMS(2**60)
"""A time that Python's own has no room for, so that a document with it cannot be decoded."""


@pytest.fixture
async def products(app: Litestar) -> Collection:
    collection: Collection = services_of(app).registry.get("products")
    await collection.documents.delete_many({})
    return collection


def query(collection: Collection, *parameters: tuple[str, str]) -> ListQuery:
    return parse_list(parameters, collection.description.schema.root)


async def prices(collection: Collection, asked: ListQuery) -> list[Any]:
    plan = plan_list(collection.name, collection.description.schema.root, asked)
    page = await collection.store.read(plan)
    return [decoded(each).get("price") for each in page.documents]


async def test_concurrent_identical_lists_share_one_query(
    app: Litestar, products: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await products.documents.insert_many({"price": number} for number in range(50))
    asked = [query(products, ("sort", "price"), ("limit", "3"), ("page", str(page))) for page in range(1, 6)]
    sizes: list[int] = []

    def note(_: ThreadPool, work: Work, __: float) -> None:
        sizes.append(work.size)

    monkeypatch.setattr(services_of(app).database.pools, "on_done", note)
    found = await asyncio.gather(*(prices(products, asked[number % 5]) for number in range(100)))
    first = [3 * (number % 5) for number in range(100)]
    assert found == [[price, price + 1, price + 2] for price in first]
    assert sum(sizes) == 100
    assert len(sizes) < 50


async def test_list_includes_every_acknowledged_write(products: Collection) -> None:
    await products.documents.insert_one({"_id": "one", "price": 0})
    asked = query(products, ("limit", "5"))
    is_over = False

    async def keep_reading() -> None:
        while not is_over:
            await prices(products, asked)

    noise = [asyncio.create_task(keep_reading()) for _ in range(8)]
    for number in range(1, 51):
        await products.documents.update_one({"_id": "one"}, {"$set": {"price": number}})
        assert await prices(products, asked) == [number]
    is_over = True
    await asyncio.gather(*noise)


async def test_undecodable_document_fails_only_lists_containing_it(
    products: Collection,
) -> None:
    strict = products.documents.codec_options.with_options(
        datetime_conversion=bson.DatetimeConversion.DATETIME
    )
    assert products.documents.codec_options == strict, "times are those of Python"
    await products.documents.insert_many([{"_id": number, "price": number} for number in range(9)])
    await products.documents.update_one({"_id": 4}, {"$set": {"at": FAR}})
    asked = [query(products, ("sort", "price"), ("limit", "3"), ("page", str(page))) for page in (1, 2, 3)]
    found = await asyncio.gather(
        *(prices(products, asked[number % 3]) for number in range(12)), return_exceptions=True
    )
    assert found[::3] == [[0, 1, 2]] * 4
    assert [type(each) for each in found[1::3]] == [bson.errors.InvalidBSON] * 4
    assert found[2::3] == [[6, 7, 8]] * 4


async def test_cancelled_list_does_not_affect_others(products: Collection) -> None:
    await products.documents.insert_many({"price": number} for number in range(10))
    asked = query(products, ("sort", "price"), ("limit", "2"))
    tasks = [asyncio.create_task(prices(products, asked)) for _ in range(40)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in found[::2])
    assert found[1::2] == [[0, 1]] * 20
