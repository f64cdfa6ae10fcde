"""Very many changes of one document at once, on one worker and on two: each counts, once."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar

from service.documents.apply_patch import ApplyPatch
from service.documents.patches import of_operation
from service.documents.write_policy import UNBOUND
from service.query import Compare
from service.storage.plans import Origin, Update
from tests.conftest import connect, until_known
from tests.services import services_of

OPERATIONS = {"Content-Type": "application/vnd.sheaf.operations+json"}
DEFINITION: dict[str, Any] = {
    "name": "counters",
    "schema": {
        "type": "object",
        "properties": {
            "hits": {"type": "integer", "maximum": 100},
            "total": {"type": "string", "format": "decimal"},
            "code": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "additionalProperties": False,
    },
    "rules": {"read": "anyone", "create": "user", "update": "owner", "delete": "owner"},
    "indexes": [{"fields": ["code"], "unique": True, "sparse": True}],
}


@pytest.fixture
async def workers(
    client: httpx.AsyncClient, second_worker: Litestar, admin: dict[str, str]
) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Provide clients of two workers, both of which know the collection `counters`."""
    answer = await client.post("/api/collections", json=DEFINITION, headers=admin)
    assert answer.status_code == 201, answer.text
    await until_known(second_worker, "counters")
    async with connect(second_worker) as second:
        yield [client, second]


async def made(client: httpx.AsyncClient, body: dict[str, Any], who: dict[str, str]) -> str:
    answer = await client.post("/api/counters", json=body, headers=who)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


async def test_concurrent_increments_on_two_workers_are_exact(
    workers: list[httpx.AsyncClient], ann: dict[str, str]
) -> None:
    path = await made(workers[0], {"total": "0.00"}, ann)
    answers = await asyncio.gather(
        *(
            workers[number % 2].patch(
                path, content=json.dumps({"inc": {"total": "0.01"}}), headers={**ann, **OPERATIONS}
            )
            for number in range(200)
        )
    )
    assert {answer.status_code for answer in answers} == {200}
    seen = sorted((answer.json()["data"]["_version"], answer.json()["data"]["total"]) for answer in answers)
    assert seen == [(number + 2, f"{(number + 1) / 100:.2f}") for number in range(200)]
    assert {answer.headers["etag"] for answer in answers} == {f'"{number + 2}"' for number in range(200)}
    assert (await workers[0].get(path)).json()["data"]["total"] == "2.00"


async def test_concurrent_patches_of_different_fields_on_two_workers_are_all_applied(
    workers: list[httpx.AsyncClient], ann: dict[str, str]
) -> None:
    path = await made(workers[0], {"hits": 0}, ann)
    patches: list[dict[str, Any]] = [{"hits": 1}, {"total": "1"}, {"code": "c"}, {"tags": ["t"]}]
    for _ in range(3):
        answers = await asyncio.gather(
            *(
                workers[position % 2].patch(path, json=patch, headers=ann)
                for position, patch in enumerate(patches)
            )
        )
        assert [answer.status_code for answer in answers] == [200] * 4
    now = (await workers[1].get(path)).json()["data"]
    assert {name: now[name] for name in ("hits", "total", "code", "tags", "_version")} == {
        "hits": 1,
        "total": "1",
        "code": "c",
        "tags": ["t"],
        "_version": 13,
    }


async def test_concurrent_changes_fail_independently(
    workers: list[httpx.AsyncClient], ann: dict[str, str], bob: dict[str, str]
) -> None:
    await made(workers[0], {"code": "taken"}, ann)
    path = await made(workers[0], {"hits": 98, "total": "0", "tags": ["a"]}, ann)

    def change(media: str, body: Any, who: dict[str, str] = ann) -> Any:
        named = {**who, "Content-Type": f"application/{media}+json"}
        return workers[0].patch(path, content=json.dumps(body), headers=named)

    operations, merge, steps = "vnd.sheaf.operations", "merge-patch", "json-patch"
    asked = [
        (change(operations, {"inc": {"hits": 1}}), 200),
        (change(operations, {"inc": {"hits": 1}}), 200),
        (change(operations, {"inc": {"hits": 1}}), 400),  # beyond the maximum, because of those before
        (change(merge, {"code": "taken"}), 409),  # refused by the database, and none but it
        (change(merge, {"total": "7"}, bob), 404),  # not his
        (change(merge, {"total": "8"}, {**ann, "If-Match": '"1"'}), 412),
        (change(steps, [{"op": "test", "path": "/hits", "value": 98}]), 409),
        (change(steps, [{"op": "add", "path": "/tags/-", "value": "b"}]), 200),
        (change(merge, {"unknown": 1}), 400),
        (change(merge, {"total": "9"}), 200),
    ]
    answers = await asyncio.gather(*(request for request, _ in asked))
    assert [answer.status_code for answer in answers] == [status for _, status in asked]
    now = (await workers[0].get(path)).json()["data"]
    assert (now["hits"], now["total"], now["tags"], now["_version"]) == (100, "9", ["a", "b"], 5)
    assert "code" not in now


async def test_row_filter_is_checked_again_after_each_queued_change(
    workers: list[httpx.AsyncClient], app: Litestar, ann: dict[str, str]
) -> None:
    """Changes of one batch go only as far as the rule has nothing new to look at."""
    path = await made(workers[0], {"hits": 1}, ann)
    collection = services_of(app).registry.get("counters")
    document_id = (await collection.documents.find_one({}))["_id"]
    where = Compare(("hits",), "lt", 3)

    def changed(body: dict[str, Any]) -> Any:
        applied = ApplyPatch(collection, UNBOUND, of_operation({"operations": body}))
        return collection.store.write(Update(document_id, applied, where, Origin(None, "request")))

    outcomes = await asyncio.gather(
        *(changed({"inc": {"hits": 1}}) for _ in range(5)), return_exceptions=True
    )
    assert [type(outcome).__name__ for outcome in outcomes] == ["Written"] * 2 + ["DocumentNotFound"] * 3
    assert (await workers[0].get(path)).json()["data"]["hits"] == 3


async def test_concurrent_patches_and_delete_leave_no_document(
    workers: list[httpx.AsyncClient], ann: dict[str, str]
) -> None:
    path = await made(workers[0], {"hits": 1}, ann)
    answers = await asyncio.gather(
        *(workers[number % 2].patch(path, json={"hits": number}, headers=ann) for number in range(10)),
        workers[1].delete(path, headers={**ann, "If-Match": "*"}),
        *(workers[number % 2].patch(path, json={"hits": number}, headers=ann) for number in range(10)),
    )
    assert {answer.status_code for answer in answers} <= {200, 204, 404}
    assert answers[10].status_code == 204
    assert (await workers[0].get(path)).status_code == 404


async def test_duplicate_value_is_refused_although_next_change_releases_it(
    workers: list[httpx.AsyncClient], ann: dict[str, str]
) -> None:
    await made(workers[0], {"code": "taken"}, ann)
    path = await made(workers[0], {"code": "mine"}, ann)
    patches: list[dict[str, Any]] = [{"hits": 1}, {"code": "taken"}, {"code": "free"}, {"hits": 2}]
    answers = await asyncio.gather(*(workers[0].patch(path, json=patch, headers=ann) for patch in patches))
    assert [answer.status_code for answer in answers] == [200, 409, 200, 200]
    now = (await workers[0].get(path)).json()["data"]
    assert (now["code"], now["hits"], now["_version"]) == ("free", 2, 4)
