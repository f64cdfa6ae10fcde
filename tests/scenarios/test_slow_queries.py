"""A request's time bounds what MongoDB does for it: what nobody waits for any more does not go on."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.conftest import Service, served
from tests.pace import within

TIMEOUT_S = 0.4
WITHIN_S = TIMEOUT_S + 1.5
"""By when a client is answered, on a busy machine too."""

GONE_S = 3.0
"""By when MongoDB has given it up, on a busy machine too; it would go on for much longer."""

TEXT = "a" * 12_000
NEEDLE = "a" * 999 + "b"
"""What looks for it in the text compares a thousand letters at each of its thousands of places."""

DOCUMENTS = 600
SAMPLE = 5
SLOW_FILTER = {"description": {"icontains": NEEDLE}}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def slow(mongodb_uri: str) -> AsyncIterator[Service]:
    """Provide a service with documents that take long to search."""
    async with served(mongodb_uri, operation_timeout_s=TIMEOUT_S) as service:
        service.database["products"].insert_many(
            {"name": f"{number}", "price": 1.0, "description": TEXT, "_version": 1}
            for number in range(DOCUMENTS)
        )
        yield service


def running(service: Service) -> list[dict[str, Any]]:
    """Return what MongoDB does for the service on its products at this moment."""
    stages: list[dict[str, Any]] = [
        {"$currentOp": {"allUsers": True, "idleConnections": False}},
        {"$match": {"ns": f"{service.database.name}.products", "appName": "sheaf"}},
    ]
    return list(service.database.client["admin"].aggregate(stages))


async def until_nothing_runs(service: Service) -> None:
    with within(GONE_S):
        while await asyncio.to_thread(running, service):  # noqa: ASYNC110  # MongoDB tells nobody
            await asyncio.sleep(0.02)


REQUESTS = {
    "a list": ("GET", f"/api/products?filter[description][icontains]={NEEDLE}&sort=price", None),
    "a query": ("POST", "/api/products/query", {"filter": SLOW_FILTER}),
    "a change by filter": (
        "PATCH",
        f"/api/products?filter={quote(json.dumps(SLOW_FILTER))}&max_affected=100",
        {"price": 2},
    ),
}


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS.values(), ids=REQUESTS)
async def test_slow_request_returns_503_and_is_stopped_in_mongodb(
    slow: Service, method: str, path: str, body: Any
) -> None:
    with within(WITHIN_S):
        answer = await slow.client.request(method, path, json=body, headers=slow.signed_in("admin"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2"), answer.text
    told = answer.json()
    assert told["code"] in {"database.too_slow", "database.unavailable"}  # whichever of two clocks is first
    if told["code"] == "database.too_slow":
        assert told["hint"].startswith("If it stays so, ask for less")
    await until_nothing_runs(slow)
    assert slow.database["products"].count_documents({"price": 2}) == 0


async def test_slow_exact_count_is_stopped_in_mongodb(slow: Service) -> None:
    answer = await slow.client.get(
        "/api/products",
        params={"filter[description][icontains]": NEEDLE, "count": "exact"},
        headers=slow.signed_in("admin"),
    )
    assert answer.status_code in {400, 503}
    await until_nothing_runs(slow)


async def test_unbounded_query_would_run_longer_than_limit(slow: Service) -> None:
    """Shows that what is asked above takes long, so that the tests above show something."""
    some = [each["_id"] for each in slow.database["products"].find({}, {"_id": 1}, limit=SAMPLE)]
    slowly = {"_id": {"$in": some}, "description": {"$regex": NEEDLE, "$options": "i"}}
    began_s = time.monotonic()
    assert await asyncio.to_thread(slow.database["products"].count_documents, slowly) == 0
    assert (time.monotonic() - began_s) * DOCUMENTS / SAMPLE > TIMEOUT_S + GONE_S
