"""Lists over HTTP: pages, cursors, links, counts, and the query as a body."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from litestar import Litestar

from service.query.limits import MAXIMUM_ESTIMATED, MAXIMUM_SKIP
from service.storage import store
from tests.conftest import Asker
from tests.services import services_of

KEEPS_DEFINITIONS = True

PRICES = [5, 1, 4, 1, 3, 9, 2]
SORTED = sorted(PRICES)
CHEAPEST_FIRST = {"sort": "price,name", "limit": "3"}


@pytest.fixture
async def products_path(client: httpx.AsyncClient, goods: str, ann: dict[str, str]) -> str:
    """Provide the path of a collection with a few products."""
    mugs = [{"name": f"Mug {number}", "price": price, "tags": ["mug"]} for number, price in enumerate(PRICES)]
    assert (await client.post(goods, json=mugs, headers=ann)).status_code == 201
    return goods


async def created(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], headers: dict[str, str]
) -> dict[str, Any]:
    answer = await client.post(path, json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()["data"]
    return document


async def listed(client: httpx.AsyncClient, path: str, **query: Any) -> dict[str, Any]:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def prices(page: dict[str, Any]) -> list[float]:
    return [document["price"] for document in page["data"]]


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


# --- cursors


async def test_cursors_lead_to_next_and_previous_page(client: httpx.AsyncClient, products_path: str) -> None:
    first = await listed(client, products_path, **CHEAPEST_FIRST)
    assert (prices(first), first["page"], first["limit"], first["has_more"]) == (SORTED[:3], 1, 3, True)
    assert first.keys() == {"data", "page", "limit", "has_more", "next"}
    second = await listed(client, products_path, **CHEAPEST_FIRST, cursor=first["next"])
    assert (prices(second), second["limit"], second["has_more"]) == (SORTED[3:6], 3, True)
    assert second.keys() == {"data", "limit", "has_more", "next", "prev"}
    last = await listed(client, products_path, **CHEAPEST_FIRST, cursor=second["next"])
    assert (prices(last), last["has_more"], last.keys() & {"next", "prev"}) == (SORTED[6:], False, {"prev"})
    back = await listed(client, products_path, **CHEAPEST_FIRST, cursor=last["prev"])
    assert prices(back) == SORTED[3:6]
    begin = await listed(client, products_path, **CHEAPEST_FIRST, cursor=back["prev"])
    assert (begin["data"], begin["has_more"], "prev" in begin) == (first["data"], True, False)


@pytest.mark.parametrize("query", [{}, {"sort": "-id"}, {"sort": "tags,-price"}, {"fields": "name"}])
async def test_list_can_be_paged_forward_and_backward(
    client: httpx.AsyncClient, products_path: str, query: dict[str, str]
) -> None:
    whole = (await listed(client, products_path, **query))["data"]
    page = await listed(client, products_path, **query, limit=2)
    pages = [page]
    while page["has_more"]:
        page = await listed(client, products_path, **query, limit=2, cursor=page["next"])
        pages.append(page)
    assert [document for each in pages for document in each["data"]] == whole
    backward = page["data"]
    while "prev" in page:
        page = await listed(client, products_path, **query, limit=3, cursor=page["prev"])
        backward = page["data"] + backward
    assert backward == whole


async def test_limit_fields_and_count_may_change_between_pages(
    client: httpx.AsyncClient, products_path: str
) -> None:
    first = await listed(client, products_path, sort="price")
    cursor = (await listed(client, products_path, sort="price", limit=2))["next"]
    page = await listed(
        client, products_path, sort="price", limit=1, fields="price", count="exact", cursor=cursor
    )
    third = first["data"][2]
    assert page["data"] == [{"id": third["id"], "price": third["price"]}]
    assert (page["total"], page["count"]) == (7, "exact")


async def test_inserts_and_deletes_do_not_shift_cursor_pages(
    client: httpx.AsyncClient, products_path: str, ann: dict[str, str]
) -> None:
    whole = (await listed(client, products_path, sort="price,name"))["data"]
    page = await listed(client, products_path, **CHEAPEST_FIRST)
    seen = page["data"]
    for gone in (whole[0], whole[2], whole[4]):  # before the place, the document at the place, one after it
        await client.delete(f"{products_path}/{gone['id']}", headers=ann)
    await created(client, products_path, {"name": "Early", "price": 0}, ann)
    late = await created(client, products_path, {"name": "Late", "price": 4.5}, ann)
    while "next" in page:
        page = await listed(client, products_path, **CHEAPEST_FIRST, cursor=page["next"])
        seen += page["data"]
    assert seen == [*whole[:4], late, *whole[5:]]


async def test_empty_cursor_page_leads_back(
    client: httpx.AsyncClient, products_path: str, ann: dict[str, str]
) -> None:
    first = await listed(client, products_path, sort="price", limit=4)
    rest = await listed(client, products_path, sort="price", cursor=first["next"])
    for document in rest["data"]:
        await client.delete(f"{products_path}/{document['id']}", headers=ann)
    empty = await listed(client, products_path, sort="price", limit=4, cursor=first["next"])
    assert (empty["data"], empty["has_more"], empty.keys() & {"next", "prev"}) == ([], False, {"prev"})
    assert (await listed(client, products_path, sort="price", cursor=empty["prev"]))["data"] == first["data"]
    for document in first["data"]:
        await client.delete(f"{products_path}/{document['id']}", headers=ann)
    before = await listed(client, products_path, sort="price", cursor=rest["prev"])
    assert (before["data"], before["has_more"]) == ([], True)
    assert (await listed(client, products_path, sort="price", cursor=before["next"]))["data"] == []


async def test_list_with_oversized_sort_values_has_page_numbers_but_no_cursor(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    for letter in "ab":
        await created(client, goods, {"name": "Mug", "price": 1, "description": letter * 1500}, ann)
    first = await listed(client, goods, sort="description", limit=1)
    assert (first["has_more"], "next" in first) == (True, False)
    second = await listed(client, goods, sort="description", limit=1, page=2)
    assert [document["description"][0] for document in second["data"]] == ["b"]


async def test_cursor_gives_no_access_to_documents_of_others(
    client: httpx.AsyncClient, ann: dict[str, str], bob: dict[str, str], admin: dict[str, str]
) -> None:
    body = {"name": "notes", "schema": {"type": "object"}, "rules": {"read": "owner", "create": "user"}}
    await client.post("/api/collections", json=body, headers=admin)
    for number in range(4):
        await created(client, "/api/notes", {"number": number}, ann if number % 2 else bob)
    page = await client.get("/api/notes?sort=number&limit=1", headers=ann)
    query = {"sort": "number", "cursor": page.json()["next"]}
    for headers, numbers in ((ann, [3]), (bob, [2]), (admin, [2, 3])):
        answer = await client.get("/api/notes", params=query, headers=headers)
        assert [document["number"] for document in answer.json()["data"]] == numbers
    assert (await client.get("/api/notes", params=query)).status_code == 401


# --- links


async def test_links_of_cursor_page_use_cursors(client: httpx.AsyncClient, products_path: str) -> None:
    page = await listed(client, products_path, **CHEAPEST_FIRST)
    answer = await client.get(products_path, params=CHEAPEST_FIRST | {"cursor": page["next"]})
    assert list(answer.links) == ["first", "prev", "next"]
    assert query_of(answer.links["first"]["url"]) == CHEAPEST_FIRST | {"page": "1"}
    assert query_of(answer.links["next"]["url"]) == CHEAPEST_FIRST | {"cursor": answer.json()["next"]}
    previous = (await client.get(answer.links["prev"]["url"])).json()
    assert prices(previous) == SORTED[:3]
    following = await client.get(answer.links["next"]["url"])
    assert (prices(following.json()), "next" in following.links) == (SORTED[6:], False)


async def test_link_header_of_long_query_is_omitted_above_size_limit(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    for letter in "abc":
        await created(client, goods, {"name": "Mug", "price": 1, "description": letter * 900}, ann)
    for length, has_links in ((1100, True), (1900, False), (2500, False)):
        query = {"filter[name][ne]": "x" * 900, "sort": "description", "limit": "1"}
        query |= {"filter[category][ne]": "x" * (length - 1000)}
        first = await client.get(goods, params=query)
        second = await client.get(goods, params=query | {"cursor": first.json()["next"]})
        assert (second.json()["has_more"], "link" in second.headers) == (True, has_links)
        assert len(second.headers.get("link", "")) < 8000


async def test_pages_beyond_last_page_number_continue_by_cursor(
    client: httpx.AsyncClient, goods: str, app: Litestar
) -> None:
    name = goods.rpartition("/")[2]
    many = [{"_id": number, "price": number, "name": "x"} for number in range(MAXIMUM_SKIP + 150)]
    await services_of(app).database.motor[name].insert_many(many)
    query = {"sort": "price", "limit": "100", "fields": "price", "count": "estimated"}
    deep = await client.get(goods, params=query | {"page": str(MAXIMUM_SKIP // 100 + 1)})
    page = deep.json()
    assert prices(page) == list(range(MAXIMUM_SKIP, MAXIMUM_SKIP + 100))
    assert (page["total"], page["count"]) == (MAXIMUM_SKIP + 150, "estimated")
    assert query_of(deep.links["next"]["url"]) == query | {"cursor": page["next"]}
    beyond = (await client.get(deep.links["next"]["url"])).json()
    assert prices(beyond) == list(range(MAXIMUM_SKIP + 100, MAXIMUM_SKIP + 150))
    narrowed = await listed(client, goods, **{"filter[price][gte]": 1, "count": "estimated", "limit": 1})
    assert (narrowed["total"], narrowed["count"]) == (MAXIMUM_ESTIMATED, "at_least")
    exact = await listed(client, goods, **{"filter[price][gte]": 1, "count": "exact", "limit": 1})
    assert (exact["total"], exact["count"]) == (MAXIMUM_SKIP + 149, "exact")


async def test_list_supports_head_and_if_none_match(client: httpx.AsyncClient, products_path: str) -> None:
    page = await listed(client, products_path, **CHEAPEST_FIRST)
    for query in (CHEAPEST_FIRST, CHEAPEST_FIRST | {"cursor": page["next"]}):
        full = await client.get(products_path, params=query)
        head = await client.head(products_path, params=query)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("etag", "link", "content-length", "content-type", "cache-control", "vary"):
            assert head.headers[name] == full.headers[name]
        again = await client.get(products_path, params=query, headers={"If-None-Match": full.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


# --- counts


@pytest.mark.parametrize(
    ("query", "total", "count"),
    [
        ({"count": "exact"}, 7, "exact"),
        ({"count": "estimated"}, 7, "estimated"),
        ({"count": "exact", "filter[price][lte]": "2"}, 3, "exact"),
        ({"count": "estimated", "filter[price][lte]": "2"}, 3, "exact"),
        ({"count": "exact", "filter[name]": "none"}, 0, "exact"),
        ({"count": "exact", "limit": "2", "page": "3"}, 7, "exact"),
    ],
)
async def test_count_reports_total_and_accuracy(
    client: httpx.AsyncClient, products_path: str, query: dict[str, str], total: int, count: str
) -> None:
    page = await listed(client, products_path, **query)
    assert (page["total"], page["count"]) == (total, count)
    body: dict[str, Any] = {
        name: int(text) if text.isdecimal() else text for name, text in query.items() if "[" not in name
    }
    if "filter[price][lte]" in query:
        body["filter"] = {"price": {"lte": 2}}
    elif "filter[name]" in query:
        body["filter"] = {"name": "none"}
    answer = await client.post(f"{products_path}/query", json=body)
    assert (answer.json()["total"], answer.json()["count"]) == (total, count)


@pytest.mark.parametrize(
    ("query", "operations"),
    [
        ({}, 1),
        ({"sort": "price", "limit": "2"}, 1),
        ({"sort": "price", "limit": "2", "page": "2", "fields": "-name"}, 1),
        ({"sort": "price", "limit": "2", "count": "exact"}, 2),
    ],
)
async def test_list_takes_one_database_operation_and_exact_count_one_more(
    client: httpx.AsyncClient, products_path: str, app: Litestar, query: dict[str, str], operations: int
) -> None:
    database = services_of(app).database.motor
    await database.command("profile", 2)
    await listed(client, products_path, **query)
    await database.command("profile", 0)
    asked = {"ns": f"{database.name}.{products_path.rpartition('/')[2]}"}
    counted = await database["system.profile"].count_documents(asked)
    await database.drop_collection("system.profile")
    assert counted == operations


@pytest.mark.parametrize("count", ["exact", "estimated"])
async def test_count_excludes_documents_hidden_by_rule(
    client: httpx.AsyncClient, as_user: Asker, admin: dict[str, str], count: str
) -> None:
    rules = {"read": "owner", "create": "user"}
    body = {"name": "notes", "schema": {"type": "object"}, "rules": rules}
    await client.post("/api/collections", json=body, headers=admin)
    for who in ("ann", "ann", "bob"):
        await created(client, "/api/notes", {}, as_user(who))
    for who, total in (("ann", 2), ("bob", 1), ("eve", 0)):
        answer = await client.get(f"/api/notes?count={count}", headers=as_user(who))
        assert (answer.json()["total"], answer.json()["count"]) == (total, "exact")


async def test_slow_exact_count_returns_400(
    client: httpx.AsyncClient, products_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "COUNT_TIMEOUT_S", 1e-6)
    answer = await client.get(products_path, params={"count": "exact"})
    assert (answer.status_code, answer.json()["code"]) == (400, "parameter.invalid")
    (error,) = answer.json()["errors"]
    assert error == {
        "parameter": "count",
        "code": "too_slow",
        "detail": "counting exactly takes too long here",
        "hint": "Ask for `count=estimated`, or narrow the filter to what an index finds.",
    }
    guessed = await listed(client, products_path, limit=2, page=2, count="estimated")
    assert (guessed["total"], guessed["count"]) == (5, "at_least")


# --- the query as a body


async def test_query_in_body_returns_same_as_url(client: httpx.AsyncClient, products_path: str) -> None:
    asked = {"filter": {"price": {"lte": 4}}, "sort": ["price", "name"], "limit": 2}
    answer = await client.post(f"{products_path}/query", json=asked)
    by_url = {"filter[price][lte]": "4", "sort": "price,name", "limit": "2"}
    assert (answer.status_code, answer.json()) == (200, await listed(client, products_path, **by_url))
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers.keys() & {"etag", "link"} == set()
    second = await client.post(f"{products_path}/query", json=asked | {"cursor": answer.json()["next"]})
    assert second.json() == await listed(client, products_path, **by_url, cursor=answer.json()["next"])
    assert prices(second.json()) == [2, 3]


@pytest.mark.parametrize(
    ("suffix", "body", "headers", "status", "code"),
    [
        ("?limit=1", {}, {}, 400, "parameter.invalid"),
        ("", {"limit": 0}, {}, 400, "parameter.invalid"),
        ("", {"cursor": "forged"}, {}, 400, "parameter.invalid"),
        ("", {"$where": "1"}, {}, 400, "parameter.invalid"),
        ("", [], {}, 400, "parameter.invalid"),
        ("", {}, {"Content-Type": "text/plain"}, 415, "media_type.unsupported"),
        ("", {}, {"Authorization": "Bearer x"}, 401, "auth.token_invalid"),
    ],
)
async def test_query_in_body_is_refused_like_url(
    client: httpx.AsyncClient,
    goods: str,
    suffix: str,
    body: Any,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    answer = await client.post(f"{goods}/query{suffix}", json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_query_in_body_requires_right_to_list(
    client: httpx.AsyncClient, admin: dict[str, str], ann: dict[str, str]
) -> None:
    body = {"name": "closed", "schema": {"type": "object"}, "rules": {"get": "anyone", "create": "user"}}
    await client.post("/api/collections", json=body, headers=admin)
    for headers, status in (({}, 401), (ann, 403), (admin, 200)):
        assert (await client.post("/api/closed/query", json={}, headers=headers)).status_code == status
    assert (await client.post("/api/nowhere/query", json={}, headers=admin)).status_code == 404


@pytest.mark.parametrize("word", ["query", "queries"])
async def test_reserved_path_words_are_refused_as_ids(
    client: httpx.AsyncClient, admin: dict[str, str], word: str
) -> None:
    body = {"name": "words", "schema": {"type": "object"}, "options": {"id_type": "string"}}
    await client.post("/api/collections", json=body, headers=admin)
    answer = await client.post("/api/words", json={"id": word}, headers=admin)
    assert (answer.status_code, answer.json()["code"]) == (400, "id.invalid")
    assert (await client.get("/api/words?count=exact", headers=admin)).json()["total"] == 0


# --- search


async def test_search_sorts_by_relevance_and_other_sorts_have_cursors(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    body = {
        "name": "books",
        "schema": {"type": "object", "properties": {"text": {"type": "string"}, "year": {"type": "integer"}}},
        "rules": {"read": "anyone"},
        "indexes": [{"text": ["text"]}],
    }
    assert (await client.post("/api/collections", json=body, headers=admin)).status_code == 201
    texts = ["oak", "oak oak oak desk", "pine desk", "desk oak"]
    for year, text in enumerate(texts):
        await created(client, "/api/books", {"text": text, "year": year}, admin)
    best = await client.get("/api/books?q=oak&limit=2&count=exact")
    assert best.json()["data"][0]["year"] in {0, 1}
    assert best.json().keys() == {"data", "page", "limit", "has_more", "total", "count"}
    assert (best.json()["has_more"], best.json()["total"]) == (True, 3)
    rest = (await client.get(best.links["next"]["url"])).json()
    found = [document["year"] for page in (best.json(), rest) for document in page["data"]]
    assert sorted(found) == [0, 1, 3]
    query = {"q": "oak", "sort": "-year", "filter[year][gte]": "0", "limit": "1"}
    years, page = [], await listed(client, "/api/books", **query)
    while page["data"]:
        years += [document["year"] for document in page["data"]]
        if "next" not in page:
            break
        page = await listed(client, "/api/books", **query, cursor=page["next"])
    assert years == [3, 1, 0]
    assert (await listed(client, "/api/books", **query, cursor=page["prev"]))["data"][0]["year"] == 1


async def test_search_without_text_index_returns_400(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    await client.post("/api/collections", json={"name": "plain", "schema": schema}, headers=admin)
    for query in ("q=oak", "q=oak&sort=name", "q=oak&count=exact"):
        answer = await client.get(f"/api/plain?{query}", headers=admin)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "not_indexed")


async def test_sort_by_two_arrays_returns_400_with_cursor_and_count(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    arrays = {"type": "array", "items": {"type": "integer"}}
    body = {"name": "pairs", "schema": {"type": "object", "properties": {"a": arrays, "b": arrays}}}
    await client.post("/api/collections", json=body, headers=admin)
    for number in range(2):
        await created(client, "/api/pairs", {"a": [number]}, admin)
    cursor = (await client.get("/api/pairs?sort=a,b&limit=1", headers=admin)).json()["next"]
    await created(client, "/api/pairs", {"a": [1, 2], "b": [3, 4]}, admin)
    for query in ({}, {"cursor": cursor}, {"count": "exact"}):
        answer = await client.get("/api/pairs", params={"sort": "a,b"} | query, headers=admin)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "parallel_arrays")


async def test_sort_by_name_that_is_also_array_index_returns_400(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    body = {"name": "free", "schema": {"type": "object"}}
    await client.post("/api/collections", json=body, headers=admin)
    await created(client, "/api/free", {"a": [{"0": 1}]}, admin)
    for sort in ("a.0", "-a.0.b"):
        answer = await client.get("/api/free", params={"sort": sort}, headers=admin)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "ambiguous")
