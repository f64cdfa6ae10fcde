"""Using API keys: within their scopes, never beyond their owner, no longer than either lasts."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from service.app import create_app
from service.http.guards import FOR_API_KEYS, IGNORES_TOKEN
from service.identity.api_keys.bearers import MAXIMUM_REMEMBERED, KeyBearers
from service.identity.core.revocations import BOUND_S, Revocations
from service.kit.errors import TokenInvalid
from tests.api_keys.conftest import KEYS, KeyClient, using
from tests.conftest import connect, settings_of
from tests.pace import within
from tests.scenarios.identity import INVALID_TOKEN, problem
from tests.services import services_of

MUG: dict[str, Any] = {"name": "Mug", "price": 9.5, "category": "kitchen"}
OPEN = {"read": "anyone", "write": "user"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(key_client: KeyClient) -> str:
    """Make the collections: of mugs, open to all who are signed in, and of notes that refer to mugs."""
    root = key_client.person("admin")
    queries = {"cheap": {"pipeline": [{"match": {"price": {"lt": 5}}}]}}
    notes = {"type": "object", "properties": {"mug": {"type": "string", "x-collection": "mugs"}}}
    for body in (
        {
            "name": "mugs",
            "schema": {"type": "object", "properties": {"price": {"type": "number"}}},
            "rules": OPEN,
        },
        {"name": "notes", "schema": notes, "rules": OPEN},
        {"name": "plans", "schema": {"type": "object"}, "rules": {"read": "role:editor", "write": "owner"}},
    ):
        body["queries"] = queries if body["name"] == "mugs" else {}
        answer = await key_client.client.post("/api/collections", json=body, headers=root.headers)
        assert answer.status_code == 201, answer.text
    made = await key_client.client.post("/api/mugs", json={"price": 1}, headers=root.headers)
    return str(made.json()["data"]["id"])


# --- who asks


async def test_key_has_the_present_rights_of_its_owner(key_client: KeyClient, shop: str) -> None:
    del shop
    ann = key_client.person()
    headers = await key_client.key(ann, "plans:*")
    made = await key_client.client.post("/api/plans", json={"a": 1}, headers=headers)
    assert made.status_code == 201
    stored = key_client.service.database["plans"].find_one({"a": 1})
    assert stored is not None
    assert stored["_owner"] == ann.id
    refused = await key_client.client.get("/api/plans", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "access.denied")
    root = key_client.person("admin")
    for roles, status in ((["editor"], 200), ([], 403)):
        change = {"roles": roles}
        await key_client.client.patch(f"/api/users/{ann.id}", json=change, headers=root.headers)
        assert (await key_client.client.get("/api/plans", headers=headers)).status_code == status
    await key_client.client.patch(f"/api/users/{ann.id}", json={"is_disabled": True}, headers=root.headers)
    assert (await key_client.client.get("/api/plans", headers=headers)).status_code == 401


async def test_malformed_key_is_refused_also_where_none_is_needed(key_client: KeyClient, shop: str) -> None:
    del shop
    made = await key_client.make(key_client.person(), "*:read")
    key = made["key"]
    other = (await key_client.make(key_client.person(), "*:read"))["key"]
    wrong = [
        "sheaf_",
        f"{key}x",
        key[:-1],
        key.swapcase(),
        key.replace(made["id"], "0" * 16),
        f"{key[:23]}{other[23:]}",
        f"{key} {key}",
        f"{key[:40]}{'0' if key[40] != '0' else '1'}{key[41:]}",
    ]
    for text in wrong:
        answer = await key_client.client.get("/api/mugs", headers={"Authorization": f"Bearer {text}"})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, INVALID_TOKEN)
        assert problem(answer)["code"] == "auth.token_invalid"
    for name in ("X-API-Key", "Api-Key"):
        assert (await key_client.client.post("/api/mugs", json={}, headers={name: key})).status_code == 401
    assert (await key_client.client.get("/api/mugs", headers=using(made))).status_code == 200
    live = await key_client.client.get("/api/health/live", headers={"Authorization": "Bearer sheaf_x"})
    assert live.status_code == 200


async def test_key_with_another_secret_is_refused(key_client: KeyClient) -> None:
    ann = key_client.person("admin")
    made = await key_client.make(ann, "*:*")
    await key_client.client.get("/api/products", headers=using(made))
    keys = key_client.service.database["_api_keys"]
    other = await key_client.make(ann, "*:read")
    keys.update_one({"_id": other["id"]}, {"$set": {"hash": "0" * 64}})
    assert (await key_client.client.get("/api/products", headers=using(other))).status_code == 401


async def test_key_expires_to_the_moment(key_client: KeyClient, shop: str) -> None:
    del shop
    made = await key_client.make(key_client.person(), "*:read", expires_in_s=3600)
    assert (await key_client.client.get("/api/mugs", headers=using(made))).status_code == 200
    keys = key_client.service.database["_api_keys"]
    other = await key_client.make(key_client.person(), "*:read", expires_in_s=3600)
    end = datetime.now(UTC) + timedelta(seconds=0.8)
    keys.update_one({"_id": other["id"]}, {"$set": {"expires_at": end}})
    statuses = set()
    while datetime.now(UTC) < end + timedelta(seconds=0.1):
        before = datetime.now(UTC) < end - timedelta(seconds=0.05)
        answer = await key_client.client.get("/api/mugs", headers=using(other))
        if before or datetime.now(UTC) > end:
            statuses.add((before, answer.status_code))
        await asyncio.sleep(0.02)
    assert (True, 200) in statuses
    assert statuses <= {(True, 200), (False, 401), (False, 200)}
    ended = await key_client.client.get("/api/mugs", headers=using(other))
    assert problem(ended)["detail"] in {"The API key has expired", "The API key is not valid"}


# --- scopes

ALL: dict[str, tuple[str, str, Any]] = {
    "list": ("GET", "/api/mugs", None),
    "query": ("POST", "/api/mugs/query", {}),
    "saved queries": ("GET", "/api/mugs/queries", None),
    "saved query": ("GET", "/api/mugs/queries/cheap", None),
    "get": ("GET", "/api/mugs/{id}", None),
    "head": ("HEAD", "/api/mugs/{id}", None),
    "create": ("POST", "/api/mugs", {"price": 2}),
    "create many": ("POST", "/api/mugs", [{"price": 2}]),
    "replace": ("PUT", "/api/mugs/{id}", {"price": 2}),
    "patch": ("PATCH", "/api/mugs/{id}", {"price": 2}),
    "delete": ("DELETE", "/api/mugs/{id}", None),
    "change many": ("PATCH", "/api/mugs?filter[price]=1&max_affected=9", {"price": 2}),
    "delete many": ("DELETE", "/api/mugs?filter[price]=1&max_affected=9", None),
    "batched create": ("POST", "/api/batch", [{"op": "create", "collection": "mugs", "document": {}}]),
    "batched patch": (
        "POST",
        "/api/batch",
        [{"op": "patch", "collection": "mugs", "id": "{id}", "patch": {}}],
    ),
    "batched delete": ("POST", "/api/batch", [{"op": "delete", "collection": "mugs", "id": "{id}"}]),
}
OF_LIST = {"list", "query", "saved queries", "saved query"}
OF_GET = {"get", "head"}
SCOPED: dict[tuple[str, ...], set[str]] = {
    ("notes:*", "collections:*", "audit:*"): set(),
    ("mug:*", "mugss:*", "*:watch"): set(),
    ("mugs:list",): OF_LIST,
    ("*:get",): OF_GET,
    ("mugs:read",): OF_LIST | OF_GET,
    ("mugs:create",): {"create", "create many", "batched create"},
}


async def ask(key_client: KeyClient, headers: dict[str, str], name: str, mug: str) -> int:
    method, path, body = ALL[name]
    if path == "/api/batch":
        operations = [
            {member: mug if value == "{id}" else value for member, value in operation.items()}
            for operation in body
        ]
        body = {"atomic": True, "operations": operations}
    answer = await key_client.client.request(method, path.replace("{id}", mug), json=body, headers=headers)
    return answer.status_code


@pytest.mark.parametrize("scopes", SCOPED, ids=str)
async def test_key_does_no_more_than_its_scopes_by_any_path(
    key_client: KeyClient, shop: str, scopes: tuple[str, ...]
) -> None:
    for person in (key_client.person(), key_client.person("admin")):
        headers = await key_client.key(person, *scopes)
        before = key_client.stored()
        refused = {name: await ask(key_client, headers, name, shop) for name in ALL.keys() - SCOPED[scopes]}
        assert set(refused.values()) == {403}, refused
        assert key_client.stored() == before
        for name in SCOPED[scopes]:
            assert await ask(key_client, headers, name, shop) in {200, 201}, name


async def test_refusal_names_the_missing_scope(key_client: KeyClient, shop: str) -> None:
    headers = await key_client.key(key_client.person(), "mugs:read")
    answer = await key_client.client.delete(f"/api/mugs/{shop}", headers=headers)
    assert problem(answer) == {
        "title": "You may not do this",
        "status": 403,
        "code": "access.denied",
        "detail": "The API key does not have the scope `mugs:delete`",
        "hint": "Make a key that has it.",
    }


async def test_references_are_expanded_within_the_scopes_only(key_client: KeyClient, shop: str) -> None:
    ann = key_client.person()
    note = await key_client.client.post("/api/notes", json={"mug": shop}, headers=ann.headers)
    path = f"/api/notes/{note.json()['data']['id']}?expand=mug"
    for scopes, status in ((("notes:read",), 403), (("notes:read", "mugs:get"), 200)):
        answer = await key_client.client.get(path, headers=await key_client.key(ann, *scopes))
        assert answer.status_code == status


async def test_contract_for_a_key_shows_what_its_scopes_allow(key_client: KeyClient, shop: str) -> None:
    del shop
    ann = key_client.person()
    seen = {}
    for scope in ("mugs:list", "notes:get"):
        contract = await key_client.client.get("/api/openapi.json", headers=await key_client.key(ann, scope))
        seen[scope] = {
            path for path in contract.json()["paths"] if path.startswith(("/api/mugs", "/api/notes"))
        }
    assert seen == {
        "mugs:list": {"/api/mugs", "/api/mugs/query", "/api/mugs/queries", "/api/mugs/queries/cheap"},
        "notes:get": {"/api/notes/{id}"},
    }


# --- what is not documents


async def test_endpoints_not_for_keys_refuse_them(key_client: KeyClient) -> None:
    headers = await key_client.key(key_client.person("admin"), "*:*")
    before = key_client.stored()
    statuses = {}
    for route in key_client.service.app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if handler.opt.get(IGNORES_TOKEN) or handler.opt.get(FOR_API_KEYS) is True:
                continue
            path = re.sub(r"\{\w+:\w+\}", "x", route.path)
            for method in handler.http_methods - {"OPTIONS"}:
                answer = await key_client.client.request(method, path, json={}, headers=headers)
                statuses[method, route.path] = answer.status_code
    assert len(statuses) > 20
    assert {asked: status for asked, status in statuses.items() if status != 403} == {}
    assert key_client.stored() == before


@pytest.mark.parametrize(
    ("role", "scope", "reading", "writing"),
    [
        ("admin", "collections:read", 200, 403),
        ("admin", "collections:write", 403, 400),
        ("admin", "collections:*", 200, 400),
        ("admin", "*:*", 403, 403),
        ("editor", "collections:*", 403, 403),
    ],
)
async def test_key_of_an_admin_with_the_scope_reads_definitions(
    key_client: KeyClient, role: str, scope: str, reading: int, writing: int
) -> None:
    headers = await key_client.key(key_client.person(role), scope)
    assert (await key_client.client.get("/api/collections", headers=headers)).status_code == reading
    answer = await key_client.client.post("/api/collections", json={"name": "Wrong"}, headers=headers)
    assert answer.status_code == writing


async def test_key_of_an_admin_with_the_scope_reads_the_audit_log(key_client: KeyClient) -> None:
    for role, scope, status in (
        ("admin", "audit:read", 200),
        ("admin", "*:*", 403),
        ("x", "audit:read", 403),
    ):
        headers = await key_client.key(key_client.person(role), scope)
        assert (await key_client.client.get("/api/audit", headers=headers)).status_code == status


async def test_two_keys_of_one_user_have_separate_idempotency_keys(key_client: KeyClient, shop: str) -> None:
    del shop
    ann = key_client.person()
    again = {"Idempotency-Key": "the-same-key"}
    callers = [ann.headers, await key_client.key(ann, "mugs:create"), await key_client.key(ann, "*:create")]
    ids = set()
    for _ in range(2):
        for headers in callers:
            made = await key_client.client.post("/api/mugs", json={"price": 3}, headers=headers | again)
            assert made.status_code == 201, made.text
            ids.add(made.json()["data"]["id"])
    assert len(ids) == 3


async def test_audit_names_the_key_that_acted(key_client: KeyClient) -> None:
    root = key_client.person("admin")
    made = await key_client.make(root, "collections:write")
    body = {"name": "by-key", "schema": {"type": "object"}}
    assert (
        await key_client.client.post("/api/collections", json=body, headers=using(made))
    ).status_code == 201
    event = key_client.service.database["_audit"].find_one({"target.id": "by-key"})
    assert event is not None
    assert event["actor"] == {"kind": "key", "id": root.id, "key_id": made["id"]}


# --- what it costs


@asynccontextmanager
async def profiled(key_client: KeyClient) -> AsyncIterator[list[str]]:
    """Provide a list that has, afterwards, the operation of each command on keys meanwhile."""
    database = key_client.service.database
    database.command("profile", 2)
    seen: list[str] = []
    try:
        yield seen
    finally:
        database.command("profile", 0)
        found = database["system.profile"].find({"ns": f"{database.name}._api_keys"})
        seen += [each["op"] for each in found]
        database["system.profile"].drop()


async def test_key_is_looked_up_once_and_its_use_written_once(key_client: KeyClient, shop: str) -> None:
    del shop
    made = await key_client.make(key_client.person(), "mugs:list")
    noted = {"ns": f"{key_client.service.database.name}._api_keys", "op": "update"}
    async with profiled(key_client) as seen:
        for _ in range(3):
            answers = await asyncio.gather(
                *(key_client.client.get("/api/mugs", headers=using(made)) for _ in range(20))
            )
            assert {answer.status_code for answer in answers} == {200}
        while not key_client.service.database["system.profile"].find_one(noted):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
    assert sorted(seen) == ["query", "update"]
    stored = key_client.service.database["_api_keys"].find_one({"_id": made["id"]})
    assert stored is not None
    assert stored["last_used_address"] == "127.0.0.1"
    assert stored["_version"] == 1


async def test_flood_of_wrong_keys_costs_few_queries(key_client: KeyClient) -> None:
    made = await key_client.make(key_client.person(), "*:read")
    key_client.service.database["_api_keys"].delete_one({"_id": made["id"]})
    bearers: KeyBearers = services_of(key_client.service.app).key_bearers
    async with profiled(key_client) as seen:
        for _ in range(3):
            answers = await asyncio.gather(
                *(bearers.read(made["key"], None) for _ in range(100)), return_exceptions=True
            )
            assert {type(answer) for answer in answers} == {TokenInvalid}
        cut = made["key"][:-1] + ("a" if made["key"][-1] != "a" else "b")
        with pytest.raises(TokenInvalid):
            await bearers.read(cut, None)
    assert seen == ["query"]


async def test_remembered_keys_are_bounded(key_client: KeyClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.identity.api_keys.bearers.MAXIMUM_REMEMBERED", 2)
    assert MAXIMUM_REMEMBERED == 4096
    ann = key_client.person()
    services = services_of(key_client.service.app)
    bearers = KeyBearers(services.database, services.revocations)
    for _ in range(4):
        made = await key_client.make(ann, "*:read")
        assert (await bearers.read(made["key"], None)).id == ann.id
    assert len(bearers._known) == 2


# --- other workers, and a database that is away


async def test_change_is_heeded_by_another_worker_within_the_bound(key_client: KeyClient) -> None:
    database = services_of(key_client.service.app).database
    ann, root = key_client.person("editor"), key_client.person("admin")
    made = await key_client.make(ann, "*:read")
    revocations = Revocations(900)
    bearers = KeyBearers(database, revocations)

    async def roles() -> set[str] | None:
        try:
            return set((await bearers.read(made["key"], None)).roles)
        except TokenInvalid:
            return None

    async def becomes(expected: set[str] | None) -> None:
        with within(BOUND_S):
            while await roles() != expected:  # noqa: ASYNC110  # another worker has no event to wait for
                await asyncio.sleep(0.01)

    async with revocations.following(database):
        assert await revocations.wait_until_loaded(20)
        assert await roles() == {"editor"}
        change = {"roles": ["author"]}
        changed = await key_client.client.patch(f"/api/users/{ann.id}", json=change, headers=root.headers)
        assert changed.status_code == 200
        await becomes({"author"})
        revoked = await key_client.client.delete(f"{KEYS}/{made['id']}", headers=root.headers)
        assert revoked.status_code == 204
        await becomes(None)


async def test_unknown_key_without_database_is_503(key_client: KeyClient, tmp_path: Path) -> None:
    made = await key_client.make(key_client.person(), "*:read")
    settings = settings_of("mongodb://127.0.0.1:1", tmp_path)
    away = create_app(settings.model_copy(update={"database_timeout_s": 0.1, "operation_timeout_s": 0.1}))
    async with connect(away) as client:
        answer = await client.get("/api/products", headers=using(made))
        assert (answer.status_code, answer.json()["code"]) == (503, "database.unavailable")
        assert answer.headers["retry-after"]
        live = await client.get("/api/health/live", headers=using(made))
        assert live.status_code == 200
    services_of(away).database.close()
