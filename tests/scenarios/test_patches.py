"""Patches of one document by each media type, the same for code-first and runtime collections."""

import json
from typing import Any

import httpx
import pytest

KEEPS_DEFINITIONS = True

MUG: dict[str, Any] = {"name": "Mug", "price": 9.5, "category": "kitchen", "tags": ["blue"]}
CUP: dict[str, Any] = {"name": "Cup", "price": 1}
MERGE, JSON_PATCH, OPERATIONS = (
    "application/merge-patch+json",
    "application/json-patch+json",
    "application/vnd.sheaf.operations+json",
)
PLAIN = "application/json"
NOT_WRITABLE = "field.not_writable"


@pytest.fixture
async def mug(client: httpx.AsyncClient, goods: str, ann: dict[str, str]) -> dict[str, Any]:
    answer = await client.post(goods, json=MUG, headers=ann)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()["data"]
    return created


async def patched(
    client: httpx.AsyncClient, path: str, media_type: str, body: Any, headers: dict[str, str]
) -> httpx.Response:
    return await client.patch(path, content=json.dumps(body), headers={**headers, "Content-Type": media_type})


WORKING: list[tuple[str, Any, dict[str, Any]]] = [
    (MERGE, {"price": 1, "category": None}, {"name": "Mug", "price": 1, "tags": ["blue"]}),
    (PLAIN, {"tags": ["red"]}, MUG | {"tags": ["red"]}),
    (MERGE + "; charset=utf-8", {}, MUG),
    (MERGE.upper(), {"price": 2}, MUG | {"price": 2}),
    (
        JSON_PATCH,
        [
            {"op": "test", "path": "/name", "value": "Mug"},
            {"op": "replace", "path": "/price", "value": 3},
            {"op": "add", "path": "/tags/-", "value": "new"},
            {"op": "move", "from": "/category", "path": "/description"},
        ],
        {"name": "Mug", "price": 3, "tags": ["blue", "new"], "description": "kitchen"},
    ),
    (JSON_PATCH, [], MUG),
    (JSON_PATCH, [{"op": "replace", "path": "", "value": CUP}], CUP),
    (JSON_PATCH, [{"op": "replace", "path": "/_version", "value": 1}], MUG),
    (
        OPERATIONS,
        {"inc": {"price": 0.5}, "push": {"tags": "new"}, "unset": ["category"], "max": {"name": "Pot"}},
        {"name": "Pot", "price": 10, "tags": ["blue", "new"]},
    ),
]  # fmt: skip


