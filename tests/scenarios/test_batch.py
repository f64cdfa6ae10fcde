"""Many operations in one request: what single requests do, together or each by itself."""

import asyncio
from typing import Any

import httpx
import pytest

from service.documents import batch

BATCH = "/api/batch"
PRODUCTS = "products"
MUG: dict[str, Any] = {"name": "Mug", "price": 9.5, "category": "kitchen", "tags": ["blue"]}
ABSENT = "0" * 24
OPEN = {"read": "anyone", "write": "user"}

Operations = list[dict[str, Any]]


@pytest.fixture
async def books(client: httpx.AsyncClient, admin: dict[str, str]) -> str:
    """Provide the name of a collection of books, whose ids clients may choose, with unique titles."""
    body = {
        "name": "books",
        "schema": {
            "type": "object",
            "properties": {
                "title": {"type": "string", "minLength": 1},
                "author": {"type": "string"},
                "sold": {"type": "integer"},
                "parts": {"type": "array"},
            },
            "required": ["title"],
            "additionalProperties": False,
        },
        "rules": OPEN,
        "indexes": [{"fields": ["title"], "unique": True}],
        "options": {"id_type": "string"},
    }
    answer = await client.post("/api/collections", json=body, headers=admin)
    assert answer.status_code == 201, answer.text
    return "books"


@pytest.fixture
def name(goods: str) -> str:
    """Provide the name of the collection of goods."""
    return goods.removeprefix("/api/")


async def sent(
    client: httpx.AsyncClient, operations: Any, who: dict[str, str], **members: Any
) -> httpx.Response:
    return await client.post(BATCH, json={"operations": operations} | members, headers=who)


async def done(
    client: httpx.AsyncClient, operations: Operations, who: dict[str, str], **members: Any
) -> list[dict[str, Any]]:
    answer = await sent(client, operations, who, **members)
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"data"}
    results: list[dict[str, Any]] = answer.json()["data"]
    return results


async def stored(client: httpx.AsyncClient, collection: str, who: dict[str, str]) -> list[dict[str, Any]]:
    answer = await client.get(f"/api/{collection}", params={"limit": 100}, headers=who)
    assert answer.status_code == 200, answer.text
    documents: list[dict[str, Any]] = answer.json()["data"]
    return documents


def create(collection: str, document: Any, **members: Any) -> dict[str, Any]:
    return {"op": "create", "collection": collection, "document": document} | members


async def test_batch_operations_behave_like_single_requests(
    client: httpx.AsyncClient, name: str, ann: dict[str, str]
) -> None:
    for_all = {"collection": name, "id": {"_ref": "mug"}}
    operations = [
        create(name, MUG, **{"as": "mug"}),
        {"op": "patch", "patch": {"price": 1, "category": None}, "if_match": 1} | for_all,
        {"op": "patch", "json_patch": [{"op": "add", "path": "/tags/-", "value": "red"}]} | for_all,
        {"op": "patch", "operations": {"inc": {"price": 2}}} | for_all,
        {"op": "get"} | for_all,
        {"op": "replace", "document": {"name": "Cup", "price": 2}, "if_match": 4} | for_all,
        create(name, MUG),
        {"op": "delete", "if_match": 5} | for_all,
    ]
    kept = []
    for is_atomic in (True, False):
        results = await done(client, operations, ann, atomic=is_atomic)
        assert [each["status"] for each in results] == [201, 200, 200, 200, 200, 200, 201, 204]
        assert [each.get("etag") for each in results] == [
            '"1"',
            '"2"',
            '"3"',
            '"4"',
            '"4"',
            '"5"',
            '"1"',
            None,
        ]
        views = [each.get("data", {}) for each in results]
        assert [each.get("price") for each in views] == [9.5, 1, 1, 3, 3, 2, 9.5, None]
        assert views[3] == views[4]
        assert (views[4]["tags"], "category" in views[4]) == (["blue", "red"], False)
        assert results[7] == {"status": 204}
        assert {each["id"] for each in views[:6]} == {views[0]["id"]}
        kept.append(views[6])
    assert await stored(client, name, ann) == kept


