"""What rules make of documents that are written: alternatives, checks, forced members, and races."""

import asyncio
from typing import Any

import pytest
from bson import ObjectId

from service.access.decisions import ALLOWED, Decision, Grant
from service.access.principals import Principal
from service.documents import loading
from service.documents.access import Access
from service.documents.apply_patch import ApplyPatch
from service.documents.write_policy import WritePolicy
from service.query import Compare
from tests.conftest import Service
from tests.rules.sending import ANN, BOB, SCHEMA, USER, Send, created
from tests.services import services_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_first_alternative_allowing_result_decides(send: Send, define: Send) -> None:
    drafts = {"role": "user", "check": {"status": "draft"}, "set": {"team": "one"}}
    rest = {"role": "user", "check": {"status": {"in": ["draft", "sent"]}}, "set": {"team": "two"}}
    name = await define({"read": "user", "write": [drafts, rest]})
    first = await created(send, name, {"status": "draft"})
    assert first["team"] == "one"
    assert (await created(send, name, {"status": "sent", "team": "mine"}))["team"] == "two"
    path = f"{name}/{first['id']}"
    assert (await send(ANN, "PATCH", path, {"status": "sent"})).json()["data"]["team"] == "two"
    refused = await send(ANN, "PATCH", path, {"status": "done"})
    assert (refused.status_code, refused.json()["code"]) == (403, "access.denied")


async def test_alternative_making_document_invalid_falls_through_to_next(send: Send, define: Send) -> None:
    schema = SCHEMA | {"required": ["team"]}
    write = [{"role": "user", "check": {"status": "x"}}, {"role": "user", "set": {"team": "two"}}]
    name = await define({"read": "user", "write": write}, schema=schema)
    assert (await created(send, name, {"title": "a"}))["team"] == "two"
    invalid = await send(ANN, "POST", name, {"title": 5})
    assert (invalid.status_code, invalid.json()["code"]) == (400, "document.invalid")


async def test_read_only_field_is_set_only_by_rule(send: Send, define: Send) -> None:
    name = await define({"read": "user", "write": {"role": "user", "set": {"author": "$user.id"}}})
    made = await created(send, name, {"title": "a", "author": BOB})
    assert made["author"] == ANN
    changed = await send(BOB, "PATCH", f"{name}/{made['id']}", {"author": ANN})
    assert changed.json()["data"]["author"] == BOB
    put = await send(ANN, "PUT", f"{name}/{made['id']}", {"title": "b"})
    assert put.json()["data"]["author"] == ANN


async def test_now_is_set_and_checked_as_same_time(send: Send, define: Send, service: Service) -> None:
    write = {"role": "user", "set": {"seen_at": "$now"}, "check": {"_created_at": "$now"}}
    name = await define({"read": "user", "create": write})
    for _ in range(20):  # however long it takes, it is one moment
        made = await created(send, name, {})
        assert made["seen_at"] == made["_created_at"]
    service.database[name].delete_many({})
    made = await created(send, name, {})
    stored = service.database[name].find_one()
    assert stored is not None
    assert made["seen_at"] == stored["seen_at"].isoformat(timespec="milliseconds") + "Z"


async def test_checks_apply_to_stored_ids_and_system_fields(send: Send, define: Send) -> None:
    name = await define(
        {
            "read": "user",
            "create": {"role": "user", "check": {"id": "$user.id", "_owner": "$user.id", "_version": 1}},
            "update": {"role": "user", "check": {"_version": {"lte": 2}}},
        },
        options={"id_type": "string"},
    )
    refusals: list[Any] = [{"id": BOB}, {}, [{"id": ANN}, {"id": BOB}]]
    for refused in refusals:
        assert (await send(ANN, "POST", name, refused)).status_code == 403
    assert (await send(ANN, "PUT", f"{name}/{BOB}?upsert=true", {})).status_code == 403
    assert (await send(ANN, "PUT", f"{name}/{ANN}?upsert=true", {})).status_code == 201
    assert (await send(BOB, "POST", name, [{"id": BOB}])).status_code == 201
    assert (await send(ANN, "PATCH", f"{name}/{ANN}", {"title": "b"})).status_code == 200
    assert (await send(ANN, "PATCH", f"{name}/{ANN}", {"title": "c"})).status_code == 403
    listed = (await send(ANN, "GET", f"{name}?sort=title")).json()["data"]
    assert {(each["id"], each.get("title")) for each in listed} == {(ANN, "b"), (BOB, None)}