async def test_patch_of_every_media_type_applies_changes(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    for media_type, body, expected in WORKING:
        mug = (await client.post(goods, json=MUG, headers=ann)).json()["data"]
        path = f"{goods}/{mug['id']}"
        answer = await patched(client, path, media_type, body, ann)
        assert answer.status_code == 200, answer.text
        assert answer.headers["etag"] == '"2"'
        data = answer.json()["data"]
        unset = {name for name in data if data[name] is None} - {"_owner"}
        kept = {name: mug[name] for name in ("id", "_owner", "_created_at")}
        whole = {**expected, **kept, "_version": 2, "_updated_at": data["_updated_at"]}
        assert {name: value for name, value in data.items() if name not in unset} == whole, body
        assert (await client.get(path)).json() == {"data": data}


REFUSED: list[tuple[str, Any, int, str, list[str]]] = [
    (MERGE, [], 400, "patch.invalid", [""]),
    (MERGE, {"price": "much"}, 400, "document.invalid", ["/price"]),
    (JSON_PATCH, {}, 400, "patch.invalid", [""]),
    (JSON_PATCH, [{"op": "add", "path": "price", "value": 1}], 400, "patch.invalid", ["/0/path"]),
    (JSON_PATCH, [{"op": "remove", "path": "/nothing"}], 409, "patch.conflict", ["/0/path"]),
    (
        JSON_PATCH,
        [
            {"op": "replace", "path": "/price", "value": 1},
            {"op": "test", "path": "/price", "value": 9.5},
        ],
        409,
        "patch.test_failed",
        ["/1/value"],
    ),
    (JSON_PATCH, [{"op": "test", "path": "/nothing", "value": None}], 409, "patch.test_failed", ["/0/path"]),
    (JSON_PATCH, [{"op": "add", "path": "/price", "value": -1}], 400, "document.invalid", ["/price"]),
    (JSON_PATCH, [{"op": "remove", "path": "/name"}], 400, "document.invalid", ["/name"]),
    (JSON_PATCH, [{"op": "add", "path": "/$where", "value": 1}], 400, "document.invalid", ["/$where"]),
    (JSON_PATCH, [{"op": "add", "path": "/__class__", "value": {}}], 400, "document.invalid", ["/__class__"]),
    (JSON_PATCH, [{"op": "replace", "path": "", "value": []}], 400, "document.invalid", [""]),
    (JSON_PATCH, [{"op": "replace", "path": "/_version", "value": 9}], 400, NOT_WRITABLE, ["/_version"]),
    (JSON_PATCH, [{"op": "remove", "path": "/_version"}], 400, NOT_WRITABLE, ["/_version"]),
    (JSON_PATCH, [{"op": "move", "from": "/_owner", "path": "/name"}], 400, NOT_WRITABLE, ["/_owner"]),
    (JSON_PATCH, [{"op": "copy", "from": "/name", "path": "/id"}], 400, NOT_WRITABLE, ["/id"]),
    (OPERATIONS, [], 400, "patch.invalid", [""]),
    (OPERATIONS, {"inc": {"name": 1}}, 400, "patch.invalid", ["/inc/name"]),
    (OPERATIONS, {"inc": {"prise": 1}}, 400, "document.invalid", ["/prise"]),
    (OPERATIONS, {"inc": {"price": -100}}, 400, "document.invalid", ["/price"]),
    (OPERATIONS, {"set": {"tags.4": "x"}}, 409, "patch.conflict", ["/set/tags.4"]),
    (OPERATIONS, {"inc": {"_version": 1}}, 400, NOT_WRITABLE, ["/inc/_version"]),
    (OPERATIONS, {"set": {"_owner": None}}, 400, NOT_WRITABLE, ["/set/_owner"]),
    (OPERATIONS, {"unset": ["_created_at"]}, 400, NOT_WRITABLE, ["/unset/0"]),
]  # fmt: skip


async def test_refused_patch_changes_nothing(
    client: httpx.AsyncClient, goods: str, mug: dict[str, Any], ann: dict[str, str]
) -> None:
    path = f"{goods}/{mug['id']}"
    for media_type, body, status, code, pointers in REFUSED:
        answer = await patched(client, path, media_type, body, ann)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (status, code), body
        assert [error["pointer"] for error in problem["errors"]] == pointers, body
        assert (await client.get(path)).json() == {"data": mug}


async def test_patch_with_unsupported_media_type_returns_415_with_accept_patch(
    client: httpx.AsyncClient, goods: str, mug: dict[str, Any], ann: dict[str, str]
) -> None:
    path = f"{goods}/{mug['id']}"
    for media_type in ("application/xml", "text/plain", "application/json-patch"):
        answer = await patched(client, path, media_type, {"price": 1}, ann)
        assert (answer.status_code, answer.json()["code"]) == (415, "media_type.unsupported")
        assert answer.headers["accept-patch"] == f"{MERGE}, {JSON_PATCH}, {OPERATIONS}"
        assert (await client.get(path)).json() == {"data": mug}


async def test_patch_with_duplicate_member_is_invalid_json(
    client: httpx.AsyncClient, goods: str, mug: dict[str, Any], ann: dict[str, str]
) -> None:
    path = f"{goods}/{mug['id']}"
    body = b'[{"op": "add", "path": "/name", "value": "qux", "op": "remove"}]'  # RFC 6902, A.13
    answer = await client.patch(path, content=body, headers={**ann, "Content-Type": JSON_PATCH})
    assert (answer.status_code, answer.json()["code"]) == (400, "json.invalid")
    assert (await client.get(path)).json() == {"data": mug}


async def test_patches_respect_rules_and_if_match(
    client: httpx.AsyncClient, goods: str, mug: dict[str, Any], ann: dict[str, str], bob: dict[str, str]
) -> None:
    path = f"{goods}/{mug['id']}"
    steps = [{"op": "add", "path": "/price", "value": 1}]
    for version, (media_type, body) in enumerate(
        [(JSON_PATCH, steps), (OPERATIONS, {"inc": {"price": 1}})], 1
    ):
        before = (await client.get(path)).json()
        for headers, status in (({}, 401), (bob, 404), ({**ann, "If-Match": '"9"'}, 412)):
            assert (await patched(client, path, media_type, body, headers)).status_code == status
        assert (await client.get(path)).json() == before
        condition = {**ann, "If-Match": f'"{version}"'}
        assert (await patched(client, path, media_type, body, condition)).status_code == 200
