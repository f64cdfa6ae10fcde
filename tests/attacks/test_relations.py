"""Attacks through references: expanding them neither opens what is closed nor tells of it."""

import json
from typing import Any

import pytest
import pytest_asyncio

from tests.attacks.conftest import AttackedService, made

ABSENT = "5" * 24


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def letter(attacked: AttackedService) -> dict[str, Any]:
    """Ann's letter, about a box with a secret, her diary, and the administrator's plan."""
    box = await made(
        attacked, "/api/vault", {"name": "Safe", "secret": "s3cret", "parts": [{"key": "k3y"}]}, "ann"
    )
    diary = await made(attacked, "/api/diaries", {"text": "d3ar diary"}, "ann")
    plan = await made(attacked, "/api/plans", {"name": "pl4n"}, "admin")
    body = {"box": box["id"], "diary": diary["id"], "plan": plan["id"]}
    return await made(attacked, "/api/letters", body, "ann")


ASKING: list[Any] = [
    pytest.param({"filter[{name}]": "s3cret"}, id="A10-compare"),
    pytest.param({"filter[{name}][startswith]": "s"}, id="A10-guess-letter-by-letter"),
    pytest.param({"filter": '{"or":[{"not":{"{name}":{"exists":false}}}]}'}, id="A10-within-logic"),
    pytest.param({"filter": '{"box":{"elem":{"secret":"s3cret"}}}'}, id="A10-element"),
    pytest.param({"sort": "-{name}"}, id="A10-sort"),
    pytest.param({"fields": "{name}"}, id="A10-fields"),
    pytest.param({"fields": "-{name}"}, id="A10-left-out"),
    pytest.param({"expand": "{name}"}, id="A10-expand"),
]


@pytest.mark.parametrize("query", ASKING)
@pytest.mark.parametrize(
    "path", ["box.{}", "_expanded.box.{}", "box._expanded.{}", "box.0.{}", "box.$id.{}", "box..{}"]
)
async def test_query_on_field_of_expanded_reference_returns_400(
    attacked: AttackedService, letter: dict[str, Any], query: dict[str, str], path: str
) -> None:
    told = []
    for field in ("secret", "zzzzzz"):
        name = path.format(field)
        asked = {key.replace("{name}", name): text.replace("{name}", name) for key, text in query.items()}
        answer = await attacked.client.get("/api/letters", params={"expand": "box"} | asked)
        assert (answer.status_code, answer.json()["code"]) == (400, "parameter.invalid")
        told.append(json.dumps(answer.json()["errors"]).replace(field, "…"))
    assert told[0] == told[1]
    assert (await attacked.client.get(f"/api/letters/{letter['id']}")).json() == {"data": letter}


async def test_a10_expanded_document_omits_hidden_fields(
    attacked: AttackedService, letter: dict[str, Any]
) -> None:
    for who in attacked.people:
        for path in ("/api/letters", f"/api/letters/{letter['id']}"):
            answer = await attacked.client.get(path + "?expand=box", headers=attacked.people[who])
            assert '"name":"Safe"' in answer.text
            assert "s3cret" not in answer.text
            assert "k3y" not in answer.text


async def test_a10_unreadable_referenced_document_expands_to_null_like_missing(
    attacked: AttackedService, letter: dict[str, Any]
) -> None:
    without = await made(attacked, "/api/letters", {**_own(letter), "diary": ABSENT}, "ann")
    told = []
    for each in (letter, without):
        path = f"/api/letters/{each['id']}?expand=diary"
        answer = await attacked.client.get(path, headers=attacked.people["bob"])
        assert answer.json() == {"data": {**each, "_expanded": {"diary": None}}}
        told.append((answer.status_code, sorted(answer.headers.keys())))
        if each is letter:
            assert "d3ar diary" in (await attacked.client.get(path, headers=attacked.people["ann"])).text
    assert told[0] == told[1]
    await attacked.client.delete(f"/api/letters/{without['id']}", headers=attacked.people["ann"])


@pytest.mark.parametrize("expand", ["plan", "plan.name", "plan.secret", "plan.nothing", "box,plan"])
@pytest.mark.parametrize(("who", "status"), [(None, 401), ("ann", 403), ("bob", 403)])
async def test_a10_expand_into_unreadable_collection_is_refused(
    attacked: AttackedService, letter: dict[str, Any], expand: str, who: str | None, status: int
) -> None:
    for path in ("/api/letters", f"/api/letters/{letter['id']}", f"/api/letters/{ABSENT}"):
        answer = await attacked.client.get(path, params={"expand": expand}, headers=attacked.people[who])
        problem = answer.json()
        detail = "`expand` needs the right to read documents of `plans`"
        assert (answer.status_code, problem["detail"], len(problem["errors"])) == (status, detail, 1)


@pytest.mark.parametrize(
    "name", ["_users", "users", "_collections", "collections", "../users", "a.b", "", "Vault"]
)
async def test_a10_reference_to_system_collection_or_bad_name_is_refused(
    attacked: AttackedService, name: str
) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "x-collection": name}}}
    before = attacked.stored()
    answer = await attacked.client.post(
        "/api/collections", json={"name": "spies", "schema": schema}, headers=attacked.people["admin"]
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "definition.invalid")
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/schema/properties/a/x-collection"]
    assert attacked.stored() == before


def _own(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "id" and not name.startswith("_")}