async def test_check_applies_to_generated_id(send: Send, define: Send) -> None:
    rule = {"role": "user", "check": {"id": {"lte": 2}}}
    name = await define({"read": "user", "create": rule}, options={"id_type": "integer"})
    bodies: list[Any] = [{}, [{}], {}]
    assert [(await send(ANN, "POST", name, body)).status_code for body in bodies] == [201, 201, 403]
    assert len((await send(ANN, "GET", name)).json()["data"]) == 2


async def test_only_changed_fields_must_be_writable(send: Send, define: Send) -> None:
    update = {"role": "user", "fields": ["title", "place.city"]}
    name = await define({"read": "user", "create": "user", "update": update})
    body = {"title": "a", "team": "one", "place": {"city": "Oslo", "zip": "1"}}
    path = f"{name}/{(await created(send, name, body))['id']}"
    cases: list[tuple[Any, list[str]]] = [
        ({"title": "b", "team": "one"}, []),
        ({"place": {"city": "Rome"}}, []),
        ({"place": {"city": "Rome", "zip": "1"}}, []),
        ({"place": {"zip": "2"}}, ["/place/zip"]),
        ({"place": None}, ["/place/zip"]),
        ({"place": "none"}, ["/place"]),
        ({"team": "two", "status": "x", "title": "c"}, ["/team", "/status"]),
        ({"team": None}, ["/team"]),
    ]
    for patch, beyond in cases:
        before = (await send(ANN, "GET", path)).json()["data"]
        answer = await send(ANN, "PATCH", path, patch)
        after = (await send(ANN, "GET", path)).json()["data"]
        if beyond:
            assert answer.status_code == 403, patch
            assert sorted(each["pointer"] for each in answer.json()["errors"]) == sorted(beyond), patch
            assert after == before
        else:
            assert answer.status_code == 200, answer.text
            assert after["_version"] == before["_version"] + 1
    put = await send(ANN, "PUT", path, {"title": "whole"})
    shown = {name: part for name, part in put.json()["data"].items() if name[0] != "_" and name != "id"}
    assert shown == {"title": "whole", "team": "one", "place": {"zip": "1"}}


async def test_concurrent_patches_stop_after_rule_no_longer_matches(
    send: Send, define: Send, service: Service
) -> None:
    """One closes the document; whoever comes after it changes nothing."""
    update = {"role": "user", "where": {"status": "open"}, "fields": ["title", "status"]}
    name = await define({"read": "user", "create": "user", "update": ["owner", update]})
    path = f"{name}/{(await created(send, name, {'status': 'open', 'title': ''}, BOB))['id']}"
    patches = [{"title": str(number)} for number in range(50)]
    patches[25] = {"status": "closed"}
    answers = await asyncio.gather(*(send(ANN, "PATCH", path, patch) for patch in patches))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {200, 404}
    assert statuses[25] == 200
    done = [answer.json()["data"] for answer in answers if answer.status_code == 200]
    closed_at = next(each["_version"] for each in done if each["status"] == "closed")
    assert max(each["_version"] for each in done) == closed_at
    assert sorted(each["_version"] for each in done) == list(range(2, closed_at + 1))
    stored = service.database[name].find_one()
    assert stored is not None
    assert (stored["status"], stored["_version"]) == ("closed", closed_at)


async def test_concurrent_patches_are_decided_by_their_own_alternatives(
    send: Send, define: Send, service: Service
) -> None:
    update = ["owner", {"role": "user", "where": {"status": "open"}, "set": {"team": "guests"}}, USER]
    name = await define({"read": "user", "create": "user", "update": [*update[:2]]})
    path = f"{name}/{(await created(send, name, {'status': 'open', 'team': 'home'}))['id']}"
    asked = [(who, {"title": f"{who}{at}"}) for at in range(10) for who in (ANN, BOB)]
    answers = await asyncio.gather(*(send(who, "PATCH", path, body) for who, body in asked))
    for (who, body), answer in zip(asked, answers, strict=True):
        data = answer.json()["data"]
        assert data["title"] == body["title"]
        assert who == ANN or data["team"] == "guests"


