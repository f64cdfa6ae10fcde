"""Every path that reads, every caller, every field: what is masked makes no difference to any answer."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.scenarios.masked import (
    CALLERS,
    LEAVES,
    OF_OWNERS,
    OF_STRANGERS,
    MaskedService,
    changed,
    open_masked_service,
    view,
)

PATHS = (
    *("title", "level", "part", "vault", "box", "box.code", "box.in", "box.in.x", "lines", "lines.price"),
    *("lines.0.price", "boss", "friend", "_owner"),
)
GUESSES = {
    "level": "2",
    "boss": "p2",
    "friend": "p2",
    "box.code": "code-1",
    "lines.price": "price-1",
    "box.in.x": "x-3",
    "lines.0.price": "price-6",
}
OPERATORS = ("eq", "gt", "exists", "startswith", "size")
CHANGING = {"date", "x-request-id"}


class ReadRequest(NamedTuple):
    """One request, and what came of it."""

    method: str
    url: str
    parameters: tuple[tuple[str, str], ...] = ()
    body: Any = None


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def masked_service(mongodb_uri: str) -> AsyncIterator[MaskedService]:
    async with open_masked_service(mongodb_uri) as opened:
        yield opened


def requests() -> Iterator[ReadRequest]:
    """Yield every request that reads notes."""
    for path in PATHS:
        yield from of_field(path, GUESSES.get(path, f"{path}-1"))
    for text in ("part-1", "title", "code"):
        yield ReadRequest("GET", "/api/notes", (("q", text), ("count", "exact")))
    for references in (
        "friend",
        "boss",
        "friend,boss",
        "friend.peer",
        "friend.chief",
        "boss.peer",
        "boss.chief",
    ):
        yield ReadRequest("GET", "/api/notes", (("expand", references), ("sort", "id")))
        yield ReadRequest("GET", "/api/notes/n1", (("expand", references),))
        yield ReadRequest("GET", "/api/notes", (("expand", references), ("fields", "title")))
    for number in range(8):
        yield ReadRequest("GET", f"/api/notes/n{number}")
    yield ReadRequest("HEAD", "/api/notes/n1")
    yield ReadRequest("HEAD", "/api/notes")
    yield ReadRequest("GET", "/api/notes", (("count", "estimated"),))
    reads = [{"op": "get", "collection": "notes", "id": f"n{number}"} for number in range(8)]
    yield ReadRequest("POST", "/api/batch", body={"operations": reads, "atomic": False})
    for name in ("all", "groups", "first", "led"):
        yield ReadRequest("GET", f"/api/notes/queries/{name}")
    for value in ("part-1", "part-2", "part-1 otherwise"):
        yield ReadRequest("GET", "/api/notes/queries/equal", (("value", value),))
    yield ReadRequest("GET", "/api/notes/queries/nested", (("value", "price-1"),))
    for number in (1, 2, 3):
        for more in ((), (("expand", "peer"),), (("expand", "chief"),), (("fields", "phone"),)):
            yield ReadRequest("GET", f"/api/people/p{number}", more)


def of_field(path: str, guess: str) -> Iterator[ReadRequest]:
    """Yield the requests about one field, with a value that it has in some documents."""
    notes = "/api/notes"
    for operator in OPERATORS:
        value = {"exists": "true", "size": "2"}.get(operator, guess)
        yield ReadRequest("GET", notes, ((f"filter[{path}][{operator}]", value), ("count", "exact")))
    negated = {"not": {path: {"eq": guess}}}
    either = {"or": [{path: {"in": [guess]}}, {"title": "title 1"}]}
    yield ReadRequest("GET", notes, (("filter", json.dumps(negated)),))
    yield ReadRequest("POST", f"{notes}/query", body={"filter": either, "count": "exact"})
    *_, own = path.split(".")
    for condition in ({own: guess}, {"name": "name-last", own: {"exists": True}}):
        yield ReadRequest("POST", f"{notes}/query", body={"filter": {"lines": {"elem": condition}}})
    for sort in (path, f"-{path}", f"title,{path}"):
        yield ReadRequest("GET", notes, (("sort", sort), ("limit", "2")))
    yield ReadRequest(
        "POST", f"{notes}/query", body={"sort": [path], "fields": ["id"], "page": 2, "limit": 2}
    )
    for fields in (path, f"-{path}"):
        yield ReadRequest("GET", notes, (("fields", fields),))
        yield ReadRequest("GET", f"{notes}/n1", (("fields", fields),))
    yield ReadRequest("GET", notes, (("expand", path),))


async def send(masked_service: MaskedService, who: str, asked: ReadRequest) -> httpx.Response:
    return await masked_service.client.request(
        asked.method,
        asked.url,
        params=asked.parameters,
        json=asked.body,
        headers={
            **masked_service.people[who],
            "Accept-Encoding": "identity",
        },  # a random id changes compressed lengths
    )


async def answers(masked_service: MaskedService, who: str) -> dict[str, tuple[Any, ...]]:
    """Return what somebody is answered to every request, and on the pages that cursors lead to."""
    told: dict[str, tuple[Any, ...]] = {}
    for asked in requests():
        answer = await send(masked_service, who, asked)
        told[repr(asked)] = _told(answer)
        body = answer.json() if answer.content and asked.method == "GET" else {}
        if "next" in body and "sort" in dict(asked.parameters):
            parameters = (*asked.parameters, ("cursor", body["next"]))
            following = asked._replace(parameters=parameters)
            told[repr((asked, "next"))] = _told(await send(masked_service, who, following))
    return told


def _told(answer: httpx.Response) -> tuple[Any, ...]:
    headers = {name: value for name, value in answer.headers.items() if name not in CHANGING}
    body = re.sub(rb'"request_id":"[^"]*"', b"", answer.content)
    return answer.status_code, headers, body


@pytest.mark.parametrize("who", ["nobody", "ann", "bob", "editor"])
async def test_masked_values_do_not_affect_any_response(masked_service: MaskedService, who: str) -> None:
    masked_service.store(masked_service.notes, masked_service.persons)
    before = await answers(masked_service, who)
    notes = [
        changed(note, masked_service.sees(who, note), is_removal=number % 3 == 2)
        for number, note in enumerate(masked_service.notes)
    ]
    persons = [
        changed(person, masked_service.sees_of_person(who, person), is_removal=False)
        for person in masked_service.persons
    ]
    assert (notes, persons) != (masked_service.notes, masked_service.persons)
    masked_service.store(notes, persons)
    after = await answers(masked_service, who)
    assert [key for key in before if before[key] != after.get(key)] == []
    assert before.keys() == after.keys()
    assert {status for status, _, _ in before.values()} <= {200, 400, 404}


@pytest.mark.parametrize("who", CALLERS)
async def test_responses_show_documents_as_rules_allow(masked_service: MaskedService, who: str) -> None:
    masked_service.store(masked_service.notes, masked_service.persons)
    views = {
        note["_id"]: view(note, seen)
        for note in masked_service.notes
        if (seen := masked_service.sees(who, note)) is not None
    }
    listed = await send(masked_service, who, ReadRequest("GET", "/api/notes", (("count", "exact"),)))
    assert listed.json()["data"] == list(views.values())
    assert listed.json()["total"] == len(views)
    queried = await send(masked_service, who, ReadRequest("GET", "/api/notes/queries/all"))
    assert queried.json()["data"] == list(views.values())
    for note in masked_service.notes:
        got = await send(masked_service, who, ReadRequest("GET", f"/api/notes/{note['_id']}"))
        expected = views.get(note["_id"])
        assert got.json().get("data") == expected
        assert got.status_code == (404 if expected is None else 200)
        operation = {"op": "get", "collection": "notes", "id": note["_id"]}
        batch = await send(
            masked_service, who, ReadRequest("POST", "/api/batch", body={"operations": [operation]})
        )
        if expected is not None:
            assert batch.json()["data"][0]["data"] == expected


async def test_changed_values_affect_responses_to_admin(masked_service: MaskedService) -> None:
    """Without this the first test might prove nothing."""
    masked_service.store(masked_service.notes, masked_service.persons)
    before = await answers(masked_service, "admin")
    notes = [
        changed(note, masked_service.sees("nobody", note), is_removal=False) for note in masked_service.notes
    ]
    persons = [changed(person, frozenset({"peer"}), is_removal=False) for person in masked_service.persons]
    masked_service.store(notes, persons)
    after = await answers(masked_service, "admin")
    same = [key for key in before if before[key] == after.get(key)]
    assert len(same) < len(before) / 2


@pytest.mark.parametrize("who", ["nobody", "ann", "bob", "editor"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("filter[{}]", "x"),
        ("filter[{}][exists]", "true"),
        ("filter", '{{"{}":{{"ne":"x"}}}}'),
        ("filter", '{{"or":[{{"not":{{"{}":null}}}}]}}'),
        ("sort", "{}"),
        ("sort", "-{}"),
        ("fields", "{}"),
        ("fields", "-{}"),
        ("expand", "{}"),
        ("{}", "x"),
    ],
)
async def test_masked_field_is_indistinguishable_from_unknown_field(
    masked_service: MaskedService, who: str, name: str, value: str
) -> None:
    bodies = []
    for field in ("vault", "wault"):
        parameters = ((name.format(field), value.format(field)),)
        answer = await send(masked_service, who, ReadRequest("GET", "/api/notes", parameters))
        assert answer.status_code == 400
        body = answer.json()
        del body["request_id"]
        bodies.append(json.dumps(body).replace("wault", "vault"))
    assert bodies[0] == bodies[1]
    assert bodies[0].count("vault") == bodies[1].count("vault")


@pytest.mark.parametrize("path", LEAVES)
async def test_suggestions_name_only_visible_fields(masked_service: MaskedService, path: str) -> None:
    for who, seen in (("nobody", OF_STRANGERS), ("bob", OF_OWNERS)):
        answer = await send(masked_service, who, ReadRequest("GET", "/api/notes", (("sort", f"{path}x"),)))
        assert answer.status_code == 400
        assert (f"Did you mean `{path}`?" in answer.text) == (path in seen)


async def test_contract_names_no_masked_fields(masked_service: MaskedService) -> None:
    told = {}
    for who in CALLERS:
        contract = (await send(masked_service, who, ReadRequest("GET", "/api/openapi.json"))).json()
        if who == "nobody":
            assert [error.message for error in OpenAPIV31SpecValidator(contract).iter_errors()] == []
        schemas = {name: each for name, each in contract["components"]["schemas"].items() if "Notes" in name}
        told[who] = json.dumps([schemas, contract["paths"]["/api/notes"]])
    masked = ("vault", "part", "code", "boss", "price")
    assert [name for name in masked if f'"{name}"' in told["nobody"] or f"{name}`" in told["nobody"]] == []
    for who in ("ann", "bob", "editor"):
        assert [name for name in masked if f'"{name}"' not in told[who]] == ["vault"]
        assert "vault" not in told[who]
    assert [name for name in masked if f'"{name}"' not in told["admin"]] == []


async def test_partial_view_has_weak_etag_of_its_fields(masked_service: MaskedService) -> None:
    masked_service.store(masked_service.notes, masked_service.persons)
    tags = {}
    for who in ("nobody", "ann", "bob", "admin"):
        answer = await send(masked_service, who, ReadRequest("GET", "/api/notes/n0"))
        tags[who] = answer.headers["etag"]
        assert answer.headers["cache-control"] == ("private, no-cache" if who != "nobody" else "no-cache")
        headers = {**masked_service.people[who], "If-None-Match": tags[who]}
        assert (await masked_service.client.get("/api/notes/n0", headers=headers)).status_code == 304
    assert tags["admin"] == '"3"'
    assert tags["nobody"].startswith('W/"3-')
    assert tags["ann"].startswith('W/"3-')
    assert tags["bob"] == tags["nobody"] != tags["ann"]
    strong = {**masked_service.people["bob"], "If-None-Match": '"3"'}
    assert (await masked_service.client.get("/api/notes/n0", headers=strong)).status_code == 200
