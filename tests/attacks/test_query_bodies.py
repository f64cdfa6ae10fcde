"""Attacks through a query sent as a body, through words to search for, and through places."""

import json
from typing import Any

import pytest

from tests.attacks.conftest import AttackedService, Place, made
from tests.attacks.test_queries import LONG_S, QUERIES, nested
from tests.pace import within

BODIES: list[Any] = [
    *(
        pytest.param(f'{{"filter":{text}}}', id=f"{query.id}")
        for query in QUERIES
        for parameter, text in [query.values]
        if parameter == "filter"
    ),
    pytest.param('{"filter":' + '{"not":' * 3000 + "{}" + "}" * 3001, id="A13-deeper-than-json-may-be"),
    pytest.param('{"sort":' + json.dumps(["name"] * 9) + "}", id="A13-many-sort-keys"),
    pytest.param('{"fields":' + json.dumps(["name"] * 10_000) + "}", id="A13-many-fields"),
    pytest.param('{"q":"' + "oak " * 10_000 + '"}', id="A13-long-search"),
    pytest.param('{"q":"' + "x" * 300_000 + '"}', id="A13-long-body"),
    pytest.param('{"q":{"$search":"oak"}}', id="A3-operator-as-a-search"),
    pytest.param('{"cursor":{"$gt":""}}', id="A3-operator-as-a-cursor"),
    pytest.param('{"sort":{"price":-1}}', id="A11-sort-of-another-dialect"),
    pytest.param('{"projection":{"name":1}}', id="A11-projection"),
    pytest.param('{"selector":{"name":"Mug"}}', id="A11-selector"),
    pytest.param('{"where":{"name":{"startsWith":"M"}}}', id="A11-where"),
    pytest.param('{"$or":[{"name":"Mug"}]}', id="A11-operator-as-a-member"),
    pytest.param('{"aggregate":[{"$lookup":{"from":"_users"}}]}', id="A11-pipeline"),
    pytest.param('{"price":9.5}', id="A11-field-as-a-member"),
    pytest.param('{"limit":1e2}', id="A14-limit-as-a-double"),
    pytest.param('{"limit":' + "9" * 4000 + "}", id="A14-limit-beyond-all"),
    pytest.param('{"page":true}', id="A14-page-as-a-boolean"),
    pytest.param("[]", id="A14-array"),
    pytest.param("null", id="A14-null"),
]


@pytest.mark.parametrize("body", BODIES)
async def test_hostile_query_body_returns_400_quickly(
    attacked: AttackedService, place: Place, body: str
) -> None:
    headers = {"Content-Type": "application/json"}
    with within(LONG_S):
        answer = await attacked.client.post(f"{place.path}/query", content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] in {"parameter.invalid", "json.invalid"}
    assert len(answer.content) < 40_000
    assert (await attacked.client.get(f"{place.path}/{place.mug['id']}")).json()["data"] == place.mug


POINT = '{"point":[8,47],"distance_m":5}'
ASKING: list[Any] = [
    pytest.param('{"filter":{"{name}":"x"}}', id="A7-compare"),
    pytest.param('{"filter":{"{name}":{"exists":true}}}', id="A7-exists"),
    pytest.param('{"filter":{"{name}":{"near":' + POINT + "}}}", id="A7-place"),
    pytest.param('{"filter":{"or":[{"and":[{"{name}":{"exists":true}}]}]}}', id="A8-within-logic"),
    pytest.param('{"filter":{"not":{"{name}":"x"}}}', id="A8-negated"),
    pytest.param('{"sort":["name","-{name}"]}', id="A9-sort"),
    pytest.param('{"fields":"{name}"}', id="A9-fields"),
    pytest.param('{"fields":["-{name}"]}', id="A9-left-out"),
    pytest.param('{"expand":["{name}"]}', id="A10-expand"),
]
NAMES = [("secret", "zzzzzz"), ("parts.key", "parts.zzz"), ("parts.0.key", "parts.0.zzz")]


