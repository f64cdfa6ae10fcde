"""Attacks through bodies and paths: each is refused, and what the database holds is as it was."""

from typing import Any

import pytest

from tests.attacks.conftest import AttackedService, Place
from tests.pace import within

LONG_S = 2.0
LOGIN, REGISTER = "/api/auth/login", "/api/auth/register"
INVALID, NOT_FOUND = "document.invalid", "collection.not_found"
MANY = ",".join(f'"{number:x}":1' for number in range(60_000))
LONG_NAME = "n" * 100_000
SIGN_UP = {"email": "eve@example.com", "password": "correct horse"}

Row = tuple[str, str, str | None, Any, int, str]


def row(name: str, method: str, path: str, who: str | None, body: Any, status: int, code: str) -> Any:
    return pytest.param((method, path, who, body, status, code), id=name)


IDENTITY = [
    row(name, "POST", path, None, body, status, code)
    for name, path, body, status, code in (
        ("A1-operators", LOGIN, {"email": {"$gt": ""}, "password": {"$gt": ""}}, 400, INVALID),
        ("A1-lists", LOGIN, {"email": ["a@x.io"], "password": [""]}, 400, INVALID),
        ("A1-nulls", LOGIN, {"email": None, "password": None}, 400, INVALID),
        ("A1-regex", LOGIN, {"email": {"$regex": "."}, "password": "x"}, 400, INVALID),
        ("A1-register", REGISTER, {"email": {"$ne": 1}, "password": "long enough"}, 400, INVALID),
        ("A5-roles", REGISTER, SIGN_UP | {"roles": ["admin"]}, 400, INVALID),
        ("A5-system-fields", REGISTER, SIGN_UP | {"_version": 9, "_owner": "1"}, 400, INVALID),
        ("A37-id", REGISTER, SIGN_UP | {"id": "0" * 24}, 400, INVALID),
        ("A37-stored-id", REGISTER, SIGN_UP | {"_id": "admin"}, 400, INVALID),
        ("A14-duplicates", LOGIN, b'{%b,"e0":1}' % MANY.encode(), 400, "json.invalid"),
        ("A14-many-members", LOGIN, b"{%b}" % MANY.encode(), 400, INVALID),
        ("A14-deep", LOGIN, b"[" * 1_000_000, 400, "json.invalid"),
        ("A14-large", LOGIN, b'"%b"' % (b"x" * 64_000_000), 413, "body.too_large"),
        ("A40-class", REGISTER, SIGN_UP | {"__class__": {"__init__": {}}}, 400, INVALID),
    )
]  # fmt: skip

DOCUMENTS = [
    row(name, method, path, "ann", body, 400, code)
    for name, body, code in (
        ("A4-operator", {"name": "Cup", "price": 1, "$set": {"price": 0}}, INVALID),
        ("A4-operator-below", {"name": "Cup", "price": 1, "a": {"$set": {"x": 1}}}, INVALID),
        ("A4-operator-in-list", {"name": "Cup", "price": 1, "a": [[{"$where": 1}]]}, INVALID),
        ("A4-dot", {"name": "Cup", "price": 1, "b.c": 1}, INVALID),
        ("A4-nul", {"name": "Cup", "price": 1, "d\0": 1}, INVALID),
        ("A4-empty", {"name": "Cup", "price": 1, "": 1}, INVALID),
        ("A4-long-name", {"name": "Cup", "price": 1, "n" * 256: 1}, INVALID),
        ("A5-version", {"name": "Cup", "price": 1, "_version": 9}, "field.not_writable"),
        ("A5-owner", {"name": "Cup", "price": 1, "_owner": None}, "field.not_writable"),
        ("A5-id", {"name": "Cup", "price": 1, "id": "0" * 24}, "field.not_writable"),
        ("A5-stored-id", {"name": "Cup", "price": 1, "_id": "0" * 24}, INVALID),
        ("A14-infinite", b'{"name": "Cup", "price": 1e400}', "json.invalid"),
        ("A14-nan", b'{"name": "Cup", "price": NaN}', "json.invalid"),
        ("A14-duplicate", b'{"name": "Cup", "price": 1, "\\u0070rice": 2}', "json.invalid"),
        ("A14-digits", b'{"name": "Cup", "price": %b}' % (b"9" * 10_000), "json.invalid"),
        ("A14-beyond-64-bits", {"name": "Cup", "price": 1, "tags": [2**64]}, INVALID),
        ("A14-levels", b'{"a":%b1%b}' % (b"[" * 100, b"]" * 100), "json.invalid"),
        ("A14-half-a-character", b'{"name": "\\ud800", "price": 1}', "json.invalid"),
        ("A14-over-long-utf-8", b'{"name": "\xc0\xaf", "price": 1}', "json.invalid"),
        ("A40-class", {"name": "Cup", "price": 1, "__class__": {"__init__": {}}}, INVALID),
        ("A40-prototype", {"name": "Cup", "price": 1, "__proto__": {"x": 1}}, INVALID),
    )
    for method, path in (("POST", "{place}"), ("PUT", "{mug}"), ("PATCH", "{mug}"))
]

