"""One document's life over HTTP, the same for code-first and runtime collections."""

import asyncio
import re
from typing import Any

import httpx
import pytest

KEEPS_DEFINITIONS = True

MUG: dict[str, Any] = {"name": "Mug", "price": 9.5, "category": "kitchen", "tags": ["blue"]}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
async def mug(client: httpx.AsyncClient, goods: str, ann: dict[str, str]) -> dict[str, Any]:
    """Ann's mug, as it was created."""
    answer = await client.post(goods, json=MUG, headers=ann)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()["data"]
    return created


async def test_create_returns_document_with_system_fields(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    answer = await client.post(goods, json=MUG, headers=ann)
    created = answer.json()["data"]
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{goods}/{created['id']}"
    assert answer.headers["etag"] == '"1"'
    assert {name: created[name] for name in MUG} == MUG
    assert created["_version"] == 1
    assert created["_owner"] is not None
    assert created["_created_at"] == created["_updated_at"]
    assert MOMENT.fullmatch(created["_created_at"])
    assert re.fullmatch(r"[0-9a-f]{24}", created["id"])


async def test_created_document_can_be_read(
    client: httpx.AsyncClient, goods: str, mug: dict[str, Any]
) -> None:
    answer = await client.get(f"{goods}/{mug['id']}")
    assert answer.status_code == 200
    assert answer.json() == {"data": mug}
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["content-type"] == "application/json"


async def test_create_applies_defaults(client: httpx.AsyncClient, goods: str, ann: dict[str, str]) -> None:
    created = (await client.post(goods, json={"name": "Mug", "price": 1}, headers=ann)).json()["data"]
    assert created["tags"] == []
    assert created["description"] is None


async def test_head_returns_headers_of_get_without_body(
    client: httpx.AsyncClient, goods: str, mug: dict[str, Any]
) -> None:
    path = f"{goods}/{mug['id']}"
    asked, read = await client.head(path), await client.get(path)
    assert (asked.status_code, asked.content) == (200, b"")
    for name in ("etag", "content-type", "content-length"):
        assert asked.headers[name] == read.headers[name]


async def test_put_replaces_whole_document(
    client: httpx.AsyncClient, goods: str, mug: dict[str, Any], ann: dict[str, str]
) -> None:
    answer = await client.put(f"{goods}/{mug['id']}", json={"name": "Cup", "price": 3}, headers=ann)
    replaced = answer.json()["data"]
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'
    assert "category" not in replaced
    assert (replaced["name"], replaced["price"], replaced["_version"]) == ("Cup", 3, 2)
    for name in ("id", "_created_at", "_owner"):
        assert replaced[name] == mug[name]
    assert (await client.get(f"{goods}/{mug['id']}")).json() == {"data": replaced}


async def test_document_can_be_read_edited_and_put_back(
    client: httpx.AsyncClient, goods: str, mug: dict[str, Any], ann: dict[str, str]
) -> None:
    answer = await client.put(f"{goods}/{mug['id']}", json=mug | {"price": 10}, headers=ann)
    assert answer.status_code == 200
    assert answer.json()["data"] == mug | {
        "price": 10,
        "_version": 2,
        "_updated_at": answer.json()["data"]["_updated_at"],
    }


@pytest.mark.parametrize("media_type", ["application/merge-patch+json", "application/json"])
async def test_merge_patch_changes_only_named_fields(
    client: httpx.AsyncClient, goods: str, mug: dict[str, Any], ann: dict[str, str], media_type: str
) -> None:
    answer = await client.patch(
        f"{goods}/{mug['id']}",
        content=b'{"price": 11, "category": null}',
        headers={**ann, "Content-Type": media_type},
    )
    patched = answer.json()["data"]
    assert answer.status_code == 200
    assert (patched["price"], patched["name"], patched["_version"]) == (11, "Mug", 2)
    assert "category" not in patched
    assert (await client.get(f"{goods}/{mug['id']}")).json() == {"data": patched}


async def test_deleted_document_returns_404(
    client: httpx.AsyncClient, goods: str, mug: dict[str, Any], ann: dict[str, str]
) -> None:
    path = f"{goods}/{mug['id']}"
    deleted = await client.delete(path, headers=ann)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (await client.get(path)).status_code == 404
    assert (await client.delete(path, headers=ann)).status_code == 404


async def test_concurrent_patches_of_different_fields_are_all_applied(
    client: httpx.AsyncClient, goods: str, mug: dict[str, Any], ann: dict[str, str]
) -> None:
    path = f"{goods}/{mug['id']}"
    patches = [{"price": 1}, {"category": "x"}, {"description": "y"}, {"name": "z"}]
    answers = await asyncio.gather(*(client.patch(path, json=patch, headers=ann) for patch in patches))
    assert [answer.status_code for answer in answers] == [200] * 4
    now = (await client.get(path)).json()["data"]
    assert (now["price"], now["category"], now["description"], now["name"]) == (1, "x", "y", "z")
    assert now["_version"] == 5


# --- conditions


async def test_get_with_matching_if_none_match_returns_304(
    client: httpx.AsyncClient, goods: str, mug: dict[str, Any]
) -> None:
    path = f"{goods}/{mug['id']}"
    for condition in ('"1"', 'W/"1"', '"7", "1"', "*"):
        answer = await client.get(path, headers={"If-None-Match": condition})
        assert (answer.status_code, answer.content) == (304, b""), condition
        assert answer.headers["etag"] == '"1"'
    assert (await client.get(path, headers={"If-None-Match": '"2"'})).status_code == 200


async def test_list_with_matching_if_none_match_returns_304_until_changed(
    client: httpx.AsyncClient, goods: str, mug: dict[str, Any], ann: dict[str, str]
) -> None:
    entity_tag = (await client.get(goods)).headers["etag"]
    assert entity_tag.startswith('W/"')
    assert (await client.get(goods, headers={"If-None-Match": entity_tag})).status_code == 304
    await client.patch(f"{goods}/{mug['id']}", json={"price": 1}, headers=ann)
    assert (await client.get(goods, headers={"If-None-Match": entity_tag})).status_code == 200


@pytest.mark.parametrize(
    ("condition", "status"),
    [('"1"', 200), ("*", 200), ('"9", "1"', 200), ('"2"', 412), ('W/"1"', 412), ('"x"', 412), ("1", 400)],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_if_match_applies_to_put_patch_and_delete(
    client: httpx.AsyncClient,
    goods: str,
    mug: dict[str, Any],
    ann: dict[str, str],
    method: str,
    condition: str,
    status: int,
) -> None:
    path = f"{goods}/{mug['id']}"
    body = None if method == "DELETE" else {"name": "Cup", "price": 3}
    answer = await client.request(method, path, json=body, headers={**ann, "If-Match": condition})
    if status == 200:
        assert answer.status_code == (204 if method == "DELETE" else 200)
        return
    assert answer.status_code == status
    if status == 412:
        assert (answer.json()["code"], answer.json()["_version"]) == ("document.stale", 1)
    assert (await client.get(path)).json() == {"data": mug}


# --- refusals: each leaves everything as it was


INVALID: list[tuple[Any, list[tuple[str, str]]]] = [
    ([], [("", "length")]),
    ("mug", [("", "type")]),
    ({}, [("/name", "required"), ("/price", "required")]),
    ({"name": "", "price": -1}, [("/name", "min_length"), ("/price", "minimum")]),
    ({"name": "x" * 201, "price": 1_000_000}, [("/name", "max_length"), ("/price", "maximum")]),
    ({"name": "Mug", "price": "9"}, [("/price", "type")]),
    ({"name": "Mug", "price": 1, "tags": ["", 3]}, [("/tags/0", "min_length"), ("/tags/1", "type")]),
    ({"name": "Mug", "price": 1, "colour": "x"}, [("/colour", "additional_properties")]),
    ({"name": "Mug", "price": 1, "$set": 1}, [("/$set", "name")]),
    ({"name": "Mug", "price": 1, "a.b": 1}, [("/a.b", "name")]),
    ({"name": "Mug", "price": 1, "_x": 1}, [("/_x", "name")]),
    ({"name": "Mug", "price": 1, "a": [{"b": {"$where": "1"}}]}, [("/a/0/b/$where", "name")]),
    ({"name": "Mug", "price": 1, "a\u0000": 1}, [("/a\u0000", "name")]),
    ({"name": "Mug", "price": 1, "__class__": {"__init__": {}}}, [("/__class__", "name")]),
]


@pytest.mark.parametrize(("body", "errors"), INVALID)
async def test_create_with_invalid_document_reports_all_violations(
    client: httpx.AsyncClient,
    goods: str,
    ann: dict[str, str],
    body: Any,
    errors: list[tuple[str, str]],
) -> None:
    answer = await client.post(goods, json=body, headers=ann)
    problem = answer.json()
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["code"] == "document.invalid"
    found = {(error["pointer"], error["code"]) for error in problem["errors"]}
    assert set(errors) <= found
    if errors[0][1] != "name":
        assert found == set(errors)
    assert (await client.get(goods)).json()["data"] == []


@pytest.mark.parametrize(("body", "errors"), [row for row in INVALID if isinstance(row[0], dict)])
async def test_update_with_invalid_result_changes_nothing(
    client: httpx.AsyncClient,
    goods: str,
    mug: dict[str, Any],
    ann: dict[str, str],
    body: dict[str, Any],
    errors: list[tuple[str, str]],
) -> None:
    path = f"{goods}/{mug['id']}"
    assert (await client.put(path, json=body, headers=ann)).status_code == 400
    if body:
        assert (await client.patch(path, json=body, headers=ann)).status_code == 400
    assert (await client.get(path)).json() == {"data": mug}


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "0" * 24},
        {"_version": 9},
        {"_created_at": "2020-01-01T00:00:00.000Z"},
        {"_owner": "somebody"},
        {"_owner": None},
        {"_updated_at": None},
    ],
)
async def test_system_fields_are_not_writable(
    client: httpx.AsyncClient,
    goods: str,
    mug: dict[str, Any],
    ann: dict[str, str],
    fields: dict[str, Any],
) -> None:
    path, name = f"{goods}/{mug['id']}", next(iter(fields))
    attempts = (
        await client.post(goods, json=MUG | fields, headers=ann),
        await client.put(path, json=MUG | fields, headers=ann),
        await client.patch(path, json=fields, headers=ann),
    )
    for answer in attempts:
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (400, "field.not_writable")
        assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [
            (f"/{name}", "system_field")
        ]
    assert (await client.get(goods)).json()["data"] == [mug]


