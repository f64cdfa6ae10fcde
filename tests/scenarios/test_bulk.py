"""Many documents of one collection in one request, for code-first and runtime collections alike."""

import asyncio
import itertools
from typing import Any

import httpx

from service.kit.errors import MAXIMUM_VIOLATIONS

PRODUCTS = "/api/products"
MUG: dict[str, Any] = {"name": "Mug", "price": 9.5, "category": "kitchen", "tags": ["blue"]}
SHELF: list[dict[str, Any]] = [
    {"name": "Mug", "price": 9.5, "category": "kitchen"},
    {"name": "Cup", "price": 3, "category": "kitchen"},
    {"name": "Desk", "price": 120, "category": "office"},
]
KITCHEN: dict[str, str | int] = {"filter[category]": "kitchen", "max_affected": 10}
ALL: dict[str, str | int] = {"filter[id][exists]": "true", "max_affected": 10}
METHODS: list[tuple[str, dict[str, Any]]] = [("PATCH", {"json": {"price": 1}}), ("DELETE", {})]
OPERATIONS = {"Content-Type": "application/vnd.sheaf.operations+json"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}


async def everything(client: httpx.AsyncClient, path: str, who: dict[str, str]) -> list[dict[str, Any]]:
    """Read all documents of a small collection, by id."""
    answer = await client.get(path, params={"limit": 100}, headers=who)
    assert answer.status_code == 200, answer.text
    documents: list[dict[str, Any]] = answer.json()["data"]
    return documents


async def filled(
    client: httpx.AsyncClient, path: str, body: Any, who: dict[str, str]
) -> list[dict[str, Any]]:
    answer = await client.post(path, json=body, headers=who)
    assert answer.status_code == 201, answer.text
    documents: list[dict[str, Any]] = answer.json()["data"]
    return documents


async def define(client: httpx.AsyncClient, admin: dict[str, str], name: str, **parts: Any) -> str:
    body = {"name": name, "schema": {"type": "object"}, "rules": {"read": "anyone", "write": "user"}} | parts
    answer = await client.post("/api/collections", json=body, headers=admin)
    assert answer.status_code == 201, answer.text
    return f"/api/{name}"


# Creating