FREE = [
    row("A4-names-under-a-long-name", "POST", "/api/free", "ann",
        b'{"%b":{%b}}' % (LONG_NAME.encode(), MANY.replace('"', '"$', 1).encode()), 400, INVALID),
    row("A4-many-illegal-names", "POST", "/api/free", "ann",
        b"{%b}" % MANY.replace(',"', ',"$').encode(), 400, INVALID),
    row("A4-reference", "POST", "/api/free", "ann", {"a": {"$ref": "_users", "$id": 1}}, 400, INVALID),
    row("A4-extended-json", "POST", "/api/free", "ann", {"a": {"$oid": "0" * 24}}, 400, INVALID),
    row("A4-stored-id-below", "POST", "/api/free", "ann", {"a": {"_id": 1}}, 400, INVALID),
]  # fmt: skip

PATHS = [
    row(f"A36-{path}", "GET", f"/api/{path}", "admin", None, 404, NOT_FOUND)
    for path in ("_users", "%5Fusers", "%255Fusers", "_collections", "_rate_limits", "system.profile",
                 "users%00x", "products%00", "%2e%2e", "..%2f_users", "$cmd", "PRODUCTS",
                 "products;x=1")
] + [
    row("A36-encoded-slashes", "GET", "/api/products%2F..%2F_users", "admin", None, 404, "route.not_found"),
    row("A36-parent", "GET", "/api/products/%2e%2e", "admin", None, 400, "id.invalid"),
    row("A36-write", "POST", "/api/_users", "admin", {"email": "eve@example.com"}, 404, NOT_FOUND),
    row("A36-delete", "DELETE", f"/api/_users/{'0' * 24}", "admin", None, 404, NOT_FOUND),
    row("A36-long-id", "GET", "/api/products/" + "a" * 10_000, "admin", None, 400, "id.invalid"),
    row("A36-nul-in-an-id", "GET", "/api/products/%00", "admin", None, 400, "id.invalid"),
]  # fmt: skip


async def attack(attacked: AttackedService, attempt: Row, place: Place | None = None) -> None:
    method, path, who, body, status, code = attempt
    if place is not None:
        path = path.replace("{place}", place.path).replace("{mug}", f"{place.path}/{place.mug['id']}")
    content = {"content": body} if isinstance(body, bytes) else {} if body is None else {"json": body}
    headers = attacked.people[who] | ({} if body is None else {"Content-Type": "application/json"})
    before = attacked.stored()
    with within(LONG_S):
        answer = await attacked.client.request(method, path, headers=headers, **content)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text[:500]
    assert len(answer.content) < 50_000
    assert attacked.stored() == before


@pytest.mark.parametrize("attempt", IDENTITY)
async def test_hostile_identity_request_is_refused_and_creates_no_account(
    attacked: AttackedService, attempt: Row
) -> None:
    await attack(attacked, attempt)


@pytest.mark.parametrize("attempt", DOCUMENTS)
async def test_hostile_document_is_refused_and_not_stored(
    attacked: AttackedService, place: Place, attempt: Row
) -> None:
    await attack(attacked, attempt, place)


@pytest.mark.parametrize("attempt", FREE)
async def test_hostile_document_for_free_form_collection_is_refused(
    attacked: AttackedService, attempt: Row
) -> None:
    await attack(attacked, attempt)


@pytest.mark.parametrize("attempt", PATHS)
async def test_hostile_path_is_refused(attacked: AttackedService, attempt: Row) -> None:
    await attack(attacked, attempt)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"constructor": {"prototype": {"x": 1}}, "toString": 1}, id="A40-words-of-javascript"),
        pytest.param({"a": {"items": 1, "keys": [], "pop": None}}, id="A40-words-of-python"),
        pytest.param({"a": "\0", "b": -0.0, "c": 2**63 - 1, "d": 1e308}, id="A14-values-at-the-border"),
    ],
)
async def test_unusual_member_names_and_extreme_values_round_trip(
    attacked: AttackedService, body: dict[str, Any]
) -> None:
    ann = attacked.people["ann"]
    created = (await attacked.client.post("/api/free", json=body, headers=ann)).json()["data"]
    path = f"/api/free/{created['id']}"
    read = (await attacked.client.get(path)).json()["data"]
    await attacked.client.delete(path, headers=ann)
    assert {name: read[name] for name in body} == body


async def test_a14_document_with_100_levels_can_be_read_sorted_and_replaced(
    attacked: AttackedService,
) -> None:
    ann = attacked.people["ann"]
    deep = b'{"a":%b1%b}' % (b'{"a":' * 99, b"}" * 99)
    headers = ann | {"Content-Type": "application/json"}
    created = await attacked.client.post("/api/free", content=deep, headers=headers)
    path = created.headers["location"]
    sorted_by_it = await attacked.client.get("/api/free?sort=-a")
    back = await attacked.client.put(
        path, content=(await attacked.client.get(path)).content[8:-1], headers=headers
    )
    await attacked.client.delete(path, headers=ann)
    assert (created.status_code, sorted_by_it.status_code, back.status_code) == (201, 200, 200)
    assert back.json()["data"]["a"] == created.json()["data"]["a"]
