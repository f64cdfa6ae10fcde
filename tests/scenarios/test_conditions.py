"""Conditions of writes: `If-Match`, `If-None-Match`, and collections that demand one of them."""

from functools import partial
from typing import Any, ClassVar

import httpx
import pytest
from beanie import Document

from models import CollectionDefinition, Counter, Product
from models.base import Stored
from service import schema as schemas
from service.collections.registry import Registry
from service.documents import preconditions, writing
from service.documents.patches import MERGE_PATCH, read
from service.documents.preconditions import Expected
from service.kit.errors import PreconditionRequired
from service.storage.database import Database
from tests import operator
from tests.conftest import GOODS_RULES

MUG: dict[str, Any] = {"name": "Mug", "price": 9.5}
WRITES: list[tuple[str, Any]] = [
    ("PUT", {"name": "Cup", "price": 1}),
    ("PATCH", {"price": 1}),
    ("DELETE", None),
]


async def made(client: httpx.AsyncClient, path: str, who: dict[str, str]) -> dict[str, Any]:
    answer = await client.post(path, json=MUG, headers=who)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()["data"]
    return created


CONDITIONS: list[tuple[list[tuple[str, str]], int]] = [
    ([("If-Match", '"7"'), ("If-Match", '"1"')], 200),  # lines of one header are one list
    ([("If-None-Match", '"2"')], 200),
    ([("If-None-Match", '"1"')], 412),
    ([("If-None-Match", 'W/"1"')], 412),
    ([("If-None-Match", "*")], 412),
    ([("If-Match", '"1"'), ("If-None-Match", '"1"')], 412),
    ([("If-None-Match", "1")], 400),
]


async def test_if_match_and_if_none_match_apply_to_every_write(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    for conditions, status in CONDITIONS:
        for method, body in WRITES:
            mug = await made(client, goods, ann)
            path = f"{goods}/{mug['id']}"
            answer = await client.request(method, path, json=body, headers=[*ann.items(), *conditions])
            if status == 200:
                assert answer.status_code == (204 if method == "DELETE" else 200)
                continue
            assert answer.status_code == status, (method, conditions)
            if status == 412:
                assert (answer.json()["code"], answer.json()["_version"]) == ("document.stale", 1)
            assert (await client.get(path)).json() == {"data": mug}


async def test_write_to_missing_document_returns_404_with_any_condition(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    """Conditions count only where the answer would be a success without them (RFC 9110, 13.2.1)."""
    path = f"{goods}/0123456789abcdef01234567"
    for condition in (("If-Match", '"1"'), ("If-Match", "*"), ("If-None-Match", "*")):
        for method, body in WRITES:
            answer = await client.request(method, path, json=body, headers=[*ann.items(), condition])
            assert (answer.status_code, answer.json()["code"]) == (404, "document.not_found")


async def test_collection_with_required_concurrency_demands_if_match(
    client: httpx.AsyncClient, admin: dict[str, str], ann: dict[str, str], bob: dict[str, str]
) -> None:
    definition = {
        "name": "guarded",
        "schema": schemas.of_model(Product),
        "rules": GOODS_RULES,
        "options": {"concurrency": "required"},
    }
    assert (await client.post("/api/collections", json=definition, headers=admin)).status_code == 201
    for method, body in WRITES:
        mug = await made(client, "/api/guarded", ann)
        path = f"/api/guarded/{mug['id']}"
        for who, conditions in ((ann, {}), (ann, {"If-None-Match": '"9"'}), (bob, {}), (admin, {})):
            answer = await client.request(method, path, json=body, headers={**who, **conditions})
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (428, "precondition.required")
            assert problem["hint"] == "Read the document, and send its ETag in If-Match."
        assert (await client.request(method, path, json=body)).status_code == 401
        assert (await client.get(path)).json() == {"data": mug}
        for tag, status in (('"2"', 412), ('"1"', 204 if method == "DELETE" else 200)):
            answer = await client.request(method, path, json=body, headers={**ann, "If-Match": tag})
            assert answer.status_code == status


async def test_concurrency_option_accepts_only_required_and_optional(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    definition: dict[str, Any] = {"name": "guarded", "schema": {"type": "object"}}
    assert (await client.post("/api/collections", json=definition, headers=admin)).status_code == 201
    for value, status in (("required", 200), ("optional", 200), ("sometimes", 400), (True, 400)):
        change = {"options": {"concurrency": value}}
        answer = await client.patch("/api/collections/guarded", json=change, headers=admin)
        assert answer.status_code == status
        if status == 400:
            assert [error["pointer"] for error in answer.json()["errors"]] == ["/options/concurrency"]
    assert (await client.get("/api/collections/guarded", headers=admin)).json()["data"]["options"] == {
        "concurrency": "optional"
    }


class Ledger(Stored, Document):
    amount: int

    options: ClassVar[dict[str, Any]] = {"concurrency": "required"}

    class Settings:
        name = "ledgers"


async def test_code_first_collection_can_require_concurrency(database: Database) -> None:
    registry = Registry(database, (CollectionDefinition, Counter, Ledger), document_limit_bytes=10_000)
    async with database.stream.running(), registry.following():
        assert await registry.wait_until_loaded(10)
        ledgers = registry.get("ledgers")
        stored = await operator.created(ledgers, {"amount": 1})
        key, patch = stored["_id"], read(MERGE_PATCH, {"amount": 2})
        access = operator.access(ledgers)
        for plan in (
            partial(writing.patch, access, key, patch, None),
            partial(writing.replace, access, key, {"amount": 2}, None),
            partial(writing.delete, access, key, None),
        ):
            with pytest.raises(PreconditionRequired):
                await ledgers.store.write(plan())
        assert await ledgers.documents.find({}).to_list(None) == [stored]
        first = writing.patch(access, key, patch, preconditions.read('"1"', None))
        changed = (await ledgers.store.write(first)).document
        assert (changed["amount"], changed["_version"]) == (2, 2)
        await ledgers.store.write(writing.delete(access, key, Expected(None)))
