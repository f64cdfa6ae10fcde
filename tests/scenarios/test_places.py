"""Places and words over HTTP: filters on them with and without an index, page by page."""

from typing import Any

import httpx
import pytest

from tests.conftest import Asker

CITIES = {"Bern": [7.44, 46.95], "Chur": [9.53, 46.85], "Zug": [8.51, 47.17], "Zurich": [8.54, 47.37]}
NEAR_ZUG = {"place": {"near": {"point": [8.5, 47.2], "distance_m": 40_000}}}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "language": {}, "place": {"type": "object"}},
}


async def opened(client: httpx.AsyncClient, admin: dict[str, str], indexes: list[dict[str, Any]]) -> str:
    body = {"name": "cities", "schema": SCHEMA, "rules": {"read": "anyone"}, "indexes": indexes}
    answer = await client.post("/api/collections", json=body, headers=admin)
    assert answer.status_code == 201, answer.text
    cities = [
        {"name": name, "place": {"type": "Point", "coordinates": position}}
        for name, position in CITIES.items()
    ]
    answer = await client.post("/api/cities", json=[*cities, {"name": "Atlantis"}], headers=admin)
    assert answer.status_code == 201, answer.text
    return "/api/cities"


async def names(client: httpx.AsyncClient, path: str, **query: Any) -> list[str]:
    answer = await client.post(f"{path}/query", json={"sort": "name", **query})
    assert answer.status_code == 200, answer.text
    return [document["name"] for document in answer.json()["data"]]


@pytest.mark.parametrize(
    "indexes",
    [[], [{"geo": "place"}], [{"fields": ["place"]}], [{"fields": ["name", "place"]}, {"geo": "place"}]],
    ids=["no index", "geo", "ordinary", "both"],
)
async def test_geo_filters_work_with_every_index(
    client: httpx.AsyncClient, admin: dict[str, str], indexes: list[dict[str, Any]]
) -> None:
    path = await opened(client, admin, indexes)
    box = {"place": {"within": {"box": [7, 46.9, 8.6, 47.5]}}}
    triangle = {"place": {"within": {"polygon": [[[7, 46], [11, 46.5], [8.5, 47.3], [7, 46]]]}}}
    far = ["Atlantis", "Bern", "Chur"]
    assert await names(client, path, filter=NEAR_ZUG) == ["Zug", "Zurich"]
    assert await names(client, path, filter=box) == ["Bern", "Zug", "Zurich"]
    assert await names(client, path, filter=triangle) == ["Chur", "Zug"]
    assert await names(client, path, filter={"not": NEAR_ZUG}) == far
    assert await names(client, path, filter={"not": {"or": [NEAR_ZUG, {"name": "Bern"}]}}) == far[::2]
    assert await names(client, path, filter={"and": [NEAR_ZUG, box, {"not": {"name": "Zug"}}]}) == ["Zurich"]


async def test_near_filter_pages_by_cursor_in_any_sort(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    path = await opened(client, admin, [{"geo": "place"}])
    asked = {"filter[place][near]": "8.5,47.2,200000", "sort": "-name", "limit": "3"}
    first = (await client.get(path, params=asked)).json()
    second = (await client.get(path, params={**asked, "cursor": first["next"]})).json()
    pages = [[document["name"] for document in page["data"]] for page in (first, second)]
    assert pages == [["Zurich", "Zug", "Chur"], ["Bern"]]
    assert (first["has_more"], second["has_more"]) == (True, False)


@pytest.mark.parametrize("language", ["klingon", 5, ["de"]])
async def test_language_field_of_document_is_plain_data(
    client: httpx.AsyncClient, admin: dict[str, str], language: Any
) -> None:
    path = await opened(client, admin, [{"text": ["name"]}])
    answer = await client.post(path, json={"name": "Qo'noS", "language": language}, headers=admin)
    assert answer.status_code == 201, answer.text
    assert answer.json()["data"]["language"] == language
    assert await names(client, path, q="Qo'noS") == ["Qo'noS"]


async def test_text_search_uses_language_of_index(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    path = await opened(client, admin, [{"text": ["name"], "language": "german"}])
    for name in ("Das Haus am See", "Die Stadt"):
        answer = await client.post(path, json={"name": name}, headers=admin)
        assert answer.status_code == 201, answer.text
    assert await names(client, path, q="Häuser") == ["Das Haus am See"]
    assert await names(client, path, q="die") == []


@pytest.mark.parametrize(
    ("index", "pointer", "code"),
    [
        ({"text": ["name"], "language": "klingon"}, "/indexes/0/language", "enum"),
        ({"text": ["name"], "language": ["german"]}, "/indexes/0/language", "enum"),
        ({"fields": ["name"], "language": "german"}, "/indexes/0/language", "form"),
        ({"text": ["keys"]}, "/indexes/0/text", "unknown_field"),
    ],
)
async def test_invalid_text_index_returns_400(
    client: httpx.AsyncClient, admin: dict[str, str], index: dict[str, Any], pointer: str, code: str
) -> None:
    hidden = {"type": "array", "items": {"type": "string", "writeOnly": True}}
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "keys": hidden}}
    body = {"name": "cities", "schema": schema, "indexes": [index]}
    answer = await client.post("/api/collections", json=body, headers=admin)
    assert answer.status_code == 400
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [(pointer, code)]
    assert (await client.get("/api/cities", headers=admin)).status_code == 404


async def test_text_search_returns_only_documents_allowed_by_rule(
    client: httpx.AsyncClient, admin: dict[str, str], as_user: Asker
) -> None:
    body = {
        "name": "notes",
        "schema": {"type": "object", "properties": {"text": {"type": "string"}}},
        "rules": {"read": "owner", "create": "user"},
        "indexes": [{"text": ["text"]}],
    }
    assert (await client.post("/api/collections", json=body, headers=admin)).status_code == 201
    for name in ("ann", "bob"):
        note = {"text": f"a secret of {name}"}
        assert (await client.post("/api/notes", json=note, headers=as_user(name))).status_code == 201
    answer = await client.get("/api/notes?q=secret&count=exact", headers=as_user("ann"))
    assert [document["text"] for document in answer.json()["data"]] == ["a secret of ann"]
    assert answer.json()["total"] == 1