BAD_JSON: list[tuple[bytes, int]] = [
    (b"", 400),
    (b"{", 400),
    (b"{'name': 1}", 400),
    (b'{"name": "Mug", "price": NaN}', 400),
    (b'{"name": "Mug", "price": Infinity}', 400),
    (b'{"name": "Mug", "price": 1e400}', 400),
    (b'{"name": "Mug", "price": 1, "price": 2}', 400),
    (b'{"name": "Mug", "price": ' + b"9" * 10_000 + b"}", 400),
    (b'{"name": "Mug", "price": ' + b"9" * 400 + b"}", 400),
    (b'{"name": "\\ud800", "price": 1}', 400),
    (b'{"name": "\xff", "price": 1}', 400),
    (b"[" * 1_000_000, 400),
    (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, 400),
    (b'{"name": "' + b"x" * 2_000_000 + b'", "price": 1}', 413),
]


@pytest.mark.parametrize(("body", "status"), BAD_JSON, ids=lambda value: str(value)[:30])
async def test_create_with_invalid_json_is_refused(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str], body: bytes, status: int
) -> None:
    answer = await client.post(goods, content=body, headers={**ann, "Content-Type": "application/json"})
    assert answer.status_code == status
    assert answer.json()["code"] in {"json.invalid", "document.invalid", "body.too_large"}
    assert (await client.get(goods)).json()["data"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json-patch+json"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {},
    ],
)
async def test_create_with_unsupported_media_type_returns_415(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str], headers: dict[str, str]
) -> None:
    answer = await client.post(goods, content=b'{"name": "Mug", "price": 1}', headers=ann | headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "media_type.unsupported")


