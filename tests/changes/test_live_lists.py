"""Live lists and documents over HTTP: what is there, what becomes of it, from where one goes on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.changes.events import watching
from tests.changes.rooms import SCHEMA, Room, brief
from tests.conftest import Service, served
from tests.services import services_of


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(mongodb_uri: str) -> AsyncIterator[Service]:
    async with served(mongodb_uri) as service:
        yield service


@pytest.fixture
async def room(service: Service, request: pytest.FixtureRequest) -> Room:
    room = Room(service, f"r{abs(hash(request.node.name)) % 10**12}")
    await room.define(**getattr(request, "param", {}))
    return room


async def test_live_list_tells_what_is_there_and_what_becomes_of_it(room: Room) -> None:
    one = await room.create({"room": "x", "n": 1})
    await room.create({"room": "y", "n": 2})
    async with room.watch(**{"filter[room]": "x"}) as events:
        assert (events.status, events.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert [brief(each) for each in await events.until("ready")] == [
            ("put", "snapshot", 1, 1),
            ("ready",),
        ]
        three = await room.create({"room": "x", "n": 3})
        assert brief(await events.next()) == ("put", "create", 3, 1)
        await room.create({"room": "y", "n": 4})
        await room.patch(three, {"n": 5})
        assert brief(await events.next()) == ("put", "change", 5, 2)
        await room.patch(one, {"room": "y"})
        assert brief(await events.next()) == ("gone", "leave", one["id"], 2)
        await room.patch(one, {"n": 6})
        await room.patch(one, {"room": "x"})
        assert brief(await events.next()) == ("put", "enter", 6, 4)
        await room.delete(three)
        assert brief(await events.next()) == ("gone", "delete", three["id"], 2)
        assert await events.is_silent()


async def test_put_shows_what_a_list_shows(room: Room) -> None:
    async with room.watch(fields="n") as events:
        await events.until("ready")
        made = await room.create({"room": "x", "n": 1, "secret": "s3cret"})
        told = await events.next()
    assert told is not None
    listed = (await room.service.client.get(room.path, params={"fields": "n"})).json()["data"]
    assert told["data"] == listed[0]
    assert "secret" not in str(told)
    assert made["n"] == 1


async def test_live_document_is_told_alone(room: Room) -> None:
    one, two = await room.create({"n": 1}), await room.create({"n": 2})
    async with watching(room.service.app, f"{room.path}/{one['id']}") as events:
        told = [brief(each) for each in await events.until("ready")]  # perhaps twice: it was just stored
        assert (told[0], {each[2:] for each in told[:-1]}) == (("put", "snapshot", 1, 1), {(1, 1)})
        await room.patch(two, {"n": 7})
        await room.patch(one, {"n": 8})
        assert brief(await events.next()) == ("put", "change", 8, 2)
        await room.delete(one)
        assert brief(await events.next()) == ("gone", "delete", one["id"], 2)


async def test_stream_goes_on_where_another_ended_and_loses_nothing(room: Room) -> None:
    async with room.watch(**{"filter[room]": "x"}) as events:
        await events.until("ready")
        one = await room.create({"room": "x", "n": 1})
        await events.next()
    two = await room.create({"room": "x", "n": 2})
    await room.create({"room": "y", "n": 3})
    await room.patch(one, {"room": "y"})
    async with room.watch(last=events.cursor, **{"filter[room]": "x"}) as again:
        told = [brief(each) for each in await again.take(3)]  # `ready` may come before what is just stored
        assert [each for each in told if each != ("ready",)] == [
            ("put", "create", 2, 1),
            ("gone", "leave", one["id"], 2),
        ]
        await room.patch(two, {"n": 9})
        assert brief(await again.next()) == ("put", "change", 9, 2)


async def test_stream_that_has_heard_nothing_can_be_continued(room: Room) -> None:
    async with room.watch(snapshot="none") as events:
        assert [brief(each) for each in await events.until("ready")] == [("ready",)]
    await room.create({"n": 1})
    async with room.watch(last=events.cursor) as again:
        told = [brief(each) for each in await again.take(2)]  # `ready` may come before what is just stored
        assert sorted(told) == [("put", "create", 1, 1), ("ready",)]


async def test_snapshot_that_broke_off_is_continued_where_it_was(room: Room) -> None:
    await room.create([{"n": number} for number in range(500)])
    async with room.watch() as events:
        first = await events.take(200)
        cursor = events.cursor
    new = await room.create({"n": 1000})
    async with room.watch(last=cursor) as again:
        rest = await again.until("ready")
    told = [each["data"]["id"] for each in (*first, *rest) if each and each["event"] == "put"]
    assert len({*told}) == 501
    assert new["id"] in told


async def test_collection_of_a_worker_that_kept_nothing_is_read_again_from_mongodb(room: Room) -> None:
    async with room.watch(snapshot="none") as events:
        await events.until("ready")
    for number in range(5):
        await room.create({"n": number})
    feeds = services_of(room.service.app).feeds
    feeds._feeds.pop(room.name)
    async with room.watch(last=events.cursor) as again:
        told = [brief(each) for each in await again.until("ready")]
    assert told == [*(("put", "create", number, 1) for number in range(5)), ("ready",)]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"sort": "n"}, "unknown_parameter"),
        ({"page": "2"}, "unknown_parameter"),
        ({"limit": "5"}, "unknown_parameter"),
        ({"count": "exact"}, "unknown_parameter"),
        ({"expand": "n"}, "unknown_parameter"),
        ({"q": "word"}, "unknown_parameter"),
        ({"cursor": "x"}, "unknown_parameter"),
        ({"snapshot": "some"}, "enum"),
        ({"since": "AAAA"}, "cursor"),
        ({"filter[nothing]": "1"}, "unknown_field"),
        ({"filter[secret]": "s"}, "unknown_field"),
        ({"nothing": "1"}, "unknown_parameter"),
    ],
)
async def test_parameter_that_means_nothing_here_is_refused_with_a_reason(
    room: Room, parameters: dict[str, str], code: str
) -> None:
    name = next(iter(parameters))
    async with room.watch(**parameters) as events:
        problem = await events.body()
    assert (events.status, problem["code"]) == (400, "parameter.invalid")
    assert [(each["parameter"], each["code"]) for each in problem["errors"]] == [(name, code)]


async def test_cursor_of_another_query_is_refused(room: Room) -> None:
    async with room.watch(**{"filter[room]": "x"}) as events:
        await events.until("ready")
    for parameters in ({"filter[room]": "y"}, {}, {"filter[room]": "x", "fields": "n"}):
        async with room.watch(last=events.cursor, **parameters) as refused:
            assert refused.status == 400
            assert (await refused.body())["errors"][0]["parameter"] == "Last-Event-ID"
    cursor = events.cursor or ""
    tampered = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    async with room.watch(last=tampered, **{"filter[room]": "x"}) as refused:
        assert refused.status == 400


async def test_large_list_is_refused_before_it_begins(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services_of(room.service.app).catching, "snapshot_limit", 150)
    await room.create([{"n": number} for number in range(151)])
    async with room.watch() as refused:
        problem = await refused.body()
    assert (refused.status, problem["errors"][0]["code"]) == (400, "too_large")
    assert "snapshot=none" in problem["hint"]
    async with room.watch(snapshot="none") as events:
        assert events.status == 200


async def test_changed_definition_and_changed_rules_reset(room: Room) -> None:
    async with room.watch() as events:
        await events.until("ready")
        await room.redefine(rules={"read": "user", "write": "user"})
        assert await events.next() == {"event": "reset", "why": "rules"}
        assert (await events.next(), events.cursor) == (None, "")
    headers = room.headers
    async with room.watch(headers=headers) as events:
        await events.until("ready")
        cursor = events.cursor
        await room.redefine(schema=SCHEMA | {"required": ["n"]}, rules={"read": "user", "write": "user"})
        assert await events.next() == {"event": "reset", "why": "definition"}
    async with room.watch(headers=headers, last=cursor) as events:
        assert await events.next() == {"event": "reset", "why": "definition"}
        assert await events.next() is None


async def test_what_one_transaction_changed_comes_together_and_is_not_parted(room: Room) -> None:
    async with room.watch(snapshot="none") as events:
        await events.until("ready")
        before = events.cursor
        await room.create([{"n": number} for number in range(3)])
        told = []
        cursors = []
        for _ in range(3):
            told.append(brief(await events.next()))
            cursors.append(events.cursor)
    assert told == [("put", "create", number, 1) for number in range(3)]
    assert len({*cursors[:2]} | {before}) <= 2
    async with room.watch(last=cursors[1]) as again:
        assert len(await again.until("ready")) == 4, "a cursor within it leads before all of it"
    async with room.watch(last=cursors[2]) as again:
        assert len(await again.until("ready")) == 1


async def test_drop_past_the_service_resets(room: Room) -> None:
    await room.create({"n": 1})
    async with room.watch() as events:
        await events.until("ready")
        room.service.database.drop_collection(room.name)
        assert await events.next() == {"event": "reset", "why": "definition"}


async def test_write_past_the_service_is_told(room: Room) -> None:
    async with room.watch(snapshot="none") as events:
        await events.until("ready")
        room.service.database[room.name].insert_one({"n": 7})
        told = await events.next()
    assert told is not None
    assert (told["event"], told["why"], told["data"]["n"]) == ("put", "create", 7)


async def read_all(room: Room, **parameters: str) -> list[Any]:
    """Follow pages of changes until there is nothing more."""
    told: list[Any] = []
    following: dict[str, str] = {}
    while True:
        path = f"{room.path}/changes"
        answer = await room.service.client.get(path, params=parameters | following)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        told += page["data"]
        following = {"since": page["next"]}
        if page["up_to_date"]:
            return [*told, page["next"]]


async def test_polling_is_one_loop_on_next(room: Room) -> None:
    await room.create([{"room": "x", "n": number} for number in range(25)])
    *told, following = await read_all(room, limit="10", **{"filter[room]": "x"})
    numbers = [brief(each)[2] for each in told]
    assert numbers[:25] == [*range(25)]
    assert {*numbers[25:]} <= {*range(25)}, "what was stored a moment before may come twice"
    late = await room.create({"room": "x", "n": 99})
    for number in range(3):
        await room.patch(late, {"n": number})
    await asyncio.sleep(1)  # until this worker has heard of all of it
    answer = await room.service.client.get(
        f"{room.path}/changes", params={"since": following, "filter[room]": "x"}
    )
    assert [brief(each) for each in answer.json()["data"]] == [("put", "change", 2, 4)], "the newest alone"
    assert answer.json()["up_to_date"] is True


async def test_poll_waits_until_there_is_something(room: Room) -> None:

    *_, following = await read_all(room)
    path, parameters = f"{room.path}/changes", {"since": following, "wait": "10"}
    waiting = asyncio.create_task(room.service.client.get(path, params=parameters))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await room.create({"n": 1})
    page = (await waiting).json()
    assert [brief(each) for each in page["data"]] == [("put", "create", 1, 1)]
    answer = await room.service.client.get(path, params={"since": page["next"], "wait": "1"})
    assert answer.json()["data"] == []


async def test_poll_with_a_cursor_that_is_of_no_use_is_410(room: Room) -> None:
    *_, following = await read_all(room)
    await room.redefine(schema=SCHEMA | {"required": ["n"]})
    answer = await room.service.client.get(f"{room.path}/changes", params={"since": following})
    assert (answer.status_code, answer.json()["code"]) == (410, "changes.expired")


@pytest.mark.parametrize("parameters", [{"limit": "0"}, {"limit": "1001"}, {"wait": "31"}, {"wait": "x"}])
async def test_poll_out_of_range_is_refused(room: Room, parameters: dict[str, str]) -> None:
    answer = await room.service.client.get(f"{room.path}/changes", params=parameters)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "range")


async def test_page_does_not_end_within_a_transaction(room: Room) -> None:
    *_, following = await read_all(room)
    await room.create([{"n": number} for number in range(25)])
    await room.create({"n": 25})
    await asyncio.sleep(1)  # until this worker has heard of all of it
    path = f"{room.path}/changes"
    first = (await room.service.client.get(path, params={"since": following, "limit": "10"})).json()
    assert [brief(each)[2] for each in first["data"]] == [*range(25)]
    rest = (await room.service.client.get(path, params={"since": first["next"], "limit": "10"})).json()
    assert ([brief(each)[2] for each in rest["data"]], rest["up_to_date"]) == ([25], True)
