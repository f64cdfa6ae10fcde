"""Making, listing, renaming and revoking API keys."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId

from service.audit import Actor, AuditContext
from service.identity.api_keys import MAXIMUM_KEYS, ApiKeys
from service.identity.core import credentials
from service.identity.core.revocations import Revocations
from service.kit.errors import TokenOutdated
from tests.api_keys.conftest import KEYS, KeyClient, Person, using
from tests.scenarios.identity import problem
from tests.services import services_of

PROBLEM_404 = {
    "title": "There is no such API key",
    "status": 404,
    "code": "key.not_found",
    "detail": "There is no such API key",
}


async def test_key_is_shown_once_and_stored_as_a_hash(key_client: KeyClient) -> None:
    ann = key_client.person()
    body = {"name": "nightly export", "scopes": ["products:read", "*:list", "products:read"]}
    answer = await key_client.client.post(KEYS, json=body, headers=ann.headers)
    made = answer.json()["data"]
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert answer.headers["location"] == f"{KEYS}/{made['id']}"
    key = made.pop("key")
    assert re.fullmatch(rf"sheaf_{made['id']}_[0-9A-Za-z]{{49}}", key)
    assert made == {
        "id": made["id"],
        "name": "nightly export",
        "user_id": ann.id,
        "scopes": ["*:list", "products:read"],
        "expires_at": None,
        "last_used_at": None,
        "last_used_address": None,
        "_version": 1,
        "_created_at": made["_created_at"],
        "_updated_at": made["_created_at"],
    }
    for path, seen in ((f"{KEYS}/{made['id']}", made), (KEYS, [made])):
        again = await key_client.client.get(path, headers=ann.headers)
        assert (again.status_code, again.json()) == (200, {"data": seen})
    stored = str(key_client.stored())
    assert key not in stored
    assert key.rpartition("_")[2] not in stored
    assert key_client.events(made["id"]) == [
        (
            "key.created",
            {"name": "nightly export", "scopes": ["*:list", "products:read"], "expires_at": None},
        )
    ]


@pytest.mark.parametrize("given", ["expires_in_s", "expires_at"])
async def test_key_may_expire(key_client: KeyClient, given: str) -> None:
    end = datetime.now(UTC) + timedelta(days=1)
    value: Any = 86_400 if given == "expires_in_s" else end.isoformat()
    made = await key_client.make(key_client.person(), "*:read", **{given: value})
    assert abs(datetime.fromisoformat(made["expires_at"]) - end) < timedelta(seconds=10)


REFUSED: dict[str, tuple[Any, list[tuple[str, str]]]] = {
    "nothing": ({}, [("/name", "required"), ("/scopes", "required")]),
    "no object": ([], []),
    "operators": (
        {"name": {"$gt": ""}, "scopes": {"$ne": 1}},
        [("/name", "type"), ("/scopes", "type")],
    ),
    "no scopes": ({"scopes": []}, [("/scopes", "type")]),
    "too many scopes": ({"scopes": ["*:read"] * 51}, [("/scopes", "type")]),
    "an id": (
        {"id": "1", "user_id": "2"},
        [("/id", "additionalProperties"), ("/user_id", "additionalProperties")],
    ),
    "an end in the past": ({"expires_at": "2020-01-01T00:00:00Z"}, [("/expires_at", "range")]),
    "an end in ages": ({"expires_at": "2999-01-01T00:00:00Z"}, [("/expires_at", "range")]),
    "an end that is none": ({"expires_at": "tomorrow"}, [("/expires_at", "format")]),
    "no time": ({"expires_in_s": 0}, [("/expires_in_s", "type")]),
    "a time in text": ({"expires_in_s": "60"}, [("/expires_in_s", "type")]),
    "two ends": (
        {"expires_at": "2030-01-01T00:00:00Z", "expires_in_s": 60},
        [("/expires_at", "exclusive")],
    ),
    "scopes without a verb": ({"scopes": ["products", "*:read"]}, [("/scopes/0", "pattern")]),
    "scopes of another form": (
        {"scopes": ["*:read", "", ":", "Products:read", "_users:read", "a b:list", "$where:list", "a:b:c"]},
        [(f"/scopes/{position}", "pattern") for position in range(1, 7)] + [("/scopes/7", "verb")],
    ),
    "unknown verbs": (
        {"scopes": ["products:lst", "collections:list", "audit:write"]},
        [(f"/scopes/{position}", "verb") for position in range(3)],
    ),
}


@pytest.mark.parametrize(("changes", "faults"), REFUSED.values(), ids=REFUSED)
async def test_invalid_key_is_refused_and_not_stored(
    key_client: KeyClient, changes: Any, faults: list[tuple[str, str]]
) -> None:
    ann = key_client.person()
    before = key_client.stored()
    usual = {"name": "x", "scopes": ["*:read"]}
    body = usual | changes if changes and isinstance(changes, dict) else changes
    answer = await key_client.client.post(KEYS, json=body, headers=ann.headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "document.invalid")
    told = [(error["pointer"], error["code"]) for error in answer.json().get("errors", [])]
    assert [fault for fault in told if fault in faults] == faults
    assert key_client.stored() == before


async def test_wrong_scope_is_refused_with_a_suggestion(key_client: KeyClient) -> None:
    body = {"name": "x", "scopes": ["products", "products:lists"]}
    answer = await key_client.client.post(KEYS, json=body, headers=key_client.person().headers)
    assert problem(answer) == {
        "title": "The document does not match the schema",
        "status": 400,
        "code": "document.invalid",
        "detail": "2 scopes are wrong",
        "errors": [
            {
                "pointer": "/scopes/0",
                "code": "pattern",
                "detail": "`products` is not `<collection>:<verb>`, such as `products:read`",
                "hint": "Did you mean `products:read`?",
            },
            {
                "pointer": "/scopes/1",
                "code": "verb",
                "detail": "`products:lists` does not name one of list, get, create, update, delete, watch, "
                "read, write, *",
                "hint": "Did you mean `list`?",
            },
        ],
    }


async def test_key_can_be_renamed_and_nothing_else(key_client: KeyClient) -> None:
    ann = key_client.person()
    made = await key_client.make(ann, "*:read")
    path = f"{KEYS}/{made['id']}"
    answer = await key_client.client.patch(path, json={"name": "weekly"}, headers=ann.headers)
    renamed = answer.json()["data"]
    assert (answer.status_code, renamed["name"], renamed["_version"]) == (200, "weekly", 2)
    assert key_client.events(made["id"])[1:] == [("key.changed", {"name": "weekly"})]
    before = key_client.stored()
    for body in (
        {"scopes": ["*:*"]},
        {"user_id": "1"},
        {"hash": "x"},
        {"name": None},
        {"name": {"$gt": ""}},
        {},
    ):
        answer = await key_client.client.patch(path, json=body, headers=ann.headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "document.invalid"), body
    assert key_client.stored() == before


async def test_revoked_key_is_gone_at_once(key_client: KeyClient) -> None:
    ann = key_client.person()
    made = await key_client.make(ann, "*:read")
    assert (await key_client.client.get("/api/products", headers=using(made))).status_code == 200
    path = f"{KEYS}/{made['id']}"
    answer = await key_client.client.delete(path, headers=ann.headers)
    assert (answer.status_code, answer.content) == (204, b"")
    refused = await key_client.client.get("/api/products", headers=using(made))
    assert problem(refused) == {
        "title": "The access token is not valid",
        "status": 401,
        "code": "auth.token_invalid",
        "detail": "The API key is not valid",
        "hint": "It may have been revoked; make a new one.",
    }
    for method in ("GET", "DELETE"):
        again = await key_client.client.request(method, path, headers=ann.headers)
        assert problem(again) == PROBLEM_404
    assert key_client.events(made["id"])[1:] == [("key.revoked", {"name": "a program", "user_id": ann.id})]


async def test_key_of_another_user_is_not_found(key_client: KeyClient) -> None:
    ann, bob = key_client.person(), key_client.person("editor")
    made = await key_client.make(ann, "*:read")
    before = key_client.stored()
    path = f"{KEYS}/{made['id']}"
    for method, body in (("GET", None), ("PATCH", {"name": "mine"}), ("DELETE", None)):
        answer = await key_client.client.request(method, path, json=body, headers=bob.headers)
        assert problem(answer) == PROBLEM_404
    assert (await key_client.client.get(KEYS, headers=bob.headers)).json() == {"data": []}
    for whose in (ann.id, "*"):
        answer = await key_client.client.get(f"{KEYS}?user_id={whose}", headers=bob.headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "access.denied")
    assert key_client.stored() == before


async def test_admin_lists_and_revokes_all_keys(key_client: KeyClient) -> None:
    ann, bob, root = key_client.person(), key_client.person(), key_client.person("admin")
    made = await key_client.make(ann, "*:read", name="of Ann")
    await key_client.make(bob, "*:read")
    answer = await key_client.client.get(f"{KEYS}?user_id={ann.id}", headers=root.headers)
    assert [key["name"] for key in answer.json()["data"]] == ["of Ann"]
    page = await key_client.client.get(
        KEYS,
        params={"user_id": "*", "limit": 1, "filter[user_id][in]": f"{ann.id},{bob.id}"},
        headers=root.headers,
    )
    assert (page.status_code, len(page.json()["data"]), page.json()["has_more"]) == (200, 1, True), page.text
    assert "user_id=*" in page.headers["link"] or "user_id=%2A" in page.headers["link"]
    for parameters in ({"user_id": "*", "filter[hash]": "x"}, {"limit": 1}, {"user_id": ["*", "*"]}):
        refused = await key_client.client.get(KEYS, params=parameters, headers=root.headers)
        assert (refused.status_code, refused.json()["code"]) == (400, "parameter.invalid"), parameters
    assert (await key_client.client.delete(f"{KEYS}/{made['id']}", headers=root.headers)).status_code == 204


@pytest.mark.parametrize("who", ["nobody", "a key", "a closed account", "an account that is gone"])
async def test_key_is_made_only_by_users_with_an_account(key_client: KeyClient, who: str) -> None:
    ann = key_client.person(is_disabled=who == "a closed account")
    headers = {"nobody": {}, "an account that is gone": key_client.service.signed_in()}.get(who, ann.headers)
    if who == "a key":
        headers = await key_client.key(ann, "*:*", "collections:*", "audit:read")
    before = key_client.stored()
    answer = await key_client.client.post(KEYS, json={"name": "x", "scopes": ["*:*"]}, headers=headers)
    assert answer.status_code == (403 if who == "a key" else 401)
    assert key_client.stored() == before


async def test_user_has_a_limit_of_keys_however_they_are_made(key_client: KeyClient) -> None:
    ann = key_client.person()
    key: dict[str, Any] = {
        "hash": "x",
        "user_id": ann.id,
        "name": "x",
        "scopes": [],
        "expires_at": None,
        "_version": 1,
    }
    key_client.service.database["_api_keys"].insert_many(
        [key | {"_id": f"{ObjectId()}", "last_used_at": None} for _ in range(MAXIMUM_KEYS - 2)]
    )

    async def make() -> int:
        body = {"name": "x", "scopes": ["*:read"]}
        return (await key_client.client.post(KEYS, json=body, headers=ann.headers)).status_code

    statuses = await asyncio.gather(*(make() for _ in range(6)))
    assert sorted(statuses) == [201, 201, 409, 409, 409, 409]
    assert key_client.service.database["_api_keys"].count_documents({"user_id": ann.id}) == MAXIMUM_KEYS
    answer = await key_client.client.post(KEYS, json={"name": "x", "scopes": ["*:read"]}, headers=ann.headers)
    assert problem(answer) == {
        "title": "There are too many API keys",
        "status": 409,
        "code": "key.too_many",
        "detail": "There are 50 API keys, the most there may be; revoke one first",
    }


async def test_idempotency_key_is_refused_where_a_secret_is_answered(key_client: KeyClient) -> None:
    ann = key_client.person()
    headers = ann.headers | {"Idempotency-Key": "1"}
    answer = await key_client.client.post(KEYS, json={"name": "x", "scopes": ["*:read"]}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid")
    assert (await key_client.client.get(KEYS, headers=ann.headers)).json() == {"data": []}


async def test_all_keys_of_a_user_are_deleted_at_once(key_client: KeyClient) -> None:
    ann: Person = key_client.person()
    made = [await key_client.make(ann, "*:read") for _ in range(2)]
    services = services_of(key_client.service.app)
    ended = await services.database.transaction(lambda: credentials.delete_keys(ann.id, services.revocations))
    assert ended == 2
    await services.revocations.catch_up()
    for each in made:
        assert (await key_client.client.get("/api/products", headers=using(each))).status_code == 401
    assert key_client.service.database["_api_keys"].count_documents({"user_id": ann.id}) == 0


async def test_signed_out_user_makes_no_key_before_the_revocation_is_heard(key_client: KeyClient) -> None:
    ann: Person = key_client.person()
    services = services_of(key_client.service.app)
    caller = services.tokens.read(ann.headers["Authorization"].removeprefix("Bearer "))
    audit = AuditContext(Actor("user", ann.id), 60)
    deaf = ApiKeys(services.database, Revocations(900))  # as on a worker that the news has not reached
    await deaf.create(audit, caller, name="x", scopes=["*:read"])
    await services.database.transaction(lambda: services.revocations.end_session(str(caller.session_id)))
    with pytest.raises(TokenOutdated):
        await deaf.create(audit, caller, name="x", scopes=["*:read"])
    assert key_client.service.database["_api_keys"].count_documents({"user_id": ann.id}) == 1
    assert key_client.service.database["_audit"].count_documents({"actor.id": ann.id}) == 1