async def test_atomic_batch_with_failing_operation_stores_nothing(
    client: httpx.AsyncClient, name: str, books: str, ann: dict[str, str], bob: dict[str, str]
) -> None:
    (bobs,) = [each["data"] for each in await done(client, [create(name, MUG)], bob)]
    before = [create(name, MUG), create(books, {"title": "Emma"}, id="emma")]
    of_bobs = {"collection": name, "id": bobs["id"]}
    cases: list[tuple[dict[str, Any], int, str, str]] = [
        (create(name, MUG | {"price": -1}), 400, "document.invalid", "/document/price"),
        (create(name, MUG | {"_owner": "me"}), 400, "field.not_writable", "/document/_owner"),
        (create(books, {"title": "Emma"}), 409, "document.duplicate", "/document/title"),
        (create(books, {"title": "x"}, id="emma"), 409, "document.duplicate", "/document/id"),
        (create(books, {"title": "x"}, id=5), 400, "id.invalid", "/id"),
        (create("nothing", {}), 404, "collection.not_found", "/collection"),
        (create("_users", {}), 404, "collection.not_found", "/collection"),
        ({"op": "get", "collection": name, "id": ABSENT}, 404, "document.not_found", "/id"),
        ({"op": "get", "collection": name, "id": "x"}, 400, "id.invalid", "/id"),
        ({"op": "patch", "patch": {"price": 1}} | of_bobs, 404, "document.not_found", "/id"),
        ({"op": "delete"} | of_bobs, 404, "document.not_found", "/id"),
        (
            {"op": "patch", "collection": books, "id": "emma", "patch": {"sold": "x"}},
            400,
            "document.invalid",
            "/document/sold",
        ),
        ({"op": "patch", "collection": books, "id": "emma", "patch": 5}, 400, "patch.invalid", "/patch"),
        (
            {
                "op": "patch",
                "collection": books,
                "id": "emma",
                "json_patch": [{"op": "test", "path": "/title", "value": "x"}],
            },
            409,
            "patch.test_failed",
            "/json_patch/0/value",
        ),
        (
            {"op": "patch", "collection": books, "id": "emma", "operations": {"increase": {}}},
            400,
            "patch.invalid",
            "/operations/increase",
        ),
        (
            {"op": "patch", "collection": books, "id": "emma", "patch": {}, "if_match": 7},
            412,
            "document.stale",
            "/if_match",
        ),
        (
            {"op": "replace", "collection": name, "id": ABSENT, "document": MUG, "upsert": True},
            400,
            "id.invalid",
            "/id",
        ),
    ]
    for failing, status, code, place in cases:
        answer = await sent(client, [*before, failing, create(name, MUG)], ann)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (status, code), answer.text
        assert problem["operation"] == 2
        assert problem["detail"].startswith(f"/operations/2{place}: ") or problem["detail"][0] != "/"
        assert [each["pointer"] for each in problem["errors"]] == [f"/operations/2{place}"], answer.text
        assert await stored(client, name, ann) == [bobs]
        assert await stored(client, books, ann) == []
    stale = await sent(client, [{"op": "delete", "if_match": 9} | of_bobs], bob)
    assert (stale.status_code, stale.json()["_version"], stale.json()["instance"]) == (412, 1, BATCH)


async def test_non_atomic_batch_runs_each_operation_independently(
    client: httpx.AsyncClient, books: str, ann: dict[str, str]
) -> None:
    operations = [
        create(PRODUCTS, MUG | {"price": -1}, **{"as": "bad"}),
        create(books, {"title": "Emma"}, id="emma", **{"as": "emma"}),
        create(books, {"title": "Emma"}),
        create(books, {"title": "Persuasion", "author": {"_ref": "bad"}}),
        {"op": "patch", "collection": books, "id": {"_ref": "emma"}, "patch": {"sold": 1}},
        {"op": "get", "collection": "nothing", "id": "1"},
    ]
    results = await done(client, operations, ann, atomic=False)
    assert [each["status"] for each in results] == [400, 201, 409, 400, 200, 404]
    problems = {index: each["problem"] for index, each in enumerate(results) if "problem" in each}
    assert {
        index: (problem["code"], problem["errors"][0]["pointer"]) for index, problem in problems.items()
    } == {
        0: ("document.invalid", "/operations/0/document/price"),
        2: ("document.duplicate", "/operations/2/document/title"),
        3: ("batch.invalid", "/operations/3"),
        5: ("collection.not_found", "/operations/5/collection"),
    }
    assert problems[3]["detail"] == "The operation `bad`, to which this one refers, failed"
    assert {problem["status"] for problem in problems.values()} == {400, 404, 409}
    assert await stored(client, PRODUCTS, ann) == []
    assert await stored(client, books, ann) == [results[4]["data"]]


