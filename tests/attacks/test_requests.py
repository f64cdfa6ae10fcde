"""Attacks by method, header and cache: the answer depends on who asks, not on what else is sent."""

import asyncio
from typing import Any

import pytest

from service.kit.errors import StartupFailure
from service.runtime.settings import load
from tests.attacks.conftest import AttackedService, Place, made

READABLE = [
    "/api/health",
    "/api/health/live",
    "/api/health/ready",
    "/api/collections",
    "/api/collections/goods",
    "/api/products",
    "/api/goods",
    "/nowhere",
    "/api/products/nonsense",
]
CHANGING_BY_THE_CLOCK = {"date", "x-request-id"}


@pytest.mark.parametrize("path", READABLE)
async def test_head_returns_status_and_headers_of_get(attacked: AttackedService, path: str) -> None:
    admin = attacked.people["admin"] | {"Accept-Encoding": "identity"}
    read, asked = (
        await attacked.client.get(path, headers=admin),
        await attacked.client.head(path, headers=admin),
    )
    assert (asked.status_code, asked.content) == (read.status_code, b"")
    told = [
        {name: value for name, value in answer.headers.items() if name not in CHANGING_BY_THE_CLOCK}
        for answer in (asked, read)
    ]
    assert told[0] == told[1]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param({"X-HTTP-Method-Override": "DELETE"}, id="A17-override"),
        pytest.param({"X-HTTP-Method": "DELETE"}, id="A17-method"),
        pytest.param({"X-Method-Override": "DELETE"}, id="A17-method-override"),
        pytest.param({"X-Original-URL": "/api/collections"}, id="A17-original-url"),
        pytest.param({"X-Rewrite-URL": "/api/_users"}, id="A17-rewrite-url"),
        pytest.param({"X-User-Id": "1", "X-Role": "admin"}, id="A17-claimed-user"),
    ],
)
async def test_method_override_and_rewrite_headers_are_ignored(
    attacked: AttackedService, place: Place, sent: dict[str, str]
) -> None:
    ann = attacked.people["ann"]
    path = f"{place.path}/{place.mug['id']}"
    before = attacked.stored()
    assert (await attacked.client.get(path, headers=ann | sent)).json() == {"data": place.mug}
    answer = await attacked.client.post(path, json={"_method": "DELETE"}, headers=ann | sent)
    assert (answer.status_code, answer.json()["code"]) == (405, "method.not_allowed")
    assert (await attacked.client.get("/api/collections", headers=sent)).status_code == 401
    assert attacked.stored() == before


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "A" * 100])
async def test_a17_unknown_method_returns_405(attacked: AttackedService, place: Place, method: str) -> None:
    answer = await attacked.client.request(method, place.path)
    assert (answer.status_code, answer.json()["code"]) == (405, "method.not_allowed")
    assert "TRACE" not in answer.headers["allow"]


async def test_a42_responses_do_not_name_server_software(attacked: AttackedService) -> None:
    for path in [*READABLE, "/", "/docs", "/schema", "/api/openapi.json", "/metrics", "/api/profile"]:
        answer = await attacked.client.get(path)
        told = f"{answer.headers!r} {answer.text}".lower()
        for word in ("granian", "litestar", "uvicorn", "python", "mongo", "beanie", "sheaf/"):
            assert word not in told, path