@pytest.mark.parametrize(
    ("method", "suffix", "status", "code"),
    [
        ("GET", "/0123456789abcdef01234567", 404, "document.not_found"),
        ("PUT", "/0123456789abcdef01234567", 404, "document.not_found"),
        ("PATCH", "/0123456789abcdef01234567", 404, "document.not_found"),
        ("DELETE", "/0123456789abcdef01234567", 404, "document.not_found"),
        ("GET", "/nonsense", 400, "id.invalid"),
        ("PUT", "/nonsense", 400, "id.invalid"),
        ("PATCH", "/nonsense", 400, "id.invalid"),
        ("DELETE", "/nonsense", 400, "id.invalid"),
        ("GET", "/0123456789abcdef01234567?lang=en", 400, "parameter.invalid"),
        ("POST", "/0123456789abcdef01234567", 405, "method.not_allowed"),
        ("GET", "/0123456789abcdef01234567/more", 404, "route.not_found"),
    ],
)
async def test_unknown_ids_parameters_methods_and_paths_return_problems(
    client: httpx.AsyncClient,
    goods: str,
    ann: dict[str, str],
    method: str,
    suffix: str,
    status: int,
    code: str,
) -> None:
    body = {"name": "Mug", "price": 1} if method in {"PUT", "PATCH", "POST"} else None
    answer = await client.request(method, goods + suffix, json=body, headers=ann)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["instance"] == (goods + suffix).partition("?")[0]
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


