"""Attacks through what is told of changes: what is hidden stays so, and nobody is flooded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from bson import ObjectId

from service.changes import feeds as feeds_module
from service.changes import streams as streams_module
from service.changes.streams import QUEUE_BYTES, QUEUE_ENTRIES
from tests.changes.events import watching
from tests.changes.rooms import Room, brief
from tests.conftest import Service, served
from tests.services import services_of

SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "open": {"type": "boolean"},
        "salary": {"type": "integer"},
        "pin": {"type": "string", "writeOnly": True},
    },
}
RULES = {
    "read": [{"role": "anyone", "where": {"open": True}, "fields": ["title", "open"]}, "owner"],
    "write": "user",
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(mongodb_uri: str) -> AsyncIterator[Service]:
    changes = {"streams_per_address": 10_000, "streams_per_user": 10_000}
    async with served(mongodb_uri, **changes) as service:
        yield service


@pytest.fixture
async def room(service: Service) -> Room:
    """A collection of which nobody sees more than titles, of what is open, but the owner."""
    room = Room(service, f"r{ObjectId()}")
    await room.define(schema=SCHEMA, rules=RULES)
    return room


async def polled(room: Room, headers: Any = None, **parameters: str) -> Any:
    return await room.service.client.get(f"{room.path}/changes", params=parameters, headers=headers)


# --- A76: a hidden document is told


async def test_a76_hidden_document_is_not_told_nor_its_id_nor_its_end(room: Room) -> None:
    hidden = await room.create({"title": "h1dden", "open": False})
    async with (
        room.watch() as events,
        watching(room.service.app, f"{room.path}/{hidden['id']}") as by_id,
        room.watch(headers=room.service.signed_in(), **{"filter[title]": "h1dden"}) as by_filter,
    ):
        for each in (events, by_id, by_filter):
            assert [brief(told) for told in await each.until("ready")] == [("ready",)]
        cursor = events.cursor
        await room.patch(hidden, {"salary": 7})
        made = await room.create({"title": "h1dden", "open": False})
        await room.patch(made, {"title": "other"})
        await room.delete(made)
        await room.delete(hidden)
        for each in (events, by_id, by_filter):
            assert await each.is_silent()
    page = (await polled(room, since=cursor or "")).json()
    assert page["data"] == []
    absent = ObjectId()
    async with watching(room.service.app, f"{room.path}/{absent}") as nothing:
        assert [brief(told) for told in await nothing.until("ready")] == [("ready",)], "as for what is hidden"


async def test_a76_end_of_the_right_is_told_to_who_had_it_alone(room: Room) -> None:
    one = await room.create({"title": "T", "open": True})
    other = await room.create({"title": "T", "open": False})
    async with room.watch() as events:
        await events.until("ready")
        await room.patch(one, {"open": False})
        await room.patch(other, {"salary": 1})
        told = await events.next()
        assert told == {"event": "gone", "why": "leave", "id": one["id"], "_version": 2}
        await room.patch(one, {"salary": 9})
        await room.delete(one)
        assert await events.is_silent()


# --- A77: leave and enter as an oracle


@pytest.mark.parametrize("name", ["salary", "pin", "_owner", "zzzzzz"])
@pytest.mark.parametrize("operator", ["", "[gt]", "[exists]"])
async def test_a77_filter_on_hidden_field_is_refused_like_an_unknown_one(
    room: Room, name: str, operator: str
) -> None:
    asked = {f"filter[{name}]{operator}": "true" if operator == "[exists]" else "1"}
    async with room.watch(**asked) as events:
        problem = await events.body()
    answer = await polled(room, **asked)
    expected = [(f"filter[{name}]{operator}", "unknown_field")]
    for status, found in ((events.status, problem), (answer.status_code, answer.json())):
        assert status == 400
        errors = [(each["parameter"], each["code"]) for each in found["errors"]]
        assert errors == expected or [code for _, code in errors] == ["unknown_field"]


async def test_a77_filter_through_a_wider_grant_tells_no_more_than_it(room: Room) -> None:
    await room.redefine(
        schema=SCHEMA,
        rules={"read": [{"role": "anyone", "fields": ["title"]}, "owner"], "write": "user"},
    )
    ann = room.service.signed_in()
    async with room.watch(headers=ann, **{"filter[salary]": "7"}) as events:
        await events.until("ready")
        one = await room.create({"title": "T", "salary": 7})
        await room.patch(one, {"salary": 8})
        await room.patch(one, {"salary": 7})
        assert await events.is_silent(), "who sees the title alone does not find out the salary"
        await room.create({"title": "mine", "salary": 7}, ann)
        told = await events.next()
    assert told is not None
    assert told["data"]["title"] == "mine"


async def test_a77_change_of_hidden_fields_alone_tells_the_version_at_most(room: Room) -> None:
    one = await room.create({"title": "T", "open": True, "salary": 1, "pin": "1"})
    async with room.watch() as events:
        (before, _) = await events.until("ready")
        for version, change in ((2, {"salary": 2}), (3, {"pin": "2"})):
            await room.patch(one, change)
            told = await events.next()
            assert told == {"event": "put", "why": "change", "data": before["data"] | {"_version": version}}


# --- A62: cursors


async def test_a62_cursor_of_another_tells_nothing(room: Room, service: Service) -> None:
    ann, bob = service.signed_in(), service.signed_in()
    other = Room(service, f"r{ObjectId()}")
    await other.define(schema=SCHEMA, rules=RULES)
    async with room.watch(headers=ann) as events:
        await events.until("ready")
    cursor = events.cursor or ""
    await room.create({"title": "of Ann", "open": False}, ann)
    half = len(cursor) // 2
    tampered = cursor[:half] + ("A" if cursor[half] != "A" else "B") + cursor[half + 1 :]
    for path, headers, text, expected in (
        (room, bob, cursor, "reset"),
        (room, {}, cursor, "reset"),
        (room, ann, tampered, 400),
        (room, ann, cursor[:-4], 400),
        (room, ann, "AAAA", 400),
        (room, ann, "", None),
        (other, ann, cursor, 400),
    ):
        if expected is None:
            continue
        async with path.watch(headers=headers, last=text) as again:
            if expected == "reset":
                assert await again.next() == {"event": "reset", "why": "rules"}
                assert await again.next() is None
            else:
                assert again.status == expected
                assert (await again.body())["errors"][0]["code"] == "cursor"
        answer = await polled(path, headers, since=text)
        assert answer.status_code == (410 if expected == "reset" else expected)
        assert "of Ann" not in answer.text
    async with room.watch(headers=ann, last=cursor, **{"filter[title]": "of Ann"}) as again:
        assert again.status == 400
    async with room.watch(headers=ann, last=cursor, fields="title") as again:
        assert again.status == 400


# --- A63: a stream after revocation (each cause, on another worker: tests/changes/test_rights.py)


async def test_a63_stream_ends_with_its_session_and_is_not_opened_again(room: Room) -> None:
    services = services_of(room.service.app)
    headers = room.service.signed_in()
    async with room.watch(headers=headers) as events:
        await events.until("ready")
        (stream,) = services.streams._open
        await services.revocations.end_session(str(stream.principal.session_id))
        await services.revocations.catch_up()
        await room.create({"title": "T", "open": True})
        told = await events.until("bye")
        assert (told[-1]["why"], await events.next()) == ("revoked", None)
    async with room.watch(headers=headers, last=events.cursor) as again:
        assert again.status == 401
    assert (await polled(room, headers, since=events.cursor or "")).status_code == 401


# --- A64: streams as a flood


@pytest.mark.parametrize(
    ("bound", "number", "asked", "hint"),
    [
        ("MAXIMUM_UNFILED", 500, {}, "names a value"),
        ("MAXIMUM_ALIKE", 5000, {"filter[open]": "true"}, "names another value"),
    ],
)
async def test_a64_one_filter_too_many_is_refused_while_others_go_on(
    room: Room, monkeypatch: pytest.MonkeyPatch, bound: str, number: int, asked: dict[str, str], hint: str
) -> None:
    await room.redefine(schema=SCHEMA, rules={"read": "anyone", "write": "user"})
    assert getattr(feeds_module, bound) == number
    monkeypatch.setattr(feeds_module, bound, 20)
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(
                room.watch(snapshot="none", **asked, **{"filter[title][gt]": f"{each:03}"})
            )
            for each in range(20)
        ]
        assert {each.status for each in opened} == {200}
        async with room.watch(**asked, **{"filter[title][gt]": "999"}) as refused:
            problem = await refused.body()
        assert (refused.status, problem["code"]) == (422, "changes.too_many_filters")
        assert hint in problem["hint"]
        async with room.watch(snapshot="none", **{"filter[title]": "x"}) as named:
            assert named.status == 200
            await opened[0].until("ready")
            await named.until("ready")
            await room.create({"title": "x", "open": True})
            for events in (opened[0], named):
                assert brief(await events.next())[:2] == ("put", "create")
        assert (await room.service.client.get(room.path)).status_code == 200


async def test_a64_readers_that_read_nothing_hold_little_and_hold_nobody_up(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "QUEUE_BYTES", 20_000)
    assert (QUEUE_ENTRIES, QUEUE_BYTES) == (2000, 1024 * 1024)
    streams = services_of(room.service.app).streams
    async with AsyncExitStack() as stack:
        deaf = [
            await stack.enter_async_context(room.watch(snapshot="none", **{"filter[open]": "true"}))
            for _ in range(10)
        ]
        quick = await stack.enter_async_context(room.watch(snapshot="none"))
        for each in (*deaf, quick):
            await each.until("ready")
        for each in deaf:
            each.stop_reading()
        for number in range(20):
            await room.create({"title": f"{number}" * 2000, "open": True})
            assert brief(await quick.next())[:2] == ("put", "create")
        assert sum(stream.mailbox._bytes for stream in streams._open) < 11 * 25_000
        assert (await room.service.client.get(room.path)).status_code == 200


async def test_a64_idle_streams_are_bounded_and_others_are_answered(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = services_of(room.service.app).streams
    async with AsyncExitStack() as stack:
        for number in range(60):
            filters = {"filter[title]": f"{number}"}
            await stack.enter_async_context(room.watch(snapshot="none", **filters))
        monkeypatch.setattr(streams, "limits", type(streams.limits)(9999, 9999, 60, 60))
        async with room.watch() as refused:
            assert (refused.status, (await refused.body())["code"]) == (503, "service.busy")
        answers = await asyncio.gather(*(room.service.client.get(room.path) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {200}
    assert len(streams) == 0


# --- A65: from other sites


@pytest.mark.parametrize("name", ["access_token", "token", "authorization", "key"])
async def test_a65_token_in_the_query_is_refused(room: Room, name: str) -> None:
    token = room.headers["Authorization"].removeprefix("Bearer ")
    async with room.watch(**{name: token}) as events:
        problem = await events.body()
    answer = await polled(room, **{name: token})
    for status, found in ((events.status, problem), (answer.status_code, answer.json())):
        assert (status, found["code"]) == (400, "parameter.invalid")
        assert token not in str(found)


async def test_a65_page_of_another_site_reads_no_stream(room: Room) -> None:
    async with room.watch(headers={"origin": "https://evil.example", "cookie": "x=y"}) as events:
        assert "access-control-allow-origin" not in events.headers
        assert events.headers["cross-origin-resource-policy"] == "same-origin"
