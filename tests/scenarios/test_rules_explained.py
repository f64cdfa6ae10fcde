import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from service.access.explaining import ADMINISTRATOR, NO_RULE
from tests.conftest import Service, bearer, served
from tests.services import services_of

ANN, BOB = "65a000000000000000000001", "65a000000000000000000002"
ESSAYS: dict[str, Any] = {
    "name": "essays",
    "schema": {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "status": {"type": "string"},
            "author": {"type": "string"},
            "score": {"type": "integer"},
            "due": {"type": "string", "format": "date"},
            "secret": {"type": "string", "writeOnly": True},
        },
        "additionalProperties": False,
    },
    "rules": {
        "read": [
            {"role": "anyone", "where": {"status": "published"}, "fields": ["title"]},
            "owner",
            {"role": "user", "where": {"status": {"in": "$user.attributes.desks"}}},
        ],
        "create": "user",
        "update": [
            "role:editor",
            {
                "role": "owner",
                "where": {"due": {"gte": "2026-01-01"}},
                "check": {"status": {"ne": "published"}},
                "set": {"author": "$user.id"},
                "fields": {"except": ["score"]},
            },
        ],
        "watch": "nobody",
    },
}
DRAFT = {"title": "A", "status": "draft", "due": "2026-05-01", "secret": "x"}
MINE = {**DRAFT, "_owner": ANN}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(mongodb_uri: str) -> AsyncIterator[Service]:
    async with served(mongodb_uri) as service:
        made = await service.client.post("/api/collections", json=ESSAYS, headers=service.signed_in("admin"))
        assert made.status_code == 201
        yield service