@pytest.mark.parametrize("body", ASKING)
@pytest.mark.parametrize(("hidden", "absent"), NAMES)
async def test_query_body_on_hidden_field_returns_same_error_as_unknown_field(
    attacked: AttackedService, body: str, hidden: str, absent: str
) -> None:
    told = []
    for name in (hidden, absent):
        content = body.replace("{name}", name)
        headers = {"Content-Type": "application/json"}
        answer = await attacked.client.post("/api/vault/query", content=content, headers=headers)
        assert answer.status_code == 400
        problem = answer.json()
        problem.pop("request_id")
        told.append(json.dumps(problem).replace(name, "…"))
    assert told[0] == told[1]


@pytest.mark.parametrize("condition", ['{"key":"k3y"}', '{"not":{"key":{"exists":false}}}', '{"eq":"k3y"}'])
async def test_a8_elem_filter_in_body_on_hidden_field_returns_400(
    attacked: AttackedService, condition: str
) -> None:
    query = {"filter": {"parts": {"elem": json.loads(condition)}}}
    answer = await attacked.client.post("/api/vault/query", json=query)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] in {"unknown_field", "unknown_operator", "operator"}


async def test_a7_text_search_ignores_and_does_not_name_hidden_fields(attacked: AttackedService) -> None:
    hidden = {"type": "string", "writeOnly": True}
    body: dict[str, Any] = {
        "name": "attic",
        "schema": {"type": "object", "properties": {"name": {"type": "string"}, "secret": hidden}},
        "rules": {"read": "anyone", "write": "user"},
    }
    refused = {}
    for name in ("secret", "zzzzzz"):
        answer = await attacked.client.post(
            "/api/collections", json={**body, "indexes": [{"text": [name]}]}, headers=attacked.people["admin"]
        )
        assert answer.status_code == 400
        refused[name] = answer.json()["errors"][0]["code"]
    assert refused["secret"] == refused["zzzzzz"] == "unknown_field"
    await made(attacked, "/api/collections", {**body, "indexes": [{"text": ["name"]}]}, "admin")
    await made(attacked, "/api/attic", {"name": "Box", "secret": "s3cret"}, "ann")
    for words, count in (("box", 1), ("s3cret", 0), ('"s3cret"', 0), ("box -s3cret", 1)):
        answer = await attacked.client.get("/api/attic", params={"q": words})
        assert (answer.status_code, len(answer.json()["data"])) == (200, count)
    answer = await attacked.client.get("/api/vault", params={"q": "s3cret"})
    assert answer.json()["hint"] == 'Add the index {"text": ["name"]} to the collection.'


WORDS = [
    "$where",
    '{"$gt":""}',
    "(a+)+$",
    ".*",
    '"unfinished',
    "-",
    "--mug",
    "\\",
    "' || 1==1",
    "\x00",
    "\u202e",
]


@pytest.mark.parametrize("words", WORDS)
async def test_a3_a12_hostile_search_words_are_taken_literally(attacked: AttackedService, words: str) -> None:
    path, mug = attacked.places["code-first"]
    for query in ({"q": words}, {"q": f"mug {words}", "filter[name]": "Mug"}):
        with within(LONG_S / 2):
            answer = await attacked.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        assert all(found == mug for found in answer.json()["data"])


async def test_a13_expensive_polygon_filters_return_400_quickly(attacked: AttackedService) -> None:
    ring = [[n % 7 + n / 100, n * 3 % 11] for n in range(99)]
    star = {"within": {"polygon": [[*ring, ring[0]]]}}
    with within(LONG_S):
        for filters in (
            {"spot": star},
            {"or": [{"spot": star}] * 90},
            json.loads(nested("and", 9)) | {"spot": star},
        ):
            answer = await attacked.client.post("/api/free/query", json={"filter": filters})
            assert (answer.status_code, answer.json()["code"]) == (400, "parameter.invalid")