# --- rules


@pytest.mark.parametrize(
    ("who", "roles", "verb", "status"),
    [
        (None, (), "GET", 200),
        (None, (), "POST", 401),
        (None, (), "PATCH", 401),
        (None, (), "DELETE", 401),
        ("bob", (), "GET", 200),
        ("bob", (), "POST", 201),
        ("bob", (), "PATCH", 404),
        ("bob", (), "PUT", 404),
        ("bob", (), "DELETE", 404),
        ("bob", ("editor",), "PATCH", 200),
        ("bob", ("editor",), "DELETE", 204),
        ("bob", ("admin",), "PUT", 200),
        ("ann", (), "PUT", 200),
        ("ann", (), "DELETE", 204),
    ],
)
async def test_rules_decide_per_role_and_verb(
    client: httpx.AsyncClient,
    goods: str,
    mug: dict[str, Any],
    as_user: Any,
    who: str | None,
    roles: tuple[str, ...],
    verb: str,
    status: int,
) -> None:
    path = goods if verb == "POST" else f"{goods}/{mug['id']}"
    body = {"name": "Cup", "price": 3} if verb in {"POST", "PUT", "PATCH"} else None
    answer = await client.request(verb, path, json=body, headers=as_user(who, *roles))
    assert answer.status_code == status
    if status >= 400:
        assert (await client.get(goods)).json()["data"] == [mug]


async def test_sort_by_two_arrays_returns_400(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    arrays = {"type": "array", "items": {"type": "integer"}}
    body = {"name": "pairs", "schema": {"type": "object", "properties": {"a": arrays, "b": arrays}}}
    await client.post("/api/collections", json=body, headers=admin)
    assert (await client.get("/api/pairs?sort=a,b", headers=admin)).status_code == 200
    await client.post("/api/pairs", json={"a": [1, 2], "b": [3, 4]}, headers=admin)
    answer = await client.get("/api/pairs?sort=a,b", headers=admin)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "parallel_arrays")


async def test_link_header_leads_to_neighbouring_pages(
    client: httpx.AsyncClient, goods: str, admin: dict[str, str]
) -> None:
    for number in range(3):
        await client.post(goods, json={"name": f"Mug {number}", "price": number}, headers=admin)
    answer = await client.get(f"{goods}?limit=1&page=2&sort=-price")
    assert answer.headers["link"] == (
        f'<{goods}?limit=1&sort=-price&page=1>; rel="first", '
        f'<{goods}?limit=1&sort=-price&page=1>; rel="prev", '
        f'<{goods}?limit=1&sort=-price&page=3>; rel="next"'
    )
    for each in answer.links.values():
        assert (await client.get(each["url"])).status_code == 200
    assert "next" not in (await client.get(f"{goods}?limit=1&page=3")).links
    long = await client.get(goods, params={"filter[name][nin]": ",".join(["x" * 20] * 100)})
    assert (long.status_code, "link" in long.headers) == (200, False)


async def test_patch_exceeding_document_size_limit_returns_413(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    body = {"name": "logs", "schema": {"type": "object"}, "rules": {"read": "anyone"}}
    await client.post("/api/collections", json=body, headers=admin)
    created = (await client.post("/api/logs", json={"a": "x" * 700_000}, headers=admin)).json()["data"]
    path = f"/api/logs/{created['id']}"
    grown = await client.patch(path, json={"b": "x" * 700_000}, headers=admin)
    assert (grown.status_code, grown.json()["code"]) == (413, "body.too_large")
    assert (await client.get(path)).json()["data"] == created
    assert (await client.patch(path, json={"b": "x" * 100_000}, headers=admin)).status_code == 200