async def explained(service: Service, question: dict[str, Any]) -> dict[str, Any]:
    answer = await service.client.post(
        "/api/rules/explain",
        json={"collection": "essays", **question},
        headers=service.signed_in("admin"),
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


OWNED_BY_ANN = {"_owner": {"eq": ANN}}


async def test_explain_returns_decision_with_every_alternative(service: Service) -> None:
    caller = {"id": ANN, "attributes": {"desks": ["review", "news"]}}
    assert await explained(service, {"verb": "list", "as": caller}) == {
        "collection": "essays",
        "verb": "list",
        "caller": {"id": ANN, "roles": []},
        "allowed": True,
        "reason": "`/rules/read/0` and `/rules/read/1` and `/rules/read/2` allow it.",
        "deciding": ["/rules/read/0", "/rules/read/1", "/rules/read/2"],
        "filter": {"or": [{"status": "published"}, OWNED_BY_ANN, {"status": {"in": ["review", "news"]}}]},
        "alternatives": [
            {
                "pointer": "/rules/read/0",
                "admits": True,
                "reason": "It admits the caller.",
                "where": {"status": "published"},
                "check": None,
                "set": None,
                "fields": {"only": ["title"]},
            },
            {
                "pointer": "/rules/read/1",
                "admits": True,
                "reason": "It admits the caller.",
                "where": OWNED_BY_ANN,
                "check": None,
                "set": None,
                "fields": None,
            },
            {
                "pointer": "/rules/read/2",
                "admits": True,
                "reason": "It admits the caller.",
                "where": {"status": {"in": ["review", "news"]}},
                "check": None,
                "set": None,
                "fields": None,
            },
        ],
        "seen": None,
        "result": None,
    }


@pytest.mark.parametrize(
    ("question", "allowed", "reason", "reasons"),
    [
        (
            {"verb": "get", "as": "anyone"},
            True,
            "`/rules/read/0` allows it.",
            ["It admits the caller.", "It is for signed-in users.", "It is for signed-in users."],
        ),
        (
            {"verb": "get", "as": {"id": ANN}},
            True,
            "`/rules/read/0` and `/rules/read/1` allow it.",
            [
                "It admits the caller.",
                "It admits the caller.",
                "It does not admit, because the caller has no `$user.attributes.desks`.",
            ],
        ),
        (
            {"verb": "get", "as": {"attributes": {"desks": "news"}}, "document": DRAFT},
            False,
            "No alternative that admits this caller is for this document.",
            [
                "It admits the caller, but its `where` does not hold for this document.",
                "It admits the caller, but its `where` does not hold for this document.",
                "It does not admit, because the caller's `$user.attributes.desks` does not fit the field.",
            ],
        ),
        (
            {"verb": "create", "as": None},
            False,
            "No alternative admits this caller.",
            ["It is for signed-in users."],
        ),
        ({"verb": "watch", "as": {}}, False, NO_RULE, []),
        ({"verb": "delete", "as": {}}, False, NO_RULE, []),
        ({"verb": "delete", "as": {"roles": ["admin"]}}, True, ADMINISTRATOR, []),
        (
            {"verb": "update", "as": {"roles": ["editor"]}, "document": DRAFT},
            True,
            "`/rules/update/0` allows it.",
            [
                "It admits the caller, and decides.",
                "It is not needed: another alternative allows everything that it allows.",
            ],
        ),
        (
            {"verb": "update", "as": {"id": ANN}, "document": MINE, "changes": {"score": 5, "title": "B"}},
            False,
            "`/rules/update/1`: its `fields` do not let `score` be written.",
            [
                "It is for whoever has the role `editor`.",
                "It admits the caller, but its `fields` do not let `score` be written.",
            ],
        ),
        (
            {"verb": "update", "as": {"id": ANN}, "document": MINE, "changes": {"status": "published"}},
            False,
            "`/rules/update/1`: its `check` does not hold for the result.",
            [
                "It is for whoever has the role `editor`.",
                "It admits the caller, but its `check` does not hold for the result.",
            ],
        ),
    ],
    ids=str,
)
async def test_explain_gives_reason_for_each_alternative(
    service: Service, question: dict[str, Any], allowed: bool, reason: str, reasons: list[str]
) -> None:
    told = await explained(service, question)
    assert (told["allowed"], told["reason"]) == (allowed, reason)
    assert [each["reason"] for each in told["alternatives"]] == reasons


async def test_explain_returns_visible_fields_and_stored_result(service: Service) -> None:
    seen = await explained(
        service, {"verb": "get", "as": "anyone", "document": {**MINE, "status": "published"}}
    )
    assert seen["seen"] == {"title": "A"}
    whole = await explained(service, {"verb": "get", "as": {"id": ANN}, "document": MINE})
    assert whole["seen"] == {name: part for name, part in MINE.items() if name != "secret"}
    update = {"verb": "update", "as": {"id": ANN}, "document": MINE, "changes": {"title": None}}
    told = await explained(service, update)
    assert told["allowed"] is True
    assert told["deciding"] == ["/rules/update/1"]
    assert told["result"] == {"status": "draft", "due": "2026-05-01", "author": ANN, "_owner": ANN}
    created = await explained(service, {"verb": "create", "as": {"id": BOB}, "document": {"title": "B"}})
    assert created["result"] == {"title": "B", "_version": 1, "_owner": BOB}


async def test_explain_accepts_ids_of_stored_document_and_account(service: Service) -> None:
    registered = await service.client.post(
        "/api/auth/register",
        json={"email": "ann@example.com", "password": "correct horse battery staple"},
    )
    account_id = registered.json()["data"]["id"]
    headers = bearer(services_of(service.app).tokens, account_id)
    made = await service.client.post("/api/essays", json=DRAFT, headers=headers)
    document_id = made.json()["data"]["id"]
    question = {
        "verb": "update",
        "user_id": account_id,
        "document_id": document_id,
        "changes": {"title": "B"},
    }
    told = await explained(service, question)
    assert (told["caller"]["id"], told["allowed"]) == (account_id, True)
    assert told["result"]["title"] == "B"
    kept = await service.client.get(f"/api/essays/{document_id}", headers=headers)
    assert kept.json()["data"] == made.json()["data"]
    for absent in ({"user_id": ANN}, {"document_id": ANN}):
        answer = await service.client.post(
            "/api/rules/explain",
            json={"collection": "essays", **question, **absent},
            headers=service.signed_in("admin"),
        )
        assert answer.status_code == 404


async def test_explain_of_change_does_not_reveal_write_only_values(service: Service) -> None:
    """Else whether it would be refused told what a writeOnly field holds, which no administrator hears."""
    schema = {"properties": {"title": {}, "hidden": {}, "code": {"type": "string", "writeOnly": True}}}
    sees = {"role": "user", "fields": ["title"]}
    definition = {
        "name": "vaults",
        "schema": {"type": "object", **schema},
        "rules": {"get": sees, "update": sees},
    }
    admin = service.signed_in("admin")
    assert (await service.client.post("/api/collections", json=definition, headers=admin)).status_code == 201
    vault = {"title": "A", "hidden": 1, "code": "right"}
    made = await service.client.post("/api/vaults", json=vault, headers=admin)
    told = {}
    for place in ({"document_id": made.json()["data"]["id"]}, {"document": {**vault, "_version": 1}}):
        question = {"collection": "vaults", "verb": "update", "as": {"id": ANN}, **place}
        for changes in ({"title": "B"}, {"title": "A"}, {"hidden": 1}, {"code": "right"}, {"code": "wrong"}):
            told[str(changes)] = await explained(service, {**question, "changes": changes})
        assert [each["allowed"] for each in told.values()] == [True, True, False, False, False]
        right, wrong = told["{'code': 'right'}"], told["{'code': 'wrong'}"]
        assert right == wrong
        assert {**told["{'title': 'B'}"]["result"]}.items() >= {"title": "B", "hidden": 1}.items()


async def test_explained_filter_matches_list_of_caller(service: Service) -> None:
    headers = service.signed_in("admin")
    for status in ("draft", "published", "review", "published"):
        made = await service.client.post("/api/essays", json={"status": status}, headers=headers)
        assert made.status_code == 201
    told = await explained(service, {"verb": "list", "as": "anyone"})
    found = await service.client.get(
        "/api/essays", params={"filter": json.dumps(told["filter"])}, headers=headers
    )
    listed = await service.client.get("/api/essays")
    ids = [[each["id"] for each in answer.json()["data"]] for answer in (found, listed)]
    assert len(ids[0]) == 2
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("question", "pointer", "code"),
    [
        ({"verb": "fly", "as": None}, "/verb", "enum"),
        ({"as": None}, "/verb", "required"),
        ({"verb": "get"}, "/as", "form"),
        ({"verb": "get", "as": None, "user_id": "x"}, "/as", "form"),
        ({"verb": "get", "as": {"roles": "x"}}, "/as/roles", "type"),
        ({"verb": "get", "as": None, "document": {}, "document_id": "x"}, "/document", "form"),
        ({"verb": "create", "as": None, "document_id": "x"}, "/document_id", "form"),
        ({"verb": "get", "as": None, "document": {}, "changes": {}}, "/changes", "form"),
        ({"verb": "update", "as": None, "changes": {}}, "/changes", "form"),
        ({"verb": "get", "as": None, "document": {"due": "soon"}}, "/document/due", "format"),
        (
            {"verb": "update", "as": None, "document": {}, "changes": {"due": "soon"}},
            "/document/due",
            "format",
        ),
        ({"verb": "get", "as": None, "$where": "1"}, "/$where", "additionalProperties"),
        ({"verb": {"$gt": ""}, "as": None}, "/verb", "type"),
    ],
    ids=str,
)
async def test_explain_with_invalid_question_returns_400(
    service: Service, question: dict[str, Any], pointer: str, code: str
) -> None:
    answer = await service.client.post(
        "/api/rules/explain",
        json={"collection": "essays", **question},
        headers=service.signed_in("admin"),
    )
    assert answer.status_code == 400
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [(pointer, code)]


async def test_explain_requires_admin_role(service: Service) -> None:
    question = {"collection": "essays", "verb": "get", "as": None}
    for headers, status in (({}, 401), (service.signed_in("editor"), 403)):
        answer = await service.client.post("/api/rules/explain", json=question, headers=headers)
        assert answer.status_code == status
    elsewhere = {**question, "collection": "_users"}
    answer = await service.client.post(
        "/api/rules/explain", json=elsewhere, headers=service.signed_in("admin")
    )
    assert answer.status_code == 404
