"""Administration of users over HTTP: every endpoint, each refusal, the races, the audit log."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pyotp
import pytest

from tests.conftest import Service, served

USERS = "/api/users"
ABSENT = "0" * 24
Users = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
async def service(mongodb_uri: str) -> AsyncIterator[Service]:
    async with served(mongodb_uri) as opened:
        yield opened


NUMBERS = iter(range(1000))


async def made(service: Service, **members: Any) -> dict[str, Any]:
    """Make an account with an address of its own; without a password, whose hashing takes its time."""
    body = {"email": f"user{next(NUMBERS)}@example.com", **members}
    answer = await service.client.post(USERS, json=body, headers=service.signed_in("admin"))
    assert answer.status_code == 201, answer.text
    user: dict[str, Any] = answer.json()["data"]
    return user


def stored(service: Service, user: dict[str, Any]) -> Any:
    return service.database["_users"].find_one({"email": user["email"]})


def events(service: Service, target: str) -> list[str]:
    found = service.database["_audit"].find({"target.id": target}).sort([("at", 1), ("_id", 1)])
    return [event["action"] for event in found]


async def change(service: Service, user: dict[str, Any], body: Any, **headers: str) -> httpx.Response:
    headers |= service.signed_in("admin")
    return await service.client.patch(f"{USERS}/{user['id']}", json=body, headers=headers)


async def test_admin_creates_an_account(service: Service) -> None:
    body = {
        "email": "Ada@example.com",
        "password": "a long and winding sentence",
        "name": "Ada",
        "roles": ["editor", "author", "editor"],
        "attributes": {"team": "red", "regions": ["eu", "us"]},
        "is_email_verified": True,
    }
    answer = await service.client.post(USERS, json=body, headers=service.signed_in("admin"))
    user = answer.json()["data"]
    assert (answer.status_code, answer.headers["location"]) == (201, f"{USERS}/{user['id']}")
    assert user == {
        "id": user["id"],
        "email": "Ada@example.com",
        "is_email_verified": True,
        "name": "Ada",
        "roles": ["author", "editor"],
        "attributes": {"team": "red", "regions": ["eu", "us"]},
        "is_disabled": False,
        "has_password": True,
        "_version": 1,
        "_created_at": user["_created_at"],
        "_updated_at": user["_created_at"],
    }
    read = await service.client.get(answer.headers["location"], headers=service.signed_in("admin"))
    assert (read.status_code, read.json()["data"], read.headers["etag"]) == (200, user, '"1"')
    assert events(service, user["id"]) == ["user.created"]
    login = {"email": "ada@EXAMPLE.com", "password": "a long and winding sentence"}
    assert (await service.client.post("/api/auth/login", json=login)).status_code == 200


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"email": "nobody"}, "/email"),
        ({"email": {"$gt": ""}}, "/email"),
        ({"roles": ["Admin!"]}, "/roles"),
        ({"roles": "admin"}, "/roles"),
        ({"roles": [f"r{number}" for number in range(51)]}, "/roles"),
        ({"attributes": {"$where": 1}}, "/attributes"),
        ({"attributes": {"team": {"name": "red"}}}, "/attributes"),
        ({"attributes": {"text": "x" * 1024}}, "/attributes"),
        ({"attributes": {f"a{number}": 1 for number in range(21)}}, "/attributes"),
        ({"password_hash": "x"}, "/password_hash"),
        ({"id": ABSENT}, "/id"),
        ({"_owner": ABSENT}, "/_owner"),
    ],
    ids=str,
)
async def test_invalid_account_is_not_created(
    service: Service, members: dict[str, Any], pointer: str
) -> None:
    before = service.database["_users"].count_documents({})
    body = {"email": f"user{next(NUMBERS)}@example.com", **members}
    answer = await service.client.post(USERS, json=body, headers=service.signed_in("admin"))
    assert (answer.status_code, answer.json()["code"]) == (400, "document.invalid")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    user = await made(service)
    changed = await change(service, user, members)
    assert (changed.status_code, changed.json()["code"]) == (400, "document.invalid")
    assert stored(service, user)["_version"] == 1
    assert service.database["_users"].count_documents({}) == before + 1


async def test_taken_address_is_409(service: Service) -> None:
    first, second = await made(service), await made(service)
    body = {"email": first["email"].upper()}
    again = await service.client.post(USERS, json=body, headers=service.signed_in("admin"))
    changed = await change(service, second, body)
    for answer in (again, changed):
        assert (answer.status_code, answer.json()["code"]) == (409, "document.duplicate")
        assert answer.json()["errors"][0]["pointer"] == "/email"
    assert stored(service, second)["email"] == second["email"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", USERS),
        ("POST", USERS),
        ("GET", f"{USERS}/{ABSENT}"),
        ("PATCH", f"{USERS}/{ABSENT}"),
        ("DELETE", f"{USERS}/{ABSENT}?documents=keep"),
        ("DELETE", f"{USERS}/{ABSENT}/second-factor"),
        ("DELETE", f"{USERS}/{ABSENT}/sessions"),
        ("GET", "/api/audit"),
    ],
)
async def test_users_without_admin_role_are_403(service: Service, method: str, path: str) -> None:
    for headers, status in (({}, 401), (service.signed_in(), 403), (service.signed_in("editor"), 403)):
        answer = await service.client.request(method, path, headers=headers)
        assert answer.status_code == status


@pytest.mark.parametrize("user_id", [ABSENT, "x", "%24ne", "1" * 2000])
async def test_unknown_user_is_404(service: Service, user_id: str) -> None:
    admin = service.signed_in("admin")
    for method, path in (
        ("GET", f"{USERS}/{user_id}"),
        ("PATCH", f"{USERS}/{user_id}"),
        ("DELETE", f"{USERS}/{user_id}"),
        ("DELETE", f"{USERS}/{user_id}?documents=keep"),
        ("DELETE", f"{USERS}/{user_id}/second-factor"),
        ("DELETE", f"{USERS}/{user_id}/sessions"),
    ):
        body: dict[str, Any] | None = {} if method == "PATCH" else None
        answer = await service.client.request(method, path, json=body, headers=admin)
        assert (answer.status_code, answer.json()["code"]) == (404, "document.not_found")


async def test_users_are_filtered_sorted_and_paged_like_lists(service: Service) -> None:
    admin = service.signed_in("admin")
    await made(service, email="zoe@search.example.com", roles=["seeker"], attributes={"team": "blue"})
    await made(service, email="yan@search.example.com", roles=["seeker"], name="Yan")
    await made(service, email="xi@search.example.com", roles=["seeker"], attributes={"team": "blue"})
    for condition, found in (
        ("filter[roles]=seeker&sort=email", ["xi", "yan", "zoe"]),
        ("filter[email][contains]=search&sort=-email&limit=2", ["zoe", "yan"]),
        ("filter[roles]=seeker&filter[attributes.team]=blue&sort=email", ["xi", "zoe"]),
        ("filter[roles]=seeker&filter[name]=Yan", ["yan"]),
        ("filter[roles]=seeker&filter[is_disabled]=true", []),
    ):
        answer = await service.client.get(f"{USERS}?{condition}", headers=admin)
        assert answer.status_code == 200, answer.text
        assert [user["email"].partition("@")[0] for user in answer.json()["data"]] == found
    first = await service.client.get(f"{USERS}?filter[roles]=seeker&sort=email&limit=2", headers=admin)
    parameters = {"filter[roles]": "seeker", "sort": "email", "limit": "2", "cursor": first.json()["next"]}
    second = await service.client.get(USERS, params=parameters, headers=admin)
    assert [user["email"] for user in second.json()["data"]] == ["zoe@search.example.com"]


@pytest.mark.parametrize(
    "condition",
    [
        "filter[password_hash][startswith]=$argon2id",
        "filter[email_key]=x",
        "filter[epoch]=0",
        "sort=password_hash",
        "fields=password_hash",
        "fields=-name",
        "expand=owner",
        "q=x",
    ],
)
async def test_filter_on_a_hidden_member_is_refused(service: Service, condition: str) -> None:
    answer = await service.client.get(f"{USERS}?{condition}", headers=service.signed_in("admin"))
    assert (answer.status_code, answer.json()["code"]) == (400, "parameter.invalid")


async def test_user_change_is_a_merge_patch_at_a_version(service: Service) -> None:
    user = await made(service, name="Ann", roles=["author"])
    same = await change(service, user, {"roles": ["author"]})
    assert (same.status_code, same.headers["etag"]) == (200, '"1"')
    changed = await change(service, user, {"roles": ["editor"], "name": None}, **{"If-Match": '"1"'})
    assert changed.status_code == 200
    assert changed.json()["data"] == user | {
        "roles": ["editor"],
        "name": None,
        "_version": 2,
        "_updated_at": changed.json()["data"]["_updated_at"],
    }
    stale = await change(service, user, {"roles": []}, **{"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["_version"]) == (412, 2)
    assert stored(service, user)["roles"] == ["editor"]
    assert events(service, user["id"]) == ["user.created", "user.roles_changed", "user.changed"]
    (noted,) = service.database["_audit"].find({"target.id": user["id"], "action": "user.roles_changed"})
    assert noted["details"] == {"before": ["author"], "after": ["editor"]}


async def test_changed_address_is_unverified(service: Service) -> None:
    user = await made(service, is_email_verified=True)
    changed = await change(service, user, {"email": f"other-{user['email']}"})
    assert changed.json()["data"]["is_email_verified"] is False
    verified = await change(service, user, {"is_email_verified": True})
    assert verified.json()["data"]["is_email_verified"] is True


PASSWORD = "a long and winding sentence"


async def signed_in(service: Service, user: dict[str, Any]) -> dict[str, str]:
    form = {"email": user["email"], "password": PASSWORD}
    answer = await service.client.post("/api/auth/login", json=form)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['data']['access_token']}"}


@pytest.mark.parametrize(
    ("body", "may_sign_in"),
    [
        ({"is_disabled": True}, False),
        ({"roles": ["editor"]}, True),
        ({"attributes": {"team": "red"}}, True),
    ],
    ids=str,
)
async def test_change_of_token_claims_voids_earlier_tokens(
    service: Service, body: dict[str, Any], *, may_sign_in: bool
) -> None:
    user = await made(service, password=PASSWORD)
    headers = await signed_in(service, user)
    assert (await service.client.get("/api/profile", headers=headers)).status_code == 200
    assert (await change(service, user, body)).status_code == 200
    refused = await service.client.get("/api/profile", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (401, "auth.token_invalid")
    form = {"email": user["email"], "password": PASSWORD}
    again = await service.client.post("/api/auth/login", json=form)
    assert again.status_code == (200 if may_sign_in else 401)


async def test_admin_ends_all_sessions_of_a_user(service: Service) -> None:
    user = await made(service, password=PASSWORD)
    devices = [await signed_in(service, user) for _ in range(2)]
    answer = await service.client.delete(f"{USERS}/{user['id']}/sessions", headers=service.signed_in("admin"))
    assert (answer.status_code, answer.json()) == (200, {"data": {"id": user["id"], "sessions_ended": 2}})
    for headers in devices:
        assert (await service.client.get("/api/profile", headers=headers)).status_code == 401
    assert "session.all_ended" in events(service, user["id"])


async def enrolled(service: Service, headers: dict[str, str]) -> None:
    begun = await service.client.post("/api/auth/second-factor", json={"password": PASSWORD}, headers=headers)
    code = {"code": pyotp.TOTP(begun.json()["data"]["secret"]).now()}
    confirmed = await service.client.post("/api/auth/second-factor/confirm", json=code, headers=headers)
    assert confirmed.status_code == 200, confirmed.text


async def test_admin_removes_a_second_factor(service: Service) -> None:
    user = await made(service, password=PASSWORD)
    address, admin = f"{USERS}/{user['id']}/second-factor", service.signed_in("admin")
    assert (await service.client.delete(address, headers=admin)).status_code == 204
    headers = await signed_in(service, user)
    await enrolled(service, headers)
    form = {"email": user["email"], "password": PASSWORD}
    assert "second_factor" in (await service.client.post("/api/auth/login", json=form)).json()["data"]
    assert (await service.client.delete(address, headers=admin)).status_code == 204
    assert (await service.client.get("/api/profile", headers=headers)).status_code == 401
    assert "access_token" in (await service.client.post("/api/auth/login", json=form)).json()["data"]
    assert "second_factor.removed" in events(service, user["id"])


@pytest.mark.parametrize("attempt", range(3))
async def test_concurrent_removals_of_two_admins_leave_one(service: Service, attempt: int) -> None:
    del attempt
    service.database["_users"].update_many({}, {"$pull": {"roles": "admin"}})
    pair = [await made(service, roles=["admin"]) for _ in range(2)]
    bodies: list[dict[str, Any]] = [{"roles": []}, {"is_disabled": True}]
    answers = await asyncio.gather(
        *(change(service, user, body) for user, body in zip(pair, bodies, strict=True))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    (refused,) = (answer for answer in answers if answer.status_code == 409)
    assert refused.json()["code"] == "user.last_admin"
    left = service.database["_users"].count_documents({"roles": "admin", "is_disabled": False})
    assert left == 1


async def test_last_admin_cannot_be_removed_disabled_or_demoted(service: Service) -> None:
    service.database["_users"].update_many({}, {"$pull": {"roles": "admin"}})
    last = await made(service, roles=["admin", "editor"])
    before = stored(service, last)
    bodies: list[dict[str, Any]] = [{"roles": ["editor"]}, {"is_disabled": True}]
    for body in bodies:
        answer = await change(service, last, body)
        assert (answer.status_code, answer.json()["code"]) == (409, "user.last_admin")
    address = f"{USERS}/{last['id']}?documents=keep"
    answer = await service.client.delete(address, headers=service.signed_in("admin"))
    assert (answer.status_code, answer.json()["code"]) == (409, "user.last_admin")
    assert stored(service, last) == before
    await made(service, roles=["admin"])
    assert (await change(service, last, {"is_disabled": True})).status_code == 200


@pytest.fixture
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.identity.users.removal.STRAY_S", 0.0)


@pytest.mark.usefixtures("_without_waiting")
@pytest.mark.parametrize("fate", ["keep", "delete", "transfer"])
async def test_removal_keeps_deletes_or_transfers_documents(service: Service, fate: str) -> None:
    admin = service.signed_in("admin")
    user, heir = await made(service, password=PASSWORD), await made(service)
    headers = await signed_in(service, user)
    mug = {"name": "Mug", "price": 1}
    ids = [
        (await service.client.post("/api/products", json=mug, headers=headers)).json()["data"]["id"]
        for _ in range(2)
    ]
    key = {"name": "k", "scopes": ["products:read"]}
    made_key = await service.client.post("/api/keys", json=key, headers=headers)
    assert made_key.status_code == 201, made_key.text
    undecided = await service.client.delete(f"{USERS}/{user['id']}", headers=admin)
    assert (undecided.status_code, undecided.json()["detail"]) == (
        400,
        "The user owns 2 documents (2 in `products`)",
    )
    to = f"&to={heir['id']}" if fate == "transfer" else ""
    answer = await service.client.delete(f"{USERS}/{user['id']}?documents={fate}{to}", headers=admin)
    counts = {} if fate == "keep" else {"products": 2}
    assert (answer.status_code, answer.json()) == (
        200,
        {"data": {"id": user["id"], "documents": fate, "counts": counts}},
    )
    left = [await service.client.get(f"/api/products/{each}", headers=admin) for each in ids]
    owner = {"keep": user["id"], "transfer": heir["id"]}.get(fate)
    assert [each.status_code for each in left] == [404 if fate == "delete" else 200] * 2
    assert fate == "delete" or {each.json()["data"]["_owner"] for each in left} == {owner}
    assert stored(service, user) is None
    assert service.database["_api_keys"].count_documents({"user_id": user["id"]}) == 0
    bearer = {"Authorization": f"Bearer {made_key.json()['data']['key']}"}
    assert (await service.client.get("/api/products", headers=bearer)).status_code == 401
    assert (await service.client.get("/api/profile", headers=headers)).status_code == 401
    assert (await service.client.get(f"{USERS}/{user['id']}", headers=admin)).status_code == 404
    assert events(service, user["id"])[-2:] == ["user.closed", "user.deleted"]


@pytest.mark.parametrize(
    "parameters",
    [
        "documents=burn",
        "documents=transfer",
        "documents=transfer&to={self}",
        "documents=keep&to={self}",
        "documents=keep&more=1",
    ],
)
async def test_ambiguous_removal_removes_nothing(service: Service, parameters: str) -> None:
    user = await made(service)
    address = f"{USERS}/{user['id']}?{parameters.format(self=user['id'])}"
    answer = await service.client.delete(address, headers=service.signed_in("admin"))
    assert (answer.status_code, answer.json()["code"]) == (400, "parameter.invalid")
    assert stored(service, user)["is_disabled"] is False
    absent = f"{USERS}/{user['id']}?documents=transfer&to={ABSENT}"
    answer = await service.client.delete(absent, headers=service.signed_in("admin"))
    assert answer.status_code == 404
    assert stored(service, user)["is_disabled"] is False


async def test_audit_log_lists_events_newest_first(service: Service) -> None:
    admin = service.signed_in("admin")
    user = await made(service)
    await change(service, user, {"is_disabled": True})
    await change(service, user, {"is_disabled": False})
    found = await service.client.get(f"/api/audit?filter[target.id]={user['id']}", headers=admin)
    assert [event["action"] for event in found.json()["data"]] == [
        "user.enabled",
        "user.disabled",
        "user.created",
    ]
    event = found.json()["data"][0]
    assert event == {
        "id": event["id"],
        "at": event["at"],
        "action": "user.enabled",
        "actor": {"kind": "user", "id": event["actor"]["id"], "key_id": None},
        "target": {"kind": "user", "id": user["id"]},
        "details": {},
        "address": "127.0.0.1",
        "request_id": event["request_id"],
    }
    since = {"filter[at][gt]": event["at"], "filter[action]": "user.enabled"}
    assert (await service.client.get("/api/audit", params=since, headers=admin)).json()["data"] == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_audit_log_cannot_be_changed(service: Service, method: str) -> None:
    before = service.database["_audit"].count_documents({})
    for path in ("/api/audit", f"/api/audit/{ABSENT}", "/api/_audit"):
        answer = await service.client.request(method, path, json={}, headers=service.signed_in("admin"))
        assert answer.status_code in {404, 405}
    assert service.database["_audit"].count_documents({}) == before


async def test_changes_of_definitions_and_rules_are_audited(service: Service) -> None:
    admin = service.signed_in("admin")
    schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    definition = {"name": "diary", "schema": schema}
    assert (await service.client.post("/api/collections", json=definition, headers=admin)).status_code == 201
    rules = {"rules": {"read": "anyone"}}
    changed = await service.client.patch("/api/collections/diary", json=rules, headers=admin)
    assert changed.status_code == 200
    gone = await service.client.delete("/api/collections/diary?confirm=diary", headers=admin)
    assert gone.status_code == 200
    assert events(service, "diary") == ["collection.created", "collection.changed", "collection.deleted"]
    (noted,) = service.database["_audit"].find({"target.id": "diary", "action": "collection.changed"})
    assert noted["details"] == {
        "version": 2,
        "parts": ["rules"],
        "rules": {"before": "{}", "after": '{"read":"anyone"}'},
    }
    refused = await service.client.post("/api/collections", json=definition | {"schema": 1}, headers=admin)
    assert refused.status_code == 400
    assert len(events(service, "diary")) == 3