async def test_a43_private_document_is_not_returned_to_other_callers(attacked: AttackedService) -> None:
    private = {"name": "private", "schema": {"type": "object"}, "rules": {"read": "owner", "create": "user"}}
    await made(attacked, "/api/collections", private, "admin")
    secret = await made(attacked, "/api/private", {"note": "Ann's"}, "ann")
    path = f"/api/private/{secret['id']}"

    async def asked(who: str | None, **headers: str) -> tuple[int, str]:
        answer = await attacked.client.get(path, headers=attacked.people[who] | headers)
        assert "authorization" in answer.headers["vary"].lower()
        assert answer.headers["cache-control"] in {"private, no-cache", "no-store"}
        return answer.status_code, answer.json().get("code", "")

    people: list[Any] = ["ann", "admin", "bob", None] * 25
    answers = await asyncio.gather(*map(asked, people))
    assert answers == [(200, ""), (200, ""), (404, "document.not_found"), (401, "auth.required")] * 25
    tag = {"If-None-Match": f'"{secret["_version"]}"'}
    assert await asked("bob", **tag) == (404, "document.not_found")
    assert await asked(None, **tag) == (401, "auth.required")
    listed = await attacked.client.get("/api/private", headers=attacked.people["admin"])
    seen = {"If-None-Match": listed.headers["etag"]}
    others = await attacked.client.get("/api/private", headers=attacked.people["bob"] | seen)
    assert (others.status_code, others.json()["data"]) == (200, [])


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_a46_foreign_origin_gets_no_cors_headers(
    attacked: AttackedService, place: Place, origin: str
) -> None:
    preflight = {"Origin": origin, "Access-Control-Request-Method": "DELETE"}
    for headers, method in ((preflight, "OPTIONS"), ({"Origin": origin}, "GET")):
        answer = await attacked.client.request(method, place.path, headers=headers)
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
    ],
)
@pytest.mark.parametrize("path", ["/api/auth/login", "/api/auth/register", "/api/products", "/api/goods"])
async def test_a46_form_media_type_returns_415(attacked: AttackedService, path: str, media_type: str) -> None:
    before = attacked.stored()
    body = b'{"email": "eve@example.com", "password": "correct horse", "name": "Cup", "price": 1}'
    headers = attacked.people["ann"] | {"Content-Type": media_type}
    answer = await attacked.client.post(path, content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "media_type.unsupported")
    assert attacked.stored() == before


@pytest.mark.parametrize(
    "condition", ["1", '"1', "W/", '"1" "2"', "*, *", '"\x01"', '"1",' * 3000 + "x", "W/1", '""x']
)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_write_with_invalid_if_match_returns_400(
    attacked: AttackedService, place: Place, method: str, condition: str
) -> None:
    before = attacked.stored()
    headers = attacked.people["ann"] | {"If-Match": condition}
    body = None if method == "DELETE" else {"name": "Cup", "price": 1}
    path = f"{place.path}/{place.mug['id']}"
    answer = await attacked.client.request(method, path, json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid")
    assert attacked.stored() == before


async def test_pagination_links_contain_no_host(attacked: AttackedService) -> None:
    answer = await attacked.client.get("http://sheaf.test//api//products//?limit=1")
    assert answer.headers["link"] == '</api/products?limit=1&page=1>; rel="first"'


async def test_document_of_anonymous_owner_cannot_be_changed(attacked: AttackedService) -> None:
    rules = {"read": "anyone", "create": "anyone", "update": "owner", "delete": "owner"}
    body = {"name": "walls", "schema": {"type": "object"}, "rules": rules}
    await made(attacked, "/api/collections", body, "admin")
    written = await made(attacked, "/api/walls", {"text": "hello"}, None)
    assert written["_owner"] is None
    path = f"/api/walls/{written['id']}"
    for method in ("PUT", "PATCH", "DELETE"):
        sent = None if method == "DELETE" else {"text": "bye"}
        assert (await attacked.client.request(method, path, json=sent)).status_code == 401
        answer = await attacked.client.request(method, path, json=sent, headers=attacked.people["ann"])
        assert answer.status_code == 404
    assert (await attacked.client.get(path)).json() == {"data": written}


@pytest.mark.parametrize(
    ("secret", "sentence"),
    [
        pytest.param(None, "SHEAF_JWT_SECRET must be set in production", id="A48-none"),
        pytest.param("", "SHEAF_JWT_SECRET must be set in production", id="A48-empty"),
        pytest.param("x" * 31, "SHEAF_JWT_SECRET is wrong: must have at least 32 bytes", id="A48-short"),
    ],
)
def test_production_does_not_start_with_missing_or_short_jwt_secret(
    monkeypatch: pytest.MonkeyPatch, secret: str | None, sentence: str
) -> None:
    monkeypatch.delenv("SHEAF_JWT_SECRET", raising=False)
    if secret is not None:
        monkeypatch.setenv("SHEAF_JWT_SECRET", secret)
    with pytest.raises(StartupFailure) as refused:
        load(_env_file=None, environment="production", mongodb_uri="mongodb://127.0.0.1:1/")
    assert str(refused.value).startswith(sentence)
