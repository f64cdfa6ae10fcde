"""Definitions over HTTP: created, read, replaced, patched, deleted, by administrators."""

from typing import Any

import httpx
import pytest

from tests.services import services_of

FILMS: dict[str, Any] = {
    "name": "films",
    "schema": {
        "type": "object",
        "properties": {"title": {"type": "string"}, "year": {"type": "integer"}},
        "required": ["title"],
        "additionalProperties": False,
    },
    "rules": {"read": "anyone", "write": "user"},
    "indexes": [{"fields": ["title"], "unique": True}],
}


@pytest.fixture
async def films(client: httpx.AsyncClient, admin: dict[str, str]) -> str:
    answer = await client.post("/api/collections", json=FILMS, headers=admin)
    assert answer.status_code == 201, answer.text
    return "/api/films"


async def test_created_collection_is_usable_at_once(
    client: httpx.AsyncClient, admin: dict[str, str], ann: dict[str, str]
) -> None:
    answer = await client.post("/api/collections", json=FILMS, headers=admin)
    assert answer.status_code == 201
    assert answer.headers["location"] == "/api/collections/films"
    assert answer.headers["etag"] == '"1"'
    assert answer.json() == {
        "data": {
            **FILMS,
            "rule_tests": [],
            "options": {},
            "queries": {},
            "source": "runtime",
            "count": 0,
            "warnings": [
                "Any signed-in user may update every document.",
                "Any signed-in user may delete every document.",
            ],
            "_version": 1,
        }
    }
    assert (await client.post("/api/films", json={"title": "Alien"}, headers=ann)).status_code == 201
    assert (await client.get("/api/films")).json()["data"][0]["title"] == "Alien"
    read = await client.get("/api/collections/films", headers=admin)
    assert read.json()["data"] == answer.json()["data"] | {"count": 1}


async def test_list_collections_contains_runtime_and_code_collections(
    client: httpx.AsyncClient, films: str, admin: dict[str, str]
) -> None:
    listed = (await client.get("/api/collections", headers=admin)).json()["data"]
    assert [(each["name"], each["source"]) for each in listed] == [
        ("films", "runtime"),
        ("products", "code"),
    ]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/collections", None),
        ("POST", "/api/collections", FILMS | {"name": "other"}),
        ("GET", "/api/collections/films", None),
        ("PUT", "/api/collections/films", {"schema": {"type": "object"}}),
        ("PATCH", "/api/collections/films", {"rules": {}}),
        ("DELETE", "/api/collections/films?confirm=films", None),
    ],
)
@pytest.mark.parametrize(("who", "status"), [(None, 401), ("ann", 403)])
async def test_definitions_require_admin_role(
    client: httpx.AsyncClient,
    films: str,
    as_user: Any,
    admin: dict[str, str],
    who: str | None,
    status: int,
    method: str,
    path: str,
    body: Any,
) -> None:
    before = (await client.get("/api/collections", headers=admin)).json()
    answer = await client.request(method, path, json=body, headers=as_user(who))
    assert answer.status_code == status
    assert (await client.get("/api/collections", headers=admin)).json() == before


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_changed_definition_applies_at_once(
    client: httpx.AsyncClient, films: str, admin: dict[str, str], ann: dict[str, str], method: str
) -> None:
    schema = {**FILMS["schema"], "required": ["title", "year"]}
    body = {"schema": schema} if method == "PATCH" else {**FILMS, "schema": schema}
    answer = await client.request(method, "/api/collections/films", json=body, headers=admin)
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'
    assert answer.json()["data"]["schema"] == schema
    assert answer.json()["data"]["rules"] == FILMS["rules"]
    refused = await client.post("/api/films", json={"title": "Alien"}, headers=ann)
    assert refused.json()["errors"][0]["pointer"] == "/year"