async def test_batch_references_are_replaced_by_ids(
    client: httpx.AsyncClient, books: str, ann: dict[str, str]
) -> None:
    author = {"_ref": "author"}
    operations = [
        create(PRODUCTS, MUG, **{"as": "author"}),
        create(books, {"title": "Emma", "author": author, "parts": [author, {"of": [author]}]}, id=author),
        {"op": "patch", "collection": books, "id": author, "patch": {"parts": [author]}},
        {
            "op": "patch",
            "collection": books,
            "id": author,
            "json_patch": [{"op": "add", "path": "/parts/-", "value": author}],
        },
        {"op": "patch", "collection": books, "id": author, "operations": {"push": {"parts": author}}},
    ]
    results = await done(client, operations, ann)
    author_id = results[0]["data"]["id"]
    assert results[1]["data"]["parts"] == [author_id, {"of": [author_id]}]
    assert (results[1]["data"]["id"], results[1]["data"]["author"]) == (author_id, author_id)
    assert results[4]["data"]["parts"] == [author_id] * 3


WRONG: list[tuple[Any, list[str]]] = [
    ([], [""]),
    ({}, ["/operations"]),
    ({"operations": {}}, ["/operations"]),
    ({"operations": []}, ["/operations"]),
    ({"operations": [{}] * 101}, ["/operations"]),
    (
        {"operations": [5, {}, {"op": "upsert"}, {"op": {}}]},
        ["/operations/0", "/operations/1/op", "/operations/2/op", "/operations/3/op"],
    ),
    ({"operations": [create("a", {})], "atomic": "yes", "transaction": True}, ["/transaction", "/atomic"]),
    ({"operations": [{"op": "create"}]}, ["/operations/0/collection", "/operations/0/document"]),
    ({"operations": [{"op": "patch", "collection": "a", "id": 1}]}, ["/operations/0/patch"]),
    (
        {"operations": [{"op": "patch", "collection": "a", "id": 1, "patch": {}, "operations": {}}]},
        ["/operations/0/patch"],
    ),
    (
        {"operations": [{"op": "get", "collection": 5, "id": 1.5, "if_match": 1}]},
        ["/operations/0/if_match", "/operations/0/collection", "/operations/0/id"],
    ),
    (
        {"operations": [{"op": "delete", "collection": "a", "id": True, "if_match": '"1"'}]},
        ["/operations/0/id", "/operations/0/if_match"],
    ),
    (
        {"operations": [{"op": "delete", "collection": "a", "id": None, "as": "x", "url": "/api/a"}]},
        ["/operations/0/as", "/operations/0/url", "/operations/0/id"],
    ),
    (
        {"operations": [create("a", {}, **{"as": "1x"}), create("a", {"id": 1}, id=1, upsert=1)]},
        ["/operations/0/as", "/operations/1/upsert", "/operations/1/upsert", "/operations/1/id"],
    ),
    (
        {"operations": [create("a", {"b": {"_ref": "x"}}), create("a", {}, **{"as": "x"})]},
        ["/operations/0/document/b"],
    ),
    ({"operations": [create("a", {"b": {"_ref": "x"}}, **{"as": "x"})]}, ["/operations/0/document/b"]),
    ({"operations": [create("a", {}, **{"as": "x"}), create("a", {}, **{"as": "x"})]}, ["/operations/1/as"]),
    (
        {"operations": [create("a", [{"_ref": 5}, {"_ref": "nobody"}, {"_ref": "x", "y": 1}])]},
        ["/operations/0/document/0", "/operations/0/document/1", "/operations/0/document/2"],
    ),
]


async def test_malformed_batch_returns_400_with_pointers(
    client: httpx.AsyncClient, ann: dict[str, str]
) -> None:
    for body, pointers in WRONG:
        for atomic in ({}, {"atomic": False}):
            asked = {**atomic, **body} if isinstance(body, dict) else body
            answer = await client.post(BATCH, json=asked, headers=ann)
            assert (answer.status_code, answer.json()["code"]) == (400, "batch.invalid"), answer.text
            assert [each["pointer"] for each in answer.json()["errors"]] == pointers, body
    answer = await sent(client, [create(PRODUCTS, MUG), create(PRODUCTS, MUG | {"x": {"_ref": "y"}})], ann)
    assert (answer.status_code, answer.json()["detail"]) == (400, "no earlier operation has `as` `y`")
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        answer = await client.request(method, BATCH)
        assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS, POST")
    assert await stored(client, PRODUCTS, ann) == []


async def test_rules_apply_to_each_batch_operation(
    client: httpx.AsyncClient, name: str, ann: dict[str, str]
) -> None:
    (mug,) = [each["data"] for each in await done(client, [create(name, MUG)], ann)]
    read = {"op": "get", "collection": name, "id": mug["id"]}
    assert await done(client, [read], {}) == [{"status": 200, "data": mug, "etag": '"1"'}]
    answer = await sent(client, [read, create(name, MUG)], {})
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.required")
    assert (answer.json()["operation"], answer.headers["www-authenticate"]) == (1, 'Bearer realm="sheaf"')
    results = await done(client, [read, create(name, MUG), read], {}, atomic=False)
    assert [each["status"] for each in results] == [200, 401, 200]
    assert await stored(client, name, ann) == [mug]


