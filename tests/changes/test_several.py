"""Several subscriptions on one stream: begun together, told apart by their names, continued by one cursor."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from service.changes import several
from service.changes.several import MAXIMUM_SUBSCRIPTIONS
from tests.changes.events import Events, watching
from tests.changes.rooms import SCHEMA, Room, brief
from tests.changes.sockets import connected
from tests.conftest import Service, served
from tests.people import person, sign_in
from tests.services import services_of

STREAMS = "/api/streams"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(mongodb_uri: str) -> AsyncIterator[Service]:
    async with served(mongodb_uri) as service:
        yield service


@pytest.fixture
async def room(service: Service, request: pytest.FixtureRequest) -> Room:
    room = Room(service, f"s{abs(hash(request.node.name)) % 10**12}")
    await room.define()
    return room


def open_stream(room: Room, subscriptions: Any, since: str | None = None, **options: Any) -> Any:
    body = {"subscriptions": subscriptions} | ({} if since is None else {"since": since})
    return watching(room.service.app, STREAMS, body=body, **options)


def of(room: Room, number: int | None = None, **others: Any) -> dict[str, Any]:
    where = {} if number is None else {"filter": {"n": number}}
    return {"collection": room.name} | where | others


def keyed(told: Any) -> tuple[Any, ...]:
    return (told.get("key"), *brief(told))


async def distinct(events: Events, number: int) -> list[tuple[Any, ...]]:
    """Return so many different entries: what was stored a moment before may come twice."""
    found: dict[Any, tuple[Any, ...]] = {}
    while len(found) < number:
        told = await events.next()
        assert told is not None, found
        document = told.get("data", {})
        name = told["key"], told["event"], document.get("id"), document.get("_version")
        found[name] = (told["key"], told["event"], *([document["n"]] if document else []))
    return [*found.values()]


async def test_entries_name_their_subscription(room: Room) -> None:
    one = await room.create({"room": "x", "n": 1})
    both = {"a": of(room, 1), "b": of(room, fields=["n", "_version"], filter={"room": "y"})}
    async with open_stream(room, both) as events:
        assert (events.status, events.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert await distinct(events, 3) == [("a", "put", 1), ("a", "ready"), ("b", "ready")]
        await room.patch(one, {"room": "y"})
        assert {keyed(each) for each in await events.take(2)} == {
            ("a", "put", "change", 1, 2),
            ("b", "put", "enter", 1, 2),
        }
        await room.delete(one)
        assert {keyed(each) for each in await events.take(2)} == {
            ("a", "gone", "delete", one["id"], 2),
            ("b", "gone", "delete", one["id"], 2),
        }


async def test_one_cursor_continues_all_and_loses_nothing(room: Room) -> None:
    both = {"a": of(room, 1), "b": of(room, 2)}
    async with open_stream(room, both) as events:
        await events.take(2)
        await room.create({"n": 1})
        assert keyed(await events.next()) == ("a", "put", "create", 1, 1)
        await room.create({"n": 2})
        assert keyed(await events.next()) == ("b", "put", "create", 2, 1)
        await events.is_silent()
        cursor = events.cursor
    await room.create({"n": 2, "room": "late"})
    for options in ({"last": cursor}, {"since": cursor}):
        async with open_stream(room, both, **options) as again:
            told = [keyed(each) for each in await again.take(3)]
            assert sorted(told, key=str) == [("a", "ready"), ("b", "put", "create", 2, 1), ("b", "ready")]
            assert await again.is_silent()


async def test_cursor_stands_after_all_that_it_comes_after(room: Room) -> None:
    async with open_stream(room, {"a": of(room), "b": of(room)}) as events:
        await events.next()
        assert events.cursor is None, "while one of them begins there is no cursor of all"
        await events.next()
        await events.is_silent()
        before = events.cursor
        await room.create({"n": 1})
        assert keyed(await events.next()) == ("a", "put", "create", 1, 1)
        assert events.cursor == before
        assert keyed(await events.next()) == ("b", "put", "create", 1, 1)
        assert await events.is_silent()
        assert events.cursor != before


async def test_subscription_that_is_added_begins_while_the_others_go_on(room: Room) -> None:
    await room.create([{"n": 1}, {"n": 2}, {"n": 3}])
    async with open_stream(room, {"a": of(room, 1), "b": of(room, 2)}) as events:
        await distinct(events, 4)
        await events.is_silent()
        cursor = events.cursor
    async with open_stream(room, {"a": of(room, 1), "c": of(room, 3)}, last=cursor) as again:
        assert await distinct(again, 3) == [("a", "ready"), ("c", "put", 3), ("c", "ready")]


async def test_subscription_goes_on_from_a_cursor_of_its_own(room: Room) -> None:
    async with room.watch(**{"filter[n]": "1"}) as single:
        await single.until("ready")
    await room.create([{"n": 1}, {"n": 2}])
    since = {"a": of(room, 1, since=single.cursor), "b": of(room, 2, snapshot="none")}
    async with open_stream(room, since) as events:
        told = [keyed(each) for each in await events.take(3)]
    assert {("a", "ready"), ("b", "ready"), ("a", "put", "create", 1, 1)} <= {*told}


async def test_reset_of_one_leaves_the_others_open_and_the_cursor_begins_it_anew(
    room: Room, service: Service
) -> None:
    other = Room(service, f"{room.name}b")
    await other.define()
    await other.create({"n": 7})
    both = {"a": of(room), "b": of(other)}
    async with open_stream(room, both) as events:
        await distinct(events, 3)
        await events.is_silent()
        await other.redefine(schema=SCHEMA | {"required": ["n"]})
        assert await events.next() == {"event": "reset", "key": "b", "why": "definition"}
        await room.create({"n": 1})
        assert keyed(await events.next()) == ("a", "put", "create", 1, 1)
        await events.is_silent()
        cursor = events.cursor
    async with open_stream(room, both, last=cursor) as again:
        assert await distinct(again, 3) == [("a", "ready"), ("b", "put", 7), ("b", "ready")]


async def test_definition_that_changed_meanwhile_resets_one(room: Room, service: Service) -> None:
    other = Room(service, f"{room.name}b")
    await other.define()
    both = {"a": of(room), "b": of(other)}
    async with open_stream(room, both) as events:
        await events.take(2)
        await events.is_silent()
        cursor = events.cursor
    await other.redefine(schema=SCHEMA | {"required": ["n"]})
    async with open_stream(room, both, last=cursor) as again:
        told = await again.take(2)
        assert {"event": "reset", "key": "b", "why": "definition"} in told
        assert {"event": "ready", "key": "a"} in told
    async with open_stream(room, {"b": of(other)}, last=cursor) as alone:
        assert await alone.next() == {"event": "reset", "key": "b", "why": "definition"}
        assert await alone.next() is None, "nothing is left open"


async def test_hidden_documents_are_not_told_on_any_subscription(room: Room) -> None:
    mine = room.headers
    await room.redefine(rules={"read": "owner", "write": "user"})
    async with open_stream(room, {"a": of(room), "b": of(room, 1)}, headers=mine) as events:
        await events.take(2)
        await room.create({"n": 1}, room.service.signed_in())
        own = await room.create({"n": 2})
        told = await events.next()
        assert told is not None
        assert (told["key"], told["data"]["id"]) == ("a", own["id"])
        assert await events.is_silent()


async def test_by_cookie_the_request_needs_the_csrf_token(room: Room) -> None:
    await room.redefine(rules={"read": "user", "write": "user"})
    services = services_of(room.service.app)
    token = room.headers["Authorization"].removeprefix("Bearer ")
    own = {"Cookie": f"sheaf_access={token}", "Origin": "http://sheaf.test", "Host": "sheaf.test"}
    csrf = services.browsers.csrf_token(services.tokens.read(token).session_id or "")
    async with open_stream(room, {"a": of(room)}, headers=own | {"X-CSRF-Token": csrf}) as events:
        assert keyed(await events.next()) == ("a", "ready")
    for headers in (own, own | {"X-CSRF-Token": csrf, "Origin": "https://evil.example"}):
        async with open_stream(room, {"a": of(room)}, headers=headers) as refused:
            assert (refused.status, (await refused.body())["code"]) == (403, "auth.cross_site")


async def test_api_key_watches_within_its_scopes(room: Room, service: Service) -> None:
    device = await sign_in(service.client, person(service.database))
    body = {"name": "page", "scopes": [f"{room.name}:watch"]}
    answer = await service.client.post("/api/keys", json=body, headers=device.headers)
    assert answer.status_code == 201, answer.text
    headers = {"Authorization": f"Bearer {answer.json()['data']['key']}"}
    async with open_stream(room, {"a": of(room)}, headers=headers) as events:
        assert keyed(await events.next()) == ("a", "ready")
    both = {"a": of(room), "b": {"collection": "products"}}
    async with open_stream(room, both, headers=headers) as refused:
        problem = await refused.body()
    assert (refused.status, problem["errors"][0]["pointer"]) == (403, "/subscriptions/b")
    async with connected(service.app, headers) as socket:
        await socket.subscribe("a", collection=room.name)
        await socket.subscribe("b", collection="products")
        told = {(each["event"], each["key"]) for each in await socket.take(2) if each}
        assert told == {("ready", "a"), ("refused", "b")}


@pytest.mark.parametrize(
    ("asked", "pointer", "code"),
    [
        ({"filter": {"nothing": 1}}, "/filter/nothing", "unknown_field"),
        ({"filter": {"secret": "s"}}, "/filter/secret", "unknown_field"),
        ({"filter": {"n": "x"}}, "/filter/n", "type"),
        ({"fields": ["nothing"]}, "/fields/0", "unknown_field"),
        ({"since": "AAAA"}, "/since", "cursor"),
        ({"since": 7}, "/since", "type"),
        ({"snapshot": "some"}, "/snapshot", "enum"),
        ({"sort": "n"}, "/sort", "unknown"),
        ({"collection": 7}, "/collection", "type"),
        ({"collection": "no-such"}, "/collection", "collection.not_found"),
    ],
)
async def test_fault_of_a_subscription_is_refused_at_its_pointer(
    room: Room, asked: dict[str, Any], pointer: str, code: str
) -> None:
    async with open_stream(room, {"a/b": of(room), "b": of(room) | asked}) as refused:
        problem = await refused.body()
    assert refused.status == (404 if code == "collection.not_found" else 400)
    assert [(each["pointer"], each["code"]) for each in problem["errors"]] == [
        (f"/subscriptions/b{pointer}", code)
    ]
    assert not services_of(room.service.app).streams._open


async def test_all_faults_of_all_subscriptions_are_reported_at_once(room: Room, service: Service) -> None:
    hidden = Room(service, f"{room.name}h")
    await hidden.define(rules={"write": "user"})
    asked = {
        "a": of(room, filter={"no": 1, "none": 2}),
        "b": of(hidden),
        "c/d": {"collection": "no-such"},
        "e": of(room),
    }
    async with open_stream(room, asked) as refused:
        problem = await refused.body()
    assert (refused.status, problem["detail"]) == (400, "3 of the subscriptions cannot begin")
    assert [(each["pointer"], each["code"]) for each in problem["errors"]] == [
        ("/subscriptions/a/filter/no", "unknown_field"),
        ("/subscriptions/a/filter/none", "unknown_field"),
        ("/subscriptions/b", "auth.required"),
        ("/subscriptions/c~1d/collection", "collection.not_found"),
    ]
    for headers, status, code in (
        (None, 401, "auth.required"),
        (service.signed_in(), 403, "access.denied"),
    ):
        async with open_stream(room, {"a": of(room), "b": of(hidden)}, headers=headers) as refused:
            problem = await refused.body()
        assert (refused.status, problem["code"]) == (status, code)
        assert [each["pointer"] for each in problem["errors"]] == ["/subscriptions/b"]


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ([], "", "type"),
        ({}, "/subscriptions", "required"),
        ({"subscriptions": []}, "/subscriptions", "type"),
        ({"subscriptions": {}}, "/subscriptions", "length"),
        ({"subscriptions": {"": {}}}, "/subscriptions/", "length"),
        ({"subscriptions": {"a": 7}}, "/subscriptions/a", "type"),
        ({"subscriptions": {"a": {}}}, "/subscriptions/a/collection", "required"),
        ({"subscriptions": {"a": {}}, "since": 7}, "/since", "type"),
        ({"subscriptions": {"a": {"collection": "products"}}, "more": 1}, "/more", "unknown"),
        (
            {"subscriptions": {str(n): {} for n in range(MAXIMUM_SUBSCRIPTIONS + 1)}},
            "/subscriptions",
            "length",
        ),
    ],
)
async def test_body_of_another_form_is_refused(service: Service, body: Any, pointer: str, code: str) -> None:
    answer = await service.client.post(STREAMS, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "parameter.invalid")
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [(pointer, code)]


async def test_cursor_of_other_subscriptions_and_tampered_ones_are_refused(room: Room) -> None:
    async with room.watch() as single:
        await single.until("ready")
    async with open_stream(room, {"a": of(room)}) as events:
        await events.next()
        await events.is_silent()
        cursor = events.cursor or ""
    tampered = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    for wrong in (single.cursor, tampered, "x"):
        async with open_stream(room, {"a": of(room)}, last=wrong) as refused:
            assert (await refused.body())["errors"][0]["parameter"] == "Last-Event-ID"
        async with open_stream(room, {"a": of(room)}, since=wrong) as refused:
            assert (await refused.body())["errors"][0]["pointer"] == "/since"
    async with room.watch(last=cursor) as refused:
        assert refused.status == 400


async def test_cursor_knows_nothing_of_what_another_filter_asks(room: Room) -> None:
    await room.create([{"n": 1}, {"n": 2}])
    async with open_stream(room, {"a": of(room, 1)}) as events:
        await distinct(events, 2)
        await events.is_silent()
    async with open_stream(room, {"a": of(room, 2)}, last=events.cursor) as again:
        assert await distinct(again, 2) == [("a", "put", 2), ("a", "ready")]


async def test_hundred_subscriptions_fit_on_one_stream(room: Room) -> None:
    asked = {f"key {number}": of(room, number) for number in range(MAXIMUM_SUBSCRIPTIONS)}
    async with open_stream(room, asked) as events:
        assert {each["event"] for each in await events.take(MAXIMUM_SUBSCRIPTIONS) if each} == {"ready"}
        await room.create({"n": 42})
        assert keyed(await events.next()) == ("key 42", "put", "create", 42, 1)
        await events.is_silent()
    assert len(events.cursor or "") < 1500
    async with open_stream(room, asked, last=events.cursor) as again:
        assert {each["event"] for each in await again.take(MAXIMUM_SUBSCRIPTIONS) if each} == {"ready"}


async def test_snapshot_too_large_is_refused_before_the_stream_begins(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services_of(room.service.app).catching, "snapshot_limit", 150)
    await room.create([{"n": number} for number in range(151)])
    both = {"a": of(room, 1), "b": of(room)}
    async with open_stream(room, both) as refused:
        problem = await refused.body()
    assert (refused.status, problem["errors"][0]["code"]) == (400, "too_large")
    assert problem["errors"][0]["pointer"] == "/subscriptions/b/filter"

    monkeypatch.setattr(several, "OPENING_BYTES", 1)  # so that `b` begins once the stream has begun
    async with open_stream(room, both) as events:
        assert await distinct(events, 2) == [("a", "put", 1), ("a", "ready")]
        told = next(each for each in await events.until("refused") if each["event"] == "refused")
        assert (told["key"], told["problem"]["status"]) == ("b", 400)
        await events.is_silent()
        await room.create({"n": 1})
        assert keyed(await events.next()) == ("a", "put", "create", 1, 1)


async def test_many_documents_of_several_come_in_order(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    await room.create([{"n": number % 2} for number in range(500)])
    monkeypatch.setattr(several, "OPENING_BYTES", 1000)
    async with open_stream(room, {"a": of(room, 0), "b": of(room, 1)}) as events:
        told = await distinct(events, 502)
    assert told == [
        *[("a", "put", 0)] * 250,
        ("a", "ready"),
        *[("b", "put", 1)] * 250,
        ("b", "ready"),
    ]


async def test_each_subscription_counts_as_a_request(mongodb_uri: str) -> None:
    async with served(mongodb_uri, rate_limit="on", rate_limit_anonymous="10/hour") as limited:
        three = {"subscriptions": {key: {"collection": "products"} for key in "abc"}}
        async with watching(limited.app, STREAMS, body=three) as events:
            assert events.status == 200
            assert events.headers["ratelimit"].startswith('"anonymous";r=7;')
        twelve = {"subscriptions": {key: {"collection": "products"} for key in "abcdefghijkl"}}
        async with watching(limited.app, STREAMS, body=twelve) as refused:
            assert (refused.status, (await refused.body())["code"]) == (429, "rate.limited")


async def test_streams_of_one_user_are_limited_also_these(mongodb_uri: str) -> None:
    async with served(mongodb_uri, streams_per_user=1) as limited:
        body = {"subscriptions": {"a": {"collection": "products"}}}
        headers = limited.signed_in()
        async with (
            watching(limited.app, STREAMS, headers, body=body),
            watching(limited.app, STREAMS, headers, body=body) as refused,
        ):
            assert (refused.status, (await refused.body())["code"]) == (429, "changes.too_many_streams")
        async with watching(limited.app, STREAMS, headers, body=body) as events:
            assert events.status == 200


async def test_plain_get_and_parameters_are_refused(service: Service) -> None:
    answer = await service.client.get(STREAMS)
    assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS, POST")
    body = {"subscriptions": {"a": {"collection": "products"}}}
    answer = await service.client.post(STREAMS, params={"access_token": "x"}, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "parameter.invalid")