async def test_definition_can_be_read_edited_and_replaced(
    client: httpx.AsyncClient, films: str, admin: dict[str, str]
) -> None:
    read = await client.get("/api/collections/films", headers=admin)
    body = read.json()["data"] | {"rules": {"read": "user"}}
    condition = {"If-Match": read.headers["etag"]}
    assert (
        await client.put("/api/collections/films", json=body, headers=admin | condition)
    ).status_code == 200
    stale = await client.put("/api/collections/films", json=body, headers=admin | condition)
    assert stale.status_code == 400  # the body repeats an outdated _version
    body.pop("_version")
    stale = await client.put("/api/collections/films", json=body, headers=admin | condition)
    assert (stale.status_code, stale.json()["_version"]) == (412, 2)
    assert (await client.get("/api/films")).status_code == 401


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"name": "Films"}, "/name"),
    ({"name": "1films"}, "/name"),
    ({"name": "_films"}, "/name"),
    ({"name": "system.profile"}, "/name"),
    ({"name": "a" * 64}, "/name"),
    ({"name": "users"}, "/name"),
    ({"name": "collections"}, "/name"),
    ({"name": {"$gt": ""}}, "/name"),
    ({"name": None}, "/name"),
    ({"schema": None}, "/schema"),
    ({"schema": []}, "/schema"),
    ({"schema": {"type": "string"}}, "/schema/type"),
    ({"schema": {"type": "object", "properties": {"a": {"type": "strin"}}}}, "/schema/properties/a/type"),
    ({"rules": {"reed": "anyone"}}, "/rules/reed"),
    ({"rules": {"read": "everyone"}}, "/rules/read"),
    ({"rules": []}, "/rules"),
    ({"indexes": {}}, "/indexes"),
    ({"indexes": [{"fields": ["titel"]}]}, "/indexes/0/fields"),
    ({"indexes": [{"fields": []}]}, "/indexes/0/fields"),
    ({"indexes": [{"fields": ["title"], "text": ["title"]}]}, "/indexes/0"),
    ({"indexes": [{"fields": ["title"], "unique": "yes"}]}, "/indexes/0/unique"),
    ({"indexes": [{"fields": ["title"], "ttl_s": 60}]}, "/indexes/0/ttl_s"),
    ({"indexes": [{"fields": ["title"], "where": {"nope": 1}}]}, "/indexes/0/where"),
    ({"indexes": [{"fields": ["title"]}] * 33}, "/indexes"),
    ({"indexes": [{"fields": ["title"]}] * 2}, "/indexes"),
    ({"options": {"id_type": "serial"}}, "/options/id_type"),
    ({"options": {"colour": 1}}, "/options/colour"),
    ({"scheme": {}}, "/scheme"),
]


@pytest.mark.parametrize(("change", "pointer"), INVALID, ids=lambda value: str(value)[:60])
async def test_invalid_definition_returns_400_and_creates_nothing(
    client: httpx.AsyncClient, admin: dict[str, str], change: dict[str, Any], pointer: str
) -> None:
    answer = await client.post("/api/collections", json=FILMS | change, headers=admin)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (400, "definition.invalid"), problem
    assert pointer in [error["pointer"] for error in problem["errors"]], problem
    listed = (await client.get("/api/collections", headers=admin)).json()["data"]
    assert [each["name"] for each in listed] == ["products"]


