"""Every path that reads, every caller, every field: what is masked makes no difference to any answer."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.scenarios.masked import CALLERS, LEAVES, OF_OWNERS, OF_STRANGERS, World, changed, open_world, view

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


class Asked(NamedTuple):
    """One request, and what came of it."""

    method: str
    url: str
    parameters: tuple[tuple[str, str], ...] = ()
    body: Any = None


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(mongodb_uri: str) -> AsyncIterator[World]:
    async with open_world(mongodb_uri) as opened:
        yield opened


def requests() -> Iterator[Asked]:
    """Give every request that reads notes."""
    for path in PATHS:
        yield from of_field(path, GUESSES.get(path, f"{path}-1"))
    for text in ("part-1", "title", "code"):
        yield Asked("GET", "/api/notes", (("q", text), ("count", "exact")))
    for references in (
        "friend",
        "boss",
        "friend,boss",
        "friend.peer",
        "friend.chief",
        "boss.peer",
        "boss.chief",
    ):
        yield Asked("GET", "/api/notes", (("expand", references), ("sort", "id")))
        yield Asked("GET", "/api/notes/n1", (("expand", references),))
        yield Asked("GET", "/api/notes", (("expand", references), ("fields", "title")))
    for number in range(8):
        yield Asked("GET", f"/api/notes/n{number}")
    yield Asked("HEAD", "/api/notes/n1")
    yield Asked("HEAD", "/api/notes")
    yield Asked("GET", "/api/notes", (("count", "estimated"),))
    reads = [{"op": "get", "collection": "notes", "id": f"n{number}"} for number in range(8)]
    yield Asked("POST", "/api/batch", body={"operations": reads, "atomic": False})
    for name in ("all", "groups", "first", "led"):
        yield Asked("GET", f"/api/notes/queries/{name}")
    for value in ("part-1", "part-2", "part-1 otherwise"):
        yield Asked("GET", "/api/notes/queries/equal", (("value", value),))
    yield Asked("GET", "/api/notes/queries/nested", (("value", "price-1"),))
    for number in (1, 2, 3):
        for more in ((), (("expand", "peer"),), (("expand", "chief"),), (("fields", "phone"),)):
            yield Asked("GET", f"/api/people/p{number}", more)


def of_field(path: str, guess: str) -> Iterator[Asked]:
    """Give the requests about one field, with a value that it has in some documents."""
    notes = "/api/notes"
    for operator in OPERATORS:
        value = {"exists": "true", "size": "2"}.get(operator, guess)
        yield Asked("GET", notes, ((f"filter[{path}][{operator}]", value), ("count", "exact")))
    negated = {"not": {path: {"eq": guess}}}
    either = {"or": [{path: {"in": [guess]}}, {"title": "title 1"}]}
    yield Asked("GET", notes, (("filter", json.dumps(negated)),))
    yield Asked("POST", f"{notes}/query", body={"filter": either, "count": "exact"})
    *_, own = path.split(".")
    for condition in ({own: guess}, {"name": "name-last", own: {"exists": True}}):
        yield Asked("POST", f"{notes}/query", body={"filter": {"lines": {"elem": condition}}})
    for sort in (path, f"-{path}", f"title,{path}"):
        yield Asked("GET", notes, (("sort", sort), ("limit", "2")))
    yield Asked("POST", f"{notes}/query", body={"sort": [path], "fields": ["id"], "page": 2, "limit": 2})
    for fields in (path, f"-{path}"):
        yield Asked("GET", notes, (("fields", fields),))
        yield Asked("GET", f"{notes}/n1", (("fields", fields),))
    yield Asked("GET", notes, (("expand", path),))


async def send(world: World, who: str, asked: Asked) -> httpx.Response:
    return await world.client.request(
        asked.method,
        asked.url,
        params=asked.parameters,
        json=asked.body,
        headers={
            **world.people[who],
            "Accept-Encoding": "identity",
        },  # a random id changes compressed lengths
    )


async def answers(world: World, who: str) -> dict[str, tuple[Any, ...]]:
    """Give what somebody is answered to every request, and on the pages that cursors lead to."""
    told: dict[str, tuple[Any, ...]] = {}
    for asked in requests():
        answer = await send(world, who, asked)
        told[repr(asked)] = _told(answer)
        body = answer.json() if answer.content and asked.method == "GET" else {}
        if "next" in body and "sort" in dict(asked.parameters):
            parameters = (*asked.parameters, ("cursor", body["next"]))
            following = asked._replace(parameters=parameters)
            told[repr((asked, "next"))] = _told(await send(world, who, following))
    return told


def _told(answer: httpx.Response) -> tuple[Any, ...]:
    headers = {name: value for name, value in answer.headers.items() if name not in CHANGING}
    body = re.sub(rb'"request_id":"[^"]*"', b"", answer.content)
    return answer.status_code, headers, body


@pytest.mark.parametrize("who", ["nobody", "ann", "bob", "editor"])
async def test_nothing_tells_of_what_is_masked(world: World, who: str) -> None:
    world.store(world.notes, world.persons)
    before = await answers(world, who)
    notes = [
        changed(note, world.sees(who, note), is_removal=number % 3 == 2)
        for number, note in enumerate(world.notes)
    ]
    persons = [
        changed(person, world.sees_of_person(who, person), is_removal=False) for person in world.persons
    ]
    assert (notes, persons) != (world.notes, world.persons)
    world.store(notes, persons)
    after = await answers(world, who)
    assert [key for key in before if before[key] != after.get(key)] == []
    assert before.keys() == after.keys()
    assert {status for status, _, _ in before.values()} <= {200, 400, 404}


@pytest.mark.parametrize("who", CALLERS)
async def test_every_answer_shows_documents_as_the_rules_say(world: World, who: str) -> None:
    world.store(world.notes, world.persons)
    views = {
        note["_id"]: view(note, seen) for note in world.notes if (seen := world.sees(who, note)) is not None
    }
    listed = await send(world, who, Asked("GET", "/api/notes", (("count", "exact"),)))
    assert listed.json()["data"] == list(views.values())
    assert listed.json()["total"] == len(views)
    queried = await send(world, who, Asked("GET", "/api/notes/queries/all"))
    assert queried.json()["data"] == list(views.values())
    for note in world.notes:
        got = await send(world, who, Asked("GET", f"/api/notes/{note['_id']}"))
        expected = views.get(note["_id"])
        assert got.json().get("data") == expected
        assert got.status_code == (404 if expected is None else 200)
        operation = {"op": "get", "collection": "notes", "id": note["_id"]}
        batch = await send(world, who, Asked("POST", "/api/batch", body={"operations": [operation]}))
        if expected is not None:
            assert batch.json()["data"][0]["data"] == expected


async def test_what_is_changed_makes_a_difference_to_those_who_see_it(world: World) -> None:
    """Without this the first test might prove nothing."""
    world.store(world.notes, world.persons)
    before = await answers(world, "admin")
    notes = [changed(note, world.sees("nobody", note), is_removal=False) for note in world.notes]
    persons = [changed(person, frozenset({"peer"}), is_removal=False) for person in world.persons]
    world.store(notes, persons)
    after = await answers(world, "admin")
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
async def test_a_field_that_no_alternative_shows_is_as_one_that_does_not_exist(
    world: World, who: str, name: str, value: str
) -> None:
    bodies = []
    for field in ("vault", "wault"):
        parameters = ((name.format(field), value.format(field)),)
        answer = await send(world, who, Asked("GET", "/api/notes", parameters))
        assert answer.status_code == 400
        body = answer.json()
        del body["request_id"]
        bodies.append(json.dumps(body).replace("wault", "vault"))
    assert bodies[0] == bodies[1]
    assert bodies[0].count("vault") == bodies[1].count("vault")


@pytest.mark.parametrize("path", LEAVES)
async def test_suggestions_are_of_fields_that_the_caller_sees(world: World, path: str) -> None:
    for who, seen in (("nobody", OF_STRANGERS), ("bob", OF_OWNERS)):
        answer = await send(world, who, Asked("GET", "/api/notes", (("sort", f"{path}x"),)))
        assert answer.status_code == 400
        assert (f"Did you mean `{path}`?" in answer.text) == (path in seen)


async def test_the_contract_names_no_field_that_no_alternative_shows(world: World) -> None:
    told = {}
    for who in CALLERS:
        contract = (await send(world, who, Asked("GET", "/api/openapi.json"))).json()
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


async def test_who_sees_a_part_has_a_weak_tag_of_that_part(world: World) -> None:
    world.store(world.notes, world.persons)
    tags = {}
    for who in ("nobody", "ann", "bob", "admin"):
        answer = await send(world, who, Asked("GET", "/api/notes/n0"))
        tags[who] = answer.headers["etag"]
        assert answer.headers["cache-control"] == ("private, no-cache" if who != "nobody" else "no-cache")
        headers = {**world.people[who], "If-None-Match": tags[who]}
        assert (await world.client.get("/api/notes/n0", headers=headers)).status_code == 304
    assert tags["admin"] == '"3"'
    assert tags["nobody"].startswith('W/"3-')
    assert tags["ann"].startswith('W/"3-')
    assert tags["bob"] == tags["nobody"] != tags["ann"]
    strong = {**world.people["bob"], "If-None-Match": '"3"'}
    assert (await world.client.get("/api/notes/n0", headers=strong)).status_code == 200
