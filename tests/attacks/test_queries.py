"""Attacks through the query: none reaches the database, none is slow, none tells what is hidden."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.attacks.conftest import AttackedService, Place, made
from tests.pace import within

LONG_S = 1.0


def nested(word: str, levels: int) -> str:
    return f'{{"{word}":[' * levels + '{"price":1}' + "]}" * levels


QUERIES: list[Any] = [
    pytest.param("filter", '{"$where":"sleep(5000)"}', id="A3-where"),
    pytest.param("filter", '{"or":[{"$expr":{"$gt":["$price",1]}}]}', id="A3-expr-within-or"),
    pytest.param("filter", '{"not":{"$function":{"body":"f","args":[],"lang":"js"}}}', id="A3-function"),
    pytest.param("filter", '{"price":{"$gt":0}}', id="A3-operator-of-the-database"),
    pytest.param("filter", '{"price":{"gt":{"$gt":0}}}', id="A3-operator-as-a-value"),
    pytest.param("filter[$where]", "1", id="A3-where-in-brackets"),
    pytest.param("filter[price][$gt]", "0", id="A3-operator-in-brackets"),
    pytest.param("filter[name.$where]", "1", id="A3-where-in-a-path"),
    pytest.param("filter[_id]", "0" * 24, id="A9-stored-name-of-the-id"),
    pytest.param("sort", "password_hash", id="A9-sort-by-what-is-not-there"),
    pytest.param("fields", "_class", id="A9-fields-that-are-not-there"),
    pytest.param("cursor", "eyJpZCI6MX0", id="A9-forged-cursor"),
    pytest.param("where[name][$startsWith]", "a", id="A11-foreign-dialect"),
    pytest.param("$where", "1", id="A11-operator-as-a-parameter"),
    pytest.param("_method", "DELETE", id="A11-unknown-parameter"),
    pytest.param("price", "1", id="A11-field-as-a-parameter"),
    pytest.param("filter", nested("or", 11), id="A13-deep"),
    pytest.param("filter", nested("or", 900), id="A13-very-deep"),
    pytest.param("filter", '{"price":{"in":[' + ",".join(["1"] * 10_000) + "]}}", id="A13-long-list"),
    pytest.param("filter", '{"or":[' + ",".join(['{"price":1}'] * 500) + "]}", id="A13-wide"),
    pytest.param("filter[name][icontains]", "(a+)+" * 1000, id="A13-long-text"),
    pytest.param("sort", "name," * 2000, id="A13-many-sort-keys"),
    pytest.param("filter", '{"price":1,"price":2}', id="A14-duplicate-key"),
    pytest.param("filter", '{"price":NaN}', id="A14-nan"),
    pytest.param("filter", '{"price":1e400}', id="A14-infinite"),
    pytest.param("filter", '{"price":' + "9" * 10_000 + "}", id="A14-long-integer"),
    pytest.param("filter", '{"price":9223372036854775808}', id="A14-beyond-64-bits"),
    pytest.param("filter", '{"\\ud800":1}', id="A14-half-a-character"),
    pytest.param("filter[price]", "NaN", id="A14-nan-in-brackets"),
    pytest.param("filter[price]", "1e309", id="A14-infinite-in-brackets"),
    pytest.param("filter[price]", "\u0663", id="A14-digits-of-another-script"),
    pytest.param("limit", "1e2", id="A14-limit-with-an-exponent"),
    pytest.param("limit", "\u0661", id="A14-limit-in-another-script"),
    pytest.param("limit", "-0", id="A14-limit-of-minus-zero"),
    pytest.param("page", "9" * 4000, id="A14-page-beyond-all"),
    pytest.param("filter[__class__.__init__]", "1", id="A40-attribute-of-a-class"),
]


@pytest.mark.parametrize(("parameter", "text"), QUERIES)
async def test_hostile_query_parameter_returns_400_quickly(
    attacked: AttackedService, place: Place, parameter: str, text: str
) -> None:
    with within(LONG_S):
        answer = await attacked.client.get(f"{place.path}?{quote(parameter)}={quote(text)}")
    assert (answer.status_code, answer.json()["code"]) == (400, "parameter.invalid")
    assert (await attacked.client.get(f"{place.path}/{place.mug['id']}")).json()["data"] == place.mug


@pytest.mark.parametrize("text", ["(a+)+$", ".*", "^Mug", "[M]ug", "M|ug", "\\", "("])
@pytest.mark.parametrize("operator", ["contains", "icontains", "startswith"])
async def test_a12_regex_characters_in_text_filters_match_literally(
    attacked: AttackedService, place: Place, operator: str, text: str
) -> None:
    literal = await made(attacked, place.path, {"name": text, "price": 1}, "ann")
    answer = await attacked.client.get(place.path, params={f"filter[name][{operator}]": text})
    await attacked.client.delete(f"{place.path}/{literal['id']}", headers=attacked.people["ann"])
    assert answer.json()["data"] == [literal]


ASKING: list[Any] = [
    pytest.param({"filter[{name}]": "x"}, id="A7-compare"),
    pytest.param({"filter[{name}][exists]": "true"}, id="A7-exists"),
    pytest.param({"filter": '{"or":[{"and":[{"{name}":{"exists":true}}]}]}'}, id="A8-within-logic"),
    pytest.param({"filter": '{"not":{"{name}":"x"}}'}, id="A8-negated"),
    pytest.param({"sort": "-{name}"}, id="A9-sort"),
    pytest.param({"fields": "{name}"}, id="A9-fields"),
    pytest.param({"fields": "-{name}"}, id="A9-left-out"),
]


@pytest.mark.parametrize("query", ASKING)
@pytest.mark.parametrize(
    ("hidden", "absent"), [("secret", "zzzzzz"), ("parts.key", "parts.zzz"), ("parts.0.key", "parts.0.zzz")]
)
async def test_query_on_hidden_field_returns_same_error_as_unknown_field(
    attacked: AttackedService, query: dict[str, str], hidden: str, absent: str
) -> None:
    told = []
    for name in (hidden, absent):
        asked = {key.replace("{name}", name): text.replace("{name}", name) for key, text in query.items()}
        answer = await attacked.client.get("/api/vault", params=asked)
        assert answer.status_code == 400
        problem = answer.json()
        problem.pop("request_id")
        told.append(json.dumps(problem).replace(name, "…"))
    assert told[0] == told[1]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"parts":{"elem":{"key":"k3y"}}}', id="A8-element"),
        pytest.param('{"parts":{"elem":{"not":{"key":{"exists":false}}}}}', id="A8-element-negated"),
    ],
)
async def test_elem_filter_on_hidden_field_returns_400(attacked: AttackedService, text: str) -> None:
    answer = await attacked.client.get("/api/vault", params={"filter": text})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "unknown_field")


async def test_a39_no_response_contains_hidden_value(attacked: AttackedService) -> None:
    client, ann = attacked.client, attacked.people["ann"]
    created = await client.post("/api/vault", json={"name": "Bag", "secret": "s3cret"}, headers=ann)
    path = created.headers["location"]
    answers = [
        created,
        await client.get("/api/vault"),
        await client.get(path),
        await client.patch(path, json={"name": "Case"}, headers=ann),
        await client.put(path, json={"name": "Case", "secret": "s3cret"}, headers=ann),
        await client.post("/api/vault", json={"name": 1, "secret": "s3cret"}, headers=ann),
        await client.post(
            "/api/vault", json={"secret": ["s3cret"], "parts": [{"key": 8675309.25}]}, headers=ann
        ),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200, 400, 400]
    for secret in ("s3cret", "k3y", "8675309"):
        assert not [answer.text for answer in answers if secret in answer.text]