async def test_invalid_definition_reports_all_errors(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    body = FILMS | {"rules": {"read": "x"}, "indexes": [{"fields": ["y"]}], "options": {"z": 1}}
    problem = (await client.post("/api/collections", json=body, headers=admin)).json()
    pointers = {error["pointer"] for error in problem["errors"]}
    assert pointers == {"/rules/read", "/indexes/0/fields", "/options/z"}


@pytest.mark.parametrize("name", ["films", "products"])
async def test_collection_with_existing_name_returns_409(
    client: httpx.AsyncClient, films: str, admin: dict[str, str], name: str
) -> None:
    answer = await client.post("/api/collections", json=FILMS | {"name": name}, headers=admin)
    assert (answer.status_code, answer.json()["code"]) == (409, "collection.exists")


async def test_code_first_definition_cannot_be_changed_over_http(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    for method, body in (("PUT", FILMS), ("PATCH", {"rules": {}}), ("DELETE", None)):
        answer = await client.request(method, "/api/collections/products", json=body, headers=admin)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD"), method


async def test_delete_collection_requires_confirm_parameter(
    client: httpx.AsyncClient, films: str, admin: dict[str, str], ann: dict[str, str]
) -> None:
    for title in ("Alien", "Brazil"):
        await client.post("/api/films", json={"title": title}, headers=ann)
    for suffix in ("", "?confirm=film", "?confirm="):
        refused = await client.delete(f"/api/collections/films{suffix}", headers=admin)
        assert refused.status_code == 400
        assert refused.json()["detail"] == "Deleting `films` deletes its 2 documents"
        assert len((await client.get("/api/films")).json()["data"]) == 2
    deleted = await client.delete("/api/collections/films?confirm=films", headers=admin)
    assert deleted.status_code == 200
    assert deleted.json() == {"data": {"name": "films", "documents_deleted": 2}}
    assert (await client.get("/api/films")).status_code == 404
    assert (await client.get("/api/collections/films", headers=admin)).status_code == 404


async def test_recreated_collection_is_empty(
    client: httpx.AsyncClient, films: str, admin: dict[str, str], ann: dict[str, str]
) -> None:
    await client.post("/api/films", json={"title": "Alien"}, headers=ann)
    await client.delete("/api/collections/films?confirm=films", headers=admin)
    assert (await client.post("/api/collections", json=FILMS, headers=admin)).status_code == 201
    assert (await client.get("/api/films")).json()["data"] == []


# --- what indexes do


async def test_duplicate_of_unique_value_returns_409(
    client: httpx.AsyncClient, films: str, ann: dict[str, str]
) -> None:
    first = (await client.post("/api/films", json={"title": "Alien"}, headers=ann)).json()["data"]
    second = (await client.post("/api/films", json={"title": "Brazil"}, headers=ann)).json()["data"]
    answers = (
        await client.post("/api/films", json={"title": "Alien"}, headers=ann),
        await client.put(f"/api/films/{second['id']}", json={"title": "Alien"}, headers=ann),
        await client.patch(f"/api/films/{second['id']}", json={"title": "Alien"}, headers=ann),
    )
    for answer in answers:
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (409, "document.duplicate")
        assert problem["detail"] == "Another document has the same `title`"
        assert problem["errors"] == [{"pointer": "/title", "code": "unique", "detail": "the value is taken"}]
    assert (await client.get("/api/films")).json()["data"] == [first, second]


async def test_unique_index_on_repeated_values_is_refused_and_keeps_old_indexes(
    client: httpx.AsyncClient, films: str, admin: dict[str, str], ann: dict[str, str]
) -> None:
    for title in ("Alien", "Brazil"):
        await client.post("/api/films", json={"title": title, "year": 1979}, headers=ann)
    before = (await client.get("/api/collections/films", headers=admin)).json()
    indexes = [{"fields": ["-year", "title"]}, {"fields": ["year"], "unique": True}]
    answer = await client.patch("/api/collections/films", json={"indexes": indexes}, headers=admin)
    assert answer.status_code == 409
    assert answer.json()["errors"][0]["pointer"] == "/indexes/1"
    assert (await client.get("/api/collections/films", headers=admin)).json() == before
    taken = await client.post("/api/films", json={"title": "Alien"}, headers=ann)
    assert taken.status_code == 409  # the old unique index still holds


async def test_unique_index_can_become_partial(
    client: httpx.AsyncClient, films: str, admin: dict[str, str], ann: dict[str, str]
) -> None:
    indexes = [{"fields": ["title"], "unique": True, "where": {"year": {"gte": 2000}}}]
    answer = await client.patch("/api/collections/films", json={"indexes": indexes}, headers=admin)
    assert answer.status_code == 200, answer.text
    for year, status in ((1979, 201), (1980, 201), (2000, 201), (2001, 409)):
        body = {"title": "Alien", "year": year}
        assert (await client.post("/api/films", json=body, headers=ann)).status_code == status


async def test_every_kind_of_index_can_be_built(
    client: httpx.AsyncClient, admin: dict[str, str], app: Any
) -> None:
    indexes: list[dict[str, Any]] = [
        {"fields": ["name", "-ends_at"], "sparse": True},
        {"text": ["name"]},
        {"geo": "location"},
        {"fields": ["ends_at"], "ttl_s": 3600},
    ]
    body = {
        "name": "places",
        "schema": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "location": {"type": "object"},
                "ends_at": {"type": "string", "format": "date-time"},
            },
        },
        "indexes": indexes,
    }
    answer = await client.post("/api/collections", json=body, headers=admin)
    assert answer.status_code == 201, answer.text
    built = await services_of(app).registry.database.motor["places"].index_information()
    assert {tuple(map(tuple, index["key"])) for index in built.values()} == {
        (("_id", 1),),
        (("name", 1), ("ends_at", -1)),
        (("_fts", "text"), ("_ftsx", 1)),
        (("location", "2dsphere"),),
        (("ends_at", 1),),
    }
    changed = [*indexes[:-1], {"fields": ["ends_at"], "ttl_s": 60}]
    answer = await client.patch("/api/collections/places", json={"indexes": changed}, headers=admin)
    assert answer.status_code == 200, answer.text
    built = await services_of(app).registry.database.motor["places"].index_information()
    assert [index["expireAfterSeconds"] for index in built.values() if "expireAfterSeconds" in index] == [60]


# --- closed by default


@pytest.mark.parametrize(
    ("method", "suffix"),
    [("GET", ""), ("POST", ""), ("GET", "/{id}"), ("PUT", "/{id}"), ("PATCH", "/{id}"), ("DELETE", "/{id}")],
)
async def test_collection_without_rules_is_closed_to_all_but_admins(
    client: httpx.AsyncClient, admin: dict[str, str], ann: dict[str, str], method: str, suffix: str
) -> None:
    body = {member: part for member, part in FILMS.items() if member != "rules"}
    assert (await client.post("/api/collections", json=body, headers=admin)).status_code == 201
    alien = (await client.post("/api/films", json={"title": "Alien"}, headers=admin)).json()["data"]
    path = "/api/films" + suffix.format(id=alien["id"])
    content = {"title": "Brazil"} if method in {"POST", "PUT", "PATCH"} else None
    assert (await client.request(method, path, json=content)).status_code == 401
    assert (await client.request(method, path, json=content, headers=ann)).status_code == 403
    assert (await client.get("/api/films", headers=admin)).json()["data"] == [alien]


@pytest.mark.parametrize(
    "path",
    [
        "/api/_users",
        "/api/_collections",
        "/api/system.profile",
        "/api/users%00x",
        "/api/%5Fusers",
        "/api/films%2F..%2F_users",
        "/api/..%2F_users",
        "/api/$cmd",
        "/api/FILMS",
    ],
)
async def test_system_collections_are_not_reachable(
    client: httpx.AsyncClient, films: str, admin: dict[str, str], path: str
) -> None:
    for method in ("GET", "POST"):
        answer = await client.request(method, path, json={"a": 1}, headers=admin)
        assert answer.status_code in {400, 404, 405}, (method, answer.text)
        assert "email" not in answer.text
