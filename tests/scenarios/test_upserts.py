"""PUT that creates: under the id of its address, once, and never over what the caller may not see."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar

from tests.conftest import connect, until_known
from tests.services import services_of

NOTES: dict[str, Any] = {
    "name": "notes",
    "schema": {
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "state": {"type": "string", "default": "new"},
            "stamp": {"type": "string", "readOnly": True},
            "code": {"type": "string"},
        },
        "required": ["text"],
        "additionalProperties": False,
    },
    "rules": {"read": "owner", "create": "user", "update": "owner", "delete": "owner"},
    "indexes": [{"fields": ["code"], "unique": True, "sparse": True}],
    "options": {"id_type": "string"},
}
PATH = "/api/notes/first?upsert=true"


@pytest.fixture(autouse=True)
async def notes(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    answer = await client.post("/api/collections", json=NOTES, headers=admin)
    assert answer.status_code == 201, answer.text


async def stored(app: Litestar, name: str = "notes") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await services_of(app).registry.get(name).documents.find({}).to_list(None)
    return found


async def test_put_with_upsert_creates_with_defaults_then_replaces(
    client: httpx.AsyncClient, ann: dict[str, str]
) -> None:
    created = await client.put(PATH, json={"text": "a", "id": "first"}, headers=ann)
    assert created.status_code == 201
    assert created.headers["location"] == "/api/notes/first"
    assert created.headers["etag"] == '"1"'
    data = created.json()["data"]
    assert (data["id"], data["text"], data["state"], data["_version"]) == ("first", "a", "new", 1)
    assert (await client.get("/api/notes/first", headers=ann)).json() == {"data": data}
    replaced = await client.put(PATH, json={"text": "b"}, headers=ann)
    assert replaced.status_code == 200
    assert "location" not in replaced.headers
    now = replaced.json()["data"]
    assert (now["text"], now["_version"], now["_owner"]) == ("b", 2, data["_owner"])
    assert "state" not in now


REFUSED: list[tuple[str, Any, dict[str, str], int, str]] = [
    ("/api/notes/first", {"text": "a"}, {}, 404, "document.not_found"),
    ("/api/notes/first?upsert=false", {"text": "a"}, {}, 404, "document.not_found"),
    ("/api/notes/first?upsert=yes", {"text": "a"}, {}, 400, "parameter.invalid"),
    ("/api/notes/first?upsrt=true", {"text": "a"}, {}, 400, "parameter.invalid"),
    (PATH, {"text": 1}, {}, 400, "document.invalid"),
    (PATH, {}, {}, 400, "document.invalid"),
    (PATH, [], {}, 400, "document.invalid"),
    (PATH, {"text": "a", "id": "second"}, {}, 400, "field.not_writable"),
    (PATH, {"text": "a", "_version": 1}, {}, 400, "field.not_writable"),
    (PATH, {"text": "a", "stamp": "x"}, {}, 400, "field.not_writable"),
    (PATH, {"text": "a"}, {"If-Match": '"1"'}, 412, "document.stale"),
    (PATH, {"text": "a"}, {"If-Match": "*"}, 412, "document.stale"),
    (f"/api/notes/{'x' * 201}?upsert=true", {"text": "a"}, {}, 400, "id.invalid"),
]


async def test_refused_put_creates_nothing(
    client: httpx.AsyncClient, app: Litestar, ann: dict[str, str]
) -> None:
    for path, body, headers, status, code in REFUSED:
        answer = await client.put(path, json=body, headers={**ann, **headers})
        assert (answer.status_code, answer.json()["code"]) == (status, code), (path, body)
        assert await stored(app) == []


@pytest.mark.parametrize("path", ["/api/notes/first", PATH])
async def test_put_with_if_none_match_star_only_creates(
    client: httpx.AsyncClient, ann: dict[str, str], path: str
) -> None:
    condition = {**ann, "If-None-Match": "*"}
    created = await client.put(path, json={"text": "a"}, headers=condition)
    assert created.status_code == 201
    refused = await client.put(path, json={"text": "b"}, headers=condition)
    assert (refused.status_code, refused.json()["_version"]) == (412, 1)
    assert (await client.get("/api/notes/first", headers=ann)).json() == created.json()


@pytest.mark.parametrize("conditions", [{}, {"If-None-Match": "*"}])
async def test_upsert_over_hidden_document_returns_409_like_post(
    client: httpx.AsyncClient,
    app: Litestar,
    ann: dict[str, str],
    bob: dict[str, str],
    conditions: dict[str, str],
) -> None:
    """That its id is taken cannot be kept from one who may create; POST says the same."""
    assert (await client.put(PATH, json={"text": "mine"}, headers=ann)).status_code == 201
    before = await stored(app)
    answer = await client.put(PATH, json={"text": "his"}, headers={**bob, **conditions})
    posted = await client.post("/api/notes", json={"text": "his", "id": "first"}, headers=bob)
    assert answer.status_code == posted.status_code == 409
    told = [{**each.json(), "instance": "", "request_id": ""} for each in (answer, posted)]
    assert told[0] == told[1]
    assert told[0]["errors"] == [{"pointer": "/id", "code": "unique", "detail": "the value is taken"}]
    assert await stored(app) == before


async def test_upsert_with_duplicate_unique_value_returns_409(
    client: httpx.AsyncClient, app: Litestar, ann: dict[str, str]
) -> None:
    assert (await client.put(PATH, json={"text": "a", "code": "x"}, headers=ann)).status_code == 201
    answer = await client.put("/api/notes/second?upsert=true", json={"text": "b", "code": "x"}, headers=ann)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (409, "/code")
    assert len(await stored(app)) == 1


@pytest.mark.parametrize(
    ("rules", "status"),
    [
        ({"create": "user", "update": "user"}, 201),
        ({"create": "nobody", "update": "user"}, 403),
        ({"create": "user", "update": "nobody"}, 403),
    ],
)
async def test_upsert_requires_rights_to_create_and_update(
    client: httpx.AsyncClient,
    app: Litestar,
    admin: dict[str, str],
    ann: dict[str, str],
    rules: dict[str, str],
    status: int,
) -> None:
    answer = await client.patch("/api/collections/notes", json={"rules": rules}, headers=admin)
    assert answer.status_code == 200
    assert (await client.put(PATH, json={"text": "a"}, headers=ann)).status_code == status
    assert (await client.put(PATH, json={"text": "a"})).status_code == 401
    assert len(await stored(app)) == (status == 201)


async def test_upsert_requires_client_ids(client: httpx.AsyncClient, goods: str, ann: dict[str, str]) -> None:
    path = f"{goods}/0123456789abcdef01234567"
    body = {"name": "Mug", "price": 1}
    answer = await client.put(f"{path}?upsert=true", json=body, headers=ann)
    assert (answer.status_code, answer.json()["code"]) == (400, "id.invalid")
    assert "option `id_type`" in answer.json()["hint"]
    plain = await client.put(path, json=body, headers={**ann, "If-None-Match": "*"})
    assert plain.status_code == 404
    assert (await client.get(goods)).json()["data"] == []


async def test_upsert_with_required_concurrency_accepts_either_condition(
    client: httpx.AsyncClient, app: Litestar, admin: dict[str, str], ann: dict[str, str]
) -> None:
    options = {"options": {"id_type": "string", "concurrency": "required"}}
    assert (await client.patch("/api/collections/notes", json=options, headers=admin)).status_code == 200
    assert (await client.put(PATH, json={"text": "a"}, headers=ann)).status_code == 428
    assert await stored(app) == []
    for condition, status in (({"If-None-Match": "*"}, 201), ({"If-Match": '"1"'}, 200)):
        answer = await client.put(PATH, json={"text": "a"}, headers={**ann, **condition})
        assert answer.status_code == status


@pytest.fixture
async def clients(
    client: httpx.AsyncClient, second_worker: Litestar
) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Provide clients of two workers."""
    await until_known(second_worker, "notes")
    async with connect(second_worker) as second:
        yield [client, second]


@pytest.mark.parametrize(
    ("conditions", "others"), [({}, 200), ({"If-None-Match": "*"}, 412)], ids=["upsert", "create only"]
)
async def test_concurrent_upserts_create_once(
    clients: list[httpx.AsyncClient],
    app: Litestar,
    ann: dict[str, str],
    conditions: dict[str, str],
    others: int,
) -> None:
    answers = await asyncio.gather(
        *(
            clients[number % 2].put(PATH, json={"text": str(number)}, headers={**ann, **conditions})
            for number in range(20)
        )
    )
    assert sorted(answer.status_code for answer in answers) == sorted([201] + [others] * 19)
    [document] = await stored(app)
    assert document["_version"] == (20 if others == 200 else 1)
    if others == 200:
        versions = sorted(answer.json()["data"]["_version"] for answer in answers)
        assert versions == list(range(1, 21))