async def test_post_array_creates_documents_in_order(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    answer = await client.post(goods, json=SHELF, headers=ann)
    created = answer.json()["data"]
    assert answer.status_code == 201
    assert answer.json() == {"data": created}
    assert [{name: each[name] for name in SHELF[0]} for each in created] == SHELF
    assert [each["tags"] for each in created] == [[], [], []]
    assert {each["_version"] for each in created} == {1}
    assert len({each["_owner"] for each in created}) == 1
    assert [(await client.get(f"{goods}/{each['id']}")).json()["data"] for each in created] == created


async def test_post_array_of_1000_documents_creates_all(
    client: httpx.AsyncClient, ann: dict[str, str]
) -> None:
    created = await filled(client, PRODUCTS, [{"name": f"n{n}", "price": n} for n in range(1000)], ann)
    assert [each["name"] for each in created] == [f"n{n}" for n in range(1000)]
    assert len({each["id"] for each in created}) == 1000


async def test_invalid_documents_in_array_are_reported_with_index(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    body = [MUG, {"price": -1, "name": "x"}, 5, {"name": "y"}, MUG | {"price": "much", "nme": 1}]
    answer = await client.post(goods, json=body, headers=ann)
    problem = answer.json()
    assert answer.status_code == 400
    assert (problem["code"], problem["detail"]) == ("document.invalid", "4 documents have 5 faults")
    assert sorted(each["pointer"] for each in problem["errors"]) == [
        "/1/price",
        "/2",
        "/3/price",
        "/4/nme",
        "/4/price",
    ]
    assert await everything(client, goods, ann) == []


BAD_ARRAYS: list[tuple[list[Any], list[str], str]] = [
    ([MUG, MUG | {"_version": 7}], ["/1/_version"], "field.not_writable"),
    ([MUG | {"id": "x"}, MUG | {"_owner": "y"}], ["/0/id", "/1/_owner"], "field.not_writable"),
    ([MUG | {"id": "x"}, {}], ["/0/id", "/1/name", "/1/price"], "document.invalid"),
    ([MUG, MUG | {"$set": {}}], ["/1/$set"], "document.invalid"),
    ([], [""], "document.invalid"),
    ([MUG] * 1001, [""], "document.invalid"),
    ([[MUG]], ["/0"], "document.invalid"),
    ([None], ["/0"], "document.invalid"),
]


async def test_one_invalid_document_in_array_creates_nothing(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    for body, pointers, code in BAD_ARRAYS:
        answer = await client.post(goods, json=body, headers=ann)
        assert (answer.status_code, answer.json()["code"]) == (400, code)
        assert sorted(each["pointer"] for each in answer.json()["errors"]) == pointers
    flood = await client.post(goods, json=[{}] * 1000, headers=ann)
    assert (flood.status_code, len(flood.json()["errors"])) == (400, MAXIMUM_VIOLATIONS)
    stranger = await client.post(goods, json=[MUG])
    assert (stranger.status_code, stranger.json()["code"]) == (401, "auth.required")
    assert await everything(client, goods, ann) == []


async def test_duplicate_value_in_array_is_reported_with_index(
    client: httpx.AsyncClient, admin: dict[str, str], ann: dict[str, str]
) -> None:
    path = await define(client, admin, "parts", indexes=[{"fields": ["sku"], "unique": True}])
    (first,) = await filled(client, path, [{"sku": "a"}], ann)
    for body, index in (([{"sku": "b"}, {"sku": "a"}], 1), ([{"sku": "b"}, {"sku": "c"}, {"sku": "b"}], 2)):
        answer = await client.post(path, json=body, headers=ann)
        assert (answer.status_code, answer.json()["code"]) == (409, "document.duplicate")
        assert answer.json()["errors"] == [
            {"pointer": f"/{index}/sku", "code": "unique", "detail": "the value is taken"}
        ]
    assert await everything(client, path, ann) == [first]


async def test_array_may_contain_ids_if_collection_allows_client_ids(
    client: httpx.AsyncClient, admin: dict[str, str], ann: dict[str, str]
) -> None:
    path = await define(client, admin, "words", options={"id_type": "string"})
    created = await filled(client, path, [{"id": "b"}, {"id": "a"}], ann)
    assert [each["id"] for each in created] == ["b", "a"]
    for body, status, pointers in (
        ([{"id": "c"}, {"id": "d"}, {"id": "c"}], 409, ["/0/id", "/2/id"]),
        ([{"id": "c"}, {"id": "a"}], 409, ["/1/id"]),
        ([{"id": "c"}, {"id": 5}, {"id": "x/y"}], 400, ["/1/id", "/2/id"]),
    ):
        answer = await client.post(path, json=body, headers=ann)
        assert answer.status_code == status
        assert [each["pointer"] for each in answer.json()["errors"]] == pointers
    assert [each["id"] for each in await everything(client, path, ann)] == ["a", "b"]


async def test_integer_ids_of_array_are_consecutive_under_concurrency(
    client: httpx.AsyncClient, admin: dict[str, str], ann: dict[str, str]
) -> None:
    path = await define(client, admin, "numbers", options={"id_type": "integer"})
    created = await filled(client, path, [{}, {"id": 7}, {}, {"id": 2}], ann)
    assert [each["id"] for each in created] == [8, 7, 9, 2]
    answers = await asyncio.gather(*(filled(client, path, [{}] * 5, ann) for _ in range(8)))
    ids = [[each["id"] for each in documents] for documents in answers]
    assert sorted(number for block in ids for number in block) == list(range(10, 50))
    assert all(block == list(range(block[0], block[0] + 5)) for block in ids)


# Changing by filter


async def test_patch_by_filter_changes_all_matching_documents(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    shelf = await filled(client, goods, SHELF, ann)
    answer = await client.patch(goods, params=KITCHEN, json={"price": 1, "category": None}, headers=ann)
    assert (answer.status_code, answer.json()) == (200, {"data": {"matched": 2, "changed": 2}})
    stored = await everything(client, goods, ann)
    for before, after in zip(shelf[:2], stored[:2], strict=True):
        expected = {name: part for name, part in before.items() if name != "category"}
        expected |= {"price": 1, "_version": 2, "_updated_at": after["_updated_at"]}
        assert after == expected
        assert after["_updated_at"] >= before["_updated_at"]
    assert stored[2] == shelf[2]
    same = await client.patch(goods, params=ALL, json={"price": 1}, headers=ann)
    assert same.json() == {"data": {"matched": 3, "changed": 1}}  # the others keep their versions
    assert (await everything(client, goods, ann))[:2] == stored[:2]


async def test_change_by_filter_affects_only_documents_caller_may_change(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str], bob: dict[str, str]
) -> None:
    (anns,), (bobs,) = await filled(client, goods, [MUG], ann), await filled(client, goods, [MUG], bob)
    answer = await client.patch(goods, params=KITCHEN, json={"price": 1}, headers=bob)
    assert answer.json() == {"data": {"matched": 1, "changed": 1}}
    answer = await client.delete(goods, params=KITCHEN, headers=bob)
    assert (answer.status_code, answer.json()) == (200, {"data": {"matched": 1, "changed": 1}})
    assert await everything(client, goods, ann) == [anns]
    assert (await client.get(f"{goods}/{bobs['id']}")).status_code == 404


async def test_change_by_filter_above_max_affected_returns_409(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    shelf = await filled(client, goods, SHELF, ann)
    for method, body in METHODS:
        answer = await client.request(
            method, goods, params=KITCHEN | {"max_affected": 1}, headers=ann, **body
        )
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (409, "bulk.too_many_affected")
        assert problem["detail"] == "At least 2 documents match, and max_affected is 1"
    assert await everything(client, goods, ann) == shelf


WRONG_PARAMETERS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["max_affected", "filter"]),
    ({"max_affected": "10"}, ["filter"]),
    ({"max_affected": "10", "filter": "{}"}, ["filter"]),
    ({"max_affected": "10", "filter": '{"and":[]}'}, ["filter"]),
    ({"max_affected": "10", "q": " "}, ["q"]),
    ({"filter[category]": "kitchen"}, ["max_affected"]),
    ({"filter[category]": "kitchen", "max_affected": "0"}, ["max_affected"]),
    ({"filter[category]": "kitchen", "max_affected": "1001"}, ["max_affected"]),
    ({"filter[category]": "kitchen", "max_affected": "9" * 5000}, ["max_affected"]),
    ({"filter[category]": "kitchen", "max_affected": "-1"}, ["max_affected"]),
    ({"filter[category]": "kitchen", "max_affected": "ten"}, ["max_affected"]),
    ({"filter[category]": "kitchen", "max_affected": ["1", "2"]}, ["max_affected"]),
    (KITCHEN | {"limit": "1"}, ["limit"]),
    (KITCHEN | {"sort": "name"}, ["sort"]),
    (KITCHEN | {"max_afected": "1"}, ["max_afected"]),
    ({"filter[categry]": "kitchen", "max_affected": "10"}, ["filter[categry]"]),
    ({"filter[price][$gt]": "1", "max_affected": "10"}, ["filter[price][$gt]"]),
]


async def test_change_by_filter_with_invalid_parameters_returns_400(
    client: httpx.AsyncClient, ann: dict[str, str]
) -> None:
    shelf = await filled(client, PRODUCTS, SHELF, ann)
    for (method, body), (parameters, named) in itertools.product(METHODS, WRONG_PARAMETERS):
        answer = await client.request(method, PRODUCTS, params=parameters, headers=ann, **body)
        assert (answer.status_code, answer.json()["code"]) == (400, "parameter.invalid"), parameters
        assert [each["parameter"] for each in answer.json()["errors"]] == named
    assert await everything(client, PRODUCTS, ann) == shelf


async def test_delete_of_all_documents_requires_explicit_filter(
    client: httpx.AsyncClient, ann: dict[str, str]
) -> None:
    await filled(client, PRODUCTS, SHELF, ann)
    refused = await client.delete(PRODUCTS, params={"max_affected": 10}, headers=ann)
    assert refused.json()["hint"] == "If all documents are meant, say so: `filter[id][exists]=true`."
    answer = await client.delete(
        PRODUCTS, params={"max_affected": 10, "filter[id][exists]": "true"}, headers=ann
    )
    assert answer.json() == {"data": {"matched": 3, "changed": 3}}
    assert await everything(client, PRODUCTS, ann) == []


async def test_patch_by_filter_with_invalid_results_reports_ids_and_stores_nothing(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    shelf = await filled(client, goods, SHELF, ann)
    answer = await client.patch(goods, params=KITCHEN, json={"price": -1}, headers=ann)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (400, "document.invalid")
    assert problem["detail"] == "2 documents have 2 faults"
    assert [(each["id"], each["pointer"]) for each in problem["errors"]] == [
        (each["id"], "/price") for each in shelf[:2]
    ]
    patch = [{"op": "test", "path": "/name", "value": "Mug"}, {"op": "replace", "path": "/price", "value": 1}]
    answer = await client.patch(goods, params=KITCHEN, json=patch, headers=ann | JSON_PATCH)
    assert (answer.status_code, answer.json()["code"]) == (409, "patch.test_failed")
    assert {each["id"] for each in answer.json()["errors"]} == {shelf[1]["id"]}
    assert await everything(client, goods, ann) == shelf


async def test_patch_by_filter_of_unwritable_fields_is_refused(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    shelf = await filled(client, goods, SHELF, ann)
    bodies: list[tuple[dict[str, str], Any, str]] = [
        ({}, {"_owner": "me"}, "field.not_writable"),
        ({}, {"id": None}, "field.not_writable"),
        (JSON_PATCH, [{"op": "replace", "path": "/_version", "value": 9}], "field.not_writable"),
        (OPERATIONS, {"inc": {"_version": 1}}, "field.not_writable"),
        ({}, [], "patch.invalid"),
        ({}, {"$set": {"price": 1}}, "document.invalid"),
    ]
    for headers, body, code in bodies:
        answer = await client.patch(goods, params=KITCHEN, json=body, headers=ann | headers)
        assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    answer = await client.patch(goods, params=KITCHEN, content="price=1", headers=ann)
    assert (answer.status_code, answer.json()["code"]) == (415, "media_type.unsupported")
    assert await everything(client, goods, ann) == shelf


async def test_bulk_requests_with_repeated_idempotency_key_run_once(
    client: httpx.AsyncClient, ann: dict[str, str]
) -> None:
    created = [
        await client.post(PRODUCTS, json=SHELF, headers=ann | {"Idempotency-Key": "shelf"}) for _ in range(2)
    ]
    assert (created[0].status_code, created[0].content) == (201, created[1].content)
    keyed = ann | OPERATIONS | {"Idempotency-Key": "dearer"}
    changed = [
        await client.patch(PRODUCTS, params=KITCHEN, json={"inc": {"price": 1}}, headers=keyed)
        for _ in range(2)
    ]
    assert [answer.json() for answer in changed] == [{"data": {"matched": 2, "changed": 2}}] * 2
    assert [each["price"] for each in await everything(client, PRODUCTS, ann)] == [10.5, 4, 120]
    refused = await client.post(PRODUCTS, json=[MUG, {}], headers=ann | {"Idempotency-Key": "bad"})
    assert (refused.status_code, len(await everything(client, PRODUCTS, ann))) == (400, 3)


async def test_concurrent_increments_by_filter_are_exact(
    client: httpx.AsyncClient, ann: dict[str, str]
) -> None:
    await filled(client, PRODUCTS, [MUG | {"price": 0}] * 10, ann)
    answers = await asyncio.gather(
        *(
            client.patch(PRODUCTS, params=KITCHEN, json={"inc": {"price": 1}}, headers=ann | OPERATIONS)
            for _ in range(8)
        )
    )
    assert [answer.status_code for answer in answers] == [200] * 8
    assert {each["price"] for each in await everything(client, PRODUCTS, ann)} == {8}


async def test_patch_by_filter_violating_unique_index_returns_409(
    client: httpx.AsyncClient, admin: dict[str, str], ann: dict[str, str]
) -> None:
    path = await define(client, admin, "parts", indexes=[{"fields": ["sku"], "unique": True}])
    parts = await filled(client, path, [{"sku": "a"}, {"sku": "b"}], ann)
    every: dict[str, str | int] = {"filter[id][exists]": "true", "max_affected": 10}
    answer = await client.patch(path, params=every, json={"sku": "c"}, headers=ann)
    assert (answer.status_code, answer.json()["code"]) == (409, "document.duplicate")
    assert answer.json()["errors"] == [
        {"id": parts[1]["id"], "pointer": "/sku", "code": "unique", "detail": "the value is taken"}
    ]
    assert await everything(client, path, ann) == parts


async def test_change_by_filter_requires_right_to_list(
    client: httpx.AsyncClient, admin: dict[str, str], ann: dict[str, str]
) -> None:
    path = await define(client, admin, "letters", rules={"list": "nobody", "get": "user", "write": "user"})
    letters = await filled(client, path, [{"price": 5}], ann)
    every: dict[str, str | int] = {"filter[id][exists]": "true", "max_affected": 9}
    for method, body in METHODS:
        answer = await client.request(method, path, params=every, headers=ann, **body)
        assert (answer.status_code, answer.json()["code"]) == (403, "access.denied")
    assert await everything(client, path, admin) == letters


async def test_change_by_filter_without_token_or_with_if_match_version_is_refused(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    shelf = await filled(client, goods, SHELF, ann)
    refused: tuple[tuple[dict[str, str], int, str], ...] = (
        ({}, 401, "auth.required"),
        (ann | {"If-Match": '"1"'}, 412, "document.stale"),
    )
    for (method, body), (headers, status, code) in itertools.product(METHODS, refused):
        answer = await client.request(method, goods, params=KITCHEN, headers=headers, **body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await everything(client, goods, ann) == shelf


async def test_change_by_filter_with_required_concurrency_needs_if_match_star(
    client: httpx.AsyncClient, admin: dict[str, str], ann: dict[str, str]
) -> None:
    path = await define(client, admin, "drafts", options={"concurrency": "required"})
    drafts = await filled(client, path, [{"price": 5}, {"price": 6}], ann)
    every: dict[str, str | int] = {"filter[id][exists]": "true", "max_affected": 9}
    for method, body in METHODS:
        answer = await client.request(method, path, params=every, headers=ann, **body)
        assert (answer.status_code, answer.json()["code"]) == (428, "precondition.required")
        assert await everything(client, path, ann) == drafts
    for method, body in METHODS:
        answer = await client.request(method, path, params=every, headers=ann | {"If-Match": "*"}, **body)
        assert (answer.status_code, answer.json()) == (200, {"data": {"matched": 2, "changed": 2}})
    assert await everything(client, path, ann) == []


async def test_bulk_requests_respect_prefer_return(client: httpx.AsyncClient, ann: dict[str, str]) -> None:
    minimal, whole = ({"Prefer": f"return={wanted}"} for wanted in ("minimal", "representation"))
    created = await client.post(PRODUCTS, json=SHELF, headers=ann | minimal)
    assert (created.status_code, created.content) == (201, b"")
    assert created.headers["preference-applied"] == "return=minimal"
    changed = await client.patch(PRODUCTS, params=KITCHEN, json={"price": 1}, headers=ann | whole)
    stored = await everything(client, PRODUCTS, ann)
    assert (changed.status_code, changed.json()) == (200, {"data": stored[:2]})
    assert changed.headers["preference-applied"] == "return=representation"


async def test_change_by_filter_selects_documents_by_text_search(
    client: httpx.AsyncClient, admin: dict[str, str], ann: dict[str, str]
) -> None:
    text = {"type": "object", "properties": {"title": {"type": "string"}, "shown": {"type": "boolean"}}}
    path = await define(client, admin, "films", schema=text, indexes=[{"text": ["title"]}])
    films = await filled(client, path, [{"title": "Green oak"}, {"title": "Oak tree"}, {"title": "Elm"}], ann)
    by_text: dict[str, str | int] = {"q": "oak", "max_affected": 9}
    answer = await client.patch(path, params=by_text, json={"shown": True}, headers=ann)
    assert (answer.status_code, answer.json()) == (200, {"data": {"matched": 2, "changed": 2}})
    answer = await client.delete(path, params=by_text | {"filter[title]": "Oak tree"}, headers=ann)
    assert (answer.status_code, answer.json()) == (200, {"data": {"matched": 1, "changed": 1}})
    left = await everything(client, path, ann)
    assert [each["title"] for each in left] == ["Green oak", "Elm"]
    unsearchable = await define(client, admin, "free")
    answer = await client.delete(unsearchable, params=by_text, headers=ann)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "not_indexed")
    assert left[1] == films[2]