async def test_row_filter_distinguishes_true_from_1_in_concurrent_patches(
    define: Send, service: Service
) -> None:
    rule = {"role": "user", "where": {"flag": {"eq": "$user.attributes.flag"}}}
    schema = {"type": "object", "properties": {"flag": {}, "count": {"type": "integer"}}}
    name = await define({"get": "user", "update": rule}, schema=schema)
    service.database[name].insert_one({"_id": (at := ObjectId()), "flag": True, "count": 0, "_version": 1})

    async def counted(who: str, flag: object) -> int:
        principal = Principal("user", who, frozenset(), session_id=who, attributes={"flag": flag})
        headers = {"Authorization": f"Bearer {services_of(service.app).tokens.issue(principal)}"}
        operations = headers | {"Content-Type": "application/vnd.sheaf.operations+json"}
        path = f"/api/{name}/{at}"
        return (await service.client.patch(path, json={"inc": {"count": 1}}, headers=operations)).status_code

    asked = [counted(*each) for _ in range(5) for each in ((ANN, True), (BOB, 1))]
    assert await asyncio.gather(*asked) == [200, 404] * 5
    assert service.database[name].find_one({}, {"_id": 0, "count": 1}) == {"count": 5}


async def test_imports_follow_create_rule(send: Send, define: Send, service: Service) -> None:
    rule = {"role": "user", "check": {"status": "draft"}, "set": {"team": "x"}, "fields": ["status"]}
    name = await define({"read": "user", "create": rule})
    collection = services_of(service.app).registry.get(name)
    principal = Principal("user", ANN, frozenset(), session_id="of-ann")
    bodies = [{"status": "draft"}, {"status": "sent"}, {"status": "draft", "title": "t"}]
    loaded = await loading.load(Access(collection, principal), bodies, bytes(8))
    assert (loaded.created, loaded.refused) == (1, 2)
    assert [each.reason.partition(":")[0] for each in loaded.first_refusals][1] == "/title"
    [stored] = service.database[name].find({}, {"_id": 0, "status": 1, "team": 1, "_owner": 1})
    assert stored == {"status": "draft", "team": "x", "_owner": ANN}


async def test_patch_is_applied_once_for_many_alternatives(define: Send, service: Service) -> None:
    collection = services_of(service.app).registry.get(await define({"write": "user"}))
    grants = [Grant(at, check=Compare(("status",), "eq", str(at))) for at in range(50)]
    present = {"_id": ObjectId(), "title": "a", "_version": 1}
    asked: list[str] = []

    def change(document: dict[str, Any], *_: Any) -> dict[str, Any]:
        asked.append(document["id"])
        return {**document, "status": "49"}

    policy = WritePolicy(Decision(tuple(grants)), ALLOWED)
    assert ApplyPatch(collection, policy, change).outcome(present)["status"] == "49"
    assert len(asked) == 1


async def test_alternative_setting_invalid_value_falls_through_to_next(service: Service) -> None:
    needs = {
        "if": {"properties": {"kind": {"const": "a"}}, "required": ["kind"]},
        "then": {"required": ["b"]},
    }
    schema = {"type": "object", "properties": {"kind": {"type": "string"}, "b": {"type": "string"}}, **needs}
    write = [{"role": "user", "set": {"kind": "a"}}, {"role": "user", "set": {"kind": "z"}}]
    body = {"name": "kinds", "schema": schema, "rules": {"read": "anyone", "create": write, "update": write}}
    made = await service.client.post("/api/collections", json=body, headers=service.signed_in("admin"))
    assert not [each for each in made.json()["data"]["warnings"] if "never reached" in each]
    ann = service.signed_in()
    kinds = []
    for document in ({"b": "x"}, {}):
        created = await service.client.post("/api/kinds", json=document, headers=ann)
        kinds.append(created.json()["data"]["kind"])
        path = f"/api/kinds/{created.json()['data']['id']}"
        for put in ({"b": "x"}, {}):
            replaced = await service.client.put(path, json=put, headers=ann)
            kinds.append(replaced.json()["data"]["kind"])
    assert kinds == ["a", "a", "z", "z", "a", "z"]