async def test_batch_replace_with_upsert_creates_missing_document(
    client: httpx.AsyncClient, books: str, ann: dict[str, str]
) -> None:
    put = {"op": "replace", "collection": books, "id": "emma", "upsert": True}
    operations = [put | {"document": {"title": "Emma"}}, put | {"document": {"title": "Emma, again"}}]
    results = await done(client, operations, ann)
    assert [each["status"] for each in results] == [201, 200]
    assert await stored(client, books, ann) == [results[1]["data"]]


async def test_concurrent_batches_are_retried_without_lost_updates(
    client: httpx.AsyncClient, books: str, ann: dict[str, str]
) -> None:
    first = await done(
        client, [create(PRODUCTS, MUG | {"price": 0}), create(books, {"title": "Emma", "sold": 0})], ann
    )
    count = {
        "op": "patch",
        "operations": {"inc": {"price": 1}},
        "collection": PRODUCTS,
        "id": first[0]["data"]["id"],
    }
    sell = {
        "op": "patch",
        "operations": {"inc": {"sold": 1}},
        "collection": books,
        "id": first[1]["data"]["id"],
    }
    batches = [
        [*(pair if number % 2 else pair[::-1]), create(books, {"title": f"t{number}"})]
        for number, pair in enumerate([[count, sell]] * 12)
    ]
    answers = await asyncio.gather(*(sent(client, batch, ann) for batch in batches))
    assert [answer.status_code for answer in answers] == [200] * 12
    (mug,), (emma, *others) = (
        await stored(client, PRODUCTS, ann),
        sorted(await stored(client, books, ann), key=lambda book: book["title"]),
    )
    assert (mug["price"], mug["_version"], emma["sold"], emma["_version"]) == (12, 13, 12, 13)
    assert sorted(each["title"] for each in others) == sorted(f"t{number}" for number in range(12))


async def test_batch_generates_integer_ids(
    client: httpx.AsyncClient, admin: dict[str, str], ann: dict[str, str]
) -> None:
    body = {"name": "numbers", "schema": {"type": "object"}, "rules": OPEN, "options": {"id_type": "integer"}}
    await client.post("/api/collections", json=body, headers=admin)
    operations = [
        create("numbers", {}),
        create("numbers", {}, id=7),
        create("numbers", {}, **{"as": "n"}),
        {"op": "get", "collection": "numbers", "id": {"_ref": "n"}},
    ]
    results = await done(client, operations, ann)
    assert [each["data"]["id"] for each in results] == [1, 7, 8, 8]


async def test_batch_with_return_minimal_returns_ids_instead_of_documents(
    client: httpx.AsyncClient, ann: dict[str, str]
) -> None:
    operations = [
        create(PRODUCTS, MUG, **{"as": "mug"}),
        {"op": "get", "collection": PRODUCTS, "id": {"_ref": "mug"}},
    ]
    results = await done(client, operations, ann | {"Prefer": "return=minimal"})
    (mug,) = await stored(client, PRODUCTS, ann)
    assert results == [
        {"status": 201, "id": mug["id"], "etag": '"1"'},
        {"status": 200, "data": mug, "etag": '"1"'},
    ]


async def test_batch_with_repeated_idempotency_key_runs_once(
    client: httpx.AsyncClient, ann: dict[str, str]
) -> None:
    for atomic in (True, False):
        operations = [
            create(PRODUCTS, MUG, **{"as": "m"}),
            {"op": "get", "collection": PRODUCTS, "id": {"_ref": "m"}},
        ]
        keyed = ann | {"Idempotency-Key": f"key-{atomic}"}
        first, second = [await sent(client, operations, keyed, atomic=atomic) for _ in range(2)]
        assert (first.status_code, first.content) == (200, second.content)
        assert second.headers["idempotency-replayed"] == "true"
    assert len(await stored(client, PRODUCTS, ann)) == 2


@pytest.mark.parametrize("is_atomic", [True, False])
async def test_large_batch_response_returns_ids_instead_of_documents(
    client: httpx.AsyncClient,
    books: str,
    ann: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_atomic: bool,
) -> None:
    monkeypatch.setattr(batch, "MAXIMUM_ANSWER_BYTES", 1000)
    book = {"op": "create", "as": "b", "collection": books, "document": {"id": "b", "title": "t" * 300}}
    read = {"op": "get", "collection": books, "id": {"_ref": "b"}}
    first, second, *others = await done(client, [book, *[read] * 5], ann, atomic=is_atomic)
    assert first["data"] == second["data"]
    assert others == [{"status": 200, "id": "b", "etag": '"1"'}] * 4
