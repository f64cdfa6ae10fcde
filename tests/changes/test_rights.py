"""Who is told what: by rules, by masks, and for as long as the right lasts, on every worker."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from bson import ObjectId
from litestar import Litestar

from service.access.principals import Principal
from service.app import create_app
from service.changes import entries
from service.changes.mailbox import Mailbox
from service.changes.streams import Stream
from tests.changes.events import watching
from tests.changes.rooms import SCHEMA, Room, brief
from tests.conftest import Service, connect, opened, served, settings_of
from tests.pace import within
from tests.people import PASSWORD, Device, Person, person, sign_in
from tests.services import services_of

IN_FORCE_S = 2.0
"""How long a change of rights may take until it is in force on another worker."""


class Workers:
    """Two applications on one database: what one is told in a request, streams of the other follow."""

    def __init__(self, service: Service, other: Litestar, client: httpx.AsyncClient) -> None:
        self.service = service
        self.other = other
        self.client = client
        """Of the other one."""

        self.admin = service.signed_in("admin")

    def token(self, *roles: str, **members: Any) -> dict[str, str]:
        """Return the headers of a user of their own with attributes and others that rules may ask for."""
        user_id = members.pop("id", None) or str(ObjectId())
        who = Principal("user", user_id, frozenset(roles), session_id=f"session-of-{user_id}", **members)
        return {"Authorization": f"Bearer {services_of(self.service.app).tokens.issue(who)}"}

    async def asked(self, method: str, path: str, body: Any = None, headers: Any = None) -> Any:
        answer = await self.service.client.request(method, path, json=body, headers=headers or self.admin)
        assert answer.is_success, answer.text
        return answer.json()["data"] if answer.content else None

    async def room(self, **parts: Any) -> Room:
        """Make a collection, which both know when this returns."""
        room = Room(self.service, f"r{ObjectId()}")
        room.headers = self.admin
        await room.define(**parts)
        await self.both_know(room)
        return room

    async def both_know(self, room: Room) -> None:
        source = services_of(self.service.app).registry.get(room.name).description.source
        registry = services_of(self.other).registry
        async with asyncio.timeout(10):
            while True:
                known = {each.name: each.description.source for each in registry.all()}
                if known.get(room.name) == source:
                    return
                await asyncio.sleep(0.02)


@asynccontextmanager
async def two_workers(mongodb_uri: str, directory: Path) -> AsyncIterator[Workers]:
    async with served(mongodb_uri) as first:
        app = create_app(settings_of(mongodb_uri, directory, first.database.name))
        async with opened(app), connect(app) as client:
            # The later one has Beanie's classes, which are one process's: what changes accounts asks it.
            yield Workers(replace(first, app=app, client=client), first.app, first.client)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def workers(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Workers]:
    async with two_workers(mongodb_uri, tmp_path_factory.mktemp("other")) as found:
        yield found


# --- which documents

TEAM = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "team": {"type": "string"},
        "title": {"type": "string"},
        "notes": {"type": "string"},
        "published": {"type": "string", "format": "date-time"},
        "pin": {"type": "string", "writeOnly": True},
    },
}
OF_TEAM = {"role": "user", "where": {"team": "$user.attributes.team"}}


async def test_rule_by_own_values_begins_and_ends_what_is_told(workers: Workers) -> None:
    rules = {"read": [OF_TEAM, "owner"], "write": "user"}
    room = await workers.room(schema=TEAM, rules=rules)
    red, blue = (workers.token(attributes={"team": team}) for team in ("red", "blue"))
    async with room.watch(headers=red) as of_red, room.watch(workers.other, headers=blue) as of_blue:
        for events in (of_red, of_blue):
            await events.until("ready")
        one = await room.create({"n": 1, "team": "blue"})
        assert brief(await of_blue.next()) == ("put", "create", 1, 1)
        await room.patch(one, {"team": "red"})
        assert brief(await of_red.next()) == ("put", "enter", 1, 2)
        assert brief(await of_blue.next()) == ("gone", "leave", one["id"], 2)
        await room.patch(one, {"n": 2})
        assert brief(await of_red.next()) == ("put", "change", 2, 3)
        await room.patch(one, {"team": "green"})
        assert brief(await of_red.next()) == ("gone", "leave", one["id"], 4)
        await room.patch(one, {"n": 3})
        await room.delete(one)
        own = await room.create({"n": 9}, red)
        assert brief(await of_red.next()) == ("put", "create", 9, 1)
        await room.delete(own)
        assert brief(await of_red.next()) == ("gone", "delete", own["id"], 1)
        assert await of_blue.is_silent()


async def test_masks_of_several_grants_show_what_a_list_shows(workers: Workers) -> None:
    rules = {
        "read": [
            {"role": "anyone", "fields": ["title"]},
            {**OF_TEAM, "fields": {"except": ["n"]}},
            {"role": "staff"},
        ],
        "write": "user",
    }
    room = await workers.room(schema=TEAM, rules=rules)
    red, staff = workers.token(attributes={"team": "red"}), workers.token("staff")
    people: list[dict[str, str]] = [{}, red, staff]
    for team in ("red", "blue"):
        await room.create({"n": 1, "team": team, "title": "T", "notes": "N", "pin": "0000"})
    for headers in people:
        listed = (await workers.client.get(room.path, headers=headers)).json()["data"]
        async with room.watch(workers.other, headers=headers) as events:
            *told, _ = await events.until("ready")  # what was stored a moment before may come twice
            assert {each["data"]["id"]: each["data"] for each in told} == {
                each["id"]: each for each in listed
            }
            made = await room.create({"n": 2, "team": "red", "title": "U", "notes": "M", "pin": "1111"})
            shown = (await workers.client.get(f"{room.path}/{made['id']}", headers=headers)).json()["data"]
            while (newest := await events.next()) is not None and newest["data"]["id"] != made["id"]:
                pass
            told = [newest]
            assert told == [{"event": "put", "why": "create", "data": shown}]
            assert "0000" not in str(told)
            assert "1111" not in str(told)


async def test_change_of_hidden_fields_alone_shows_the_version_at_most(workers: Workers) -> None:
    rules = {"read": {"role": "anyone", "fields": ["title"]}, "write": "user"}
    room = await workers.room(schema=TEAM, rules=rules)
    one = await room.create({"title": "T", "notes": "before"})
    async with room.watch(workers.other) as events:
        (before, _) = await events.until("ready")
        await room.patch(one, {"notes": "after", "pin": "9"})
        told = await events.next()
    assert told is not None
    assert told["data"] == before["data"] | {"_version": 2}


async def test_new_subscriber_shares_nothing_with_those_of_an_older_definition(workers: Workers) -> None:
    room = await workers.room()
    streams = services_of(workers.service.app).streams
    async with room.watch() as earlier:
        await earlier.until("ready")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(streams, "look", lambda: None)  # the earlier one is not reset yet
            hidden = {"n": {"type": "integer"}, "note": {"type": "string", "writeOnly": True}}
            await room.redefine(schema={"type": "object", "properties": hidden})
            async with room.watch() as later:
                await later.until("ready")
                await room.create({"n": 1, "note": "hush"})
                told = await later.next()
    assert told is not None
    assert (told["data"]["n"], "note" in told["data"]) == (1, False)


async def test_equal_conditions_of_different_queries_have_cursors_of_their_own(workers: Workers) -> None:
    rules = {"read": [{"role": "staff"}, {"role": "user", "where": {"team": "red"}}], "write": "user"}
    room = await workers.room(schema=TEAM, rules=rules)
    staff, user = workers.token("staff"), workers.token()
    asked = {"filter[team]": "red"}
    async with room.watch(headers=user) as by_rule, room.watch(headers=staff, **asked) as by_filter:
        for events in (by_rule, by_filter):
            await events.until("ready")
        await room.create({"n": 1, "team": "red"})
        for events in (by_rule, by_filter):
            assert brief(await events.next()) == ("put", "create", 1, 1)
    await room.create({"n": 2, "team": "red"})
    for headers, parameters, events in ((user, {}, by_rule), (staff, asked, by_filter)):
        async with room.watch(headers=headers, last=events.cursor, **parameters) as again:
            assert again.status == 200  # `ready` may come before what is just stored
            assert ("put", "create", 2, 1) in [brief(each) for each in await again.take(2)]


async def test_cursor_given_under_other_rights_begins_anew(workers: Workers) -> None:
    now = {"published": {"lte": "$now"}}
    for rule in (OF_TEAM, {"role": "user", "where": {"and": [OF_TEAM["where"], now]}}):
        room = await workers.room(schema=TEAM, rules={"read": rule, "write": "user"})
        ann = str(ObjectId())
        red, blue = (workers.token(id=ann, attributes={"team": team}) for team in ("red", "blue"))
        async with room.watch(headers=red) as events:
            await events.until("ready")
        async with room.watch(workers.other, headers=red, last=events.cursor) as again:
            assert brief(await again.next()) == ("ready",)
        async with room.watch(workers.other, headers=blue, last=events.cursor) as again:
            assert await again.next() == {"event": "reset", "why": "rules"}
        parameters = {"since": events.cursor or ""}
        answer = await workers.client.get(f"{room.path}/changes", params=parameters, headers=blue)
        assert (answer.status_code, answer.json()["code"]) == (410, "changes.expired")


async def test_rule_that_asks_the_time_is_asked_at_each_change(workers: Workers) -> None:
    rules = {"read": {"role": "anyone", "where": {"published": {"lte": "$now"}}}, "write": "user"}
    room = await workers.room(schema=TEAM, rules=rules)
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    async with room.watch() as events:
        await events.until("ready")
        one = await room.create({"n": 1, "published": soon.isoformat()})
        assert await events.is_silent()
        await asyncio.sleep(max(0.0, (soon - datetime.now(UTC)).total_seconds()) + 0.05)
        await room.patch(one, {"n": 2})
        told = await events.next()
        assert told is not None
        assert (told["event"], told["data"]["n"]) == ("put", 2)
        await room.delete(one)
        assert brief(await events.next()) == ("gone", "delete", one["id"], 2)


async def test_equality_with_the_time_is_asked_at_each_change(workers: Workers) -> None:
    schema = {"type": "object", "properties": {"day": {"type": "string", "format": "date"}}}
    rules = {"read": {"role": "anyone", "where": {"day": "$now"}}, "write": "user"}
    room = await workers.room(schema=schema, rules=rules)
    async with room.watch() as events:
        await events.until("ready")
        await room.create({"day": "2001-01-01"})
        await room.create({"day": datetime.now(UTC).date().isoformat()})
        told = await events.next()
    assert told is not None
    assert (told["event"], told["data"]["_version"]) == ("put", 1)


async def test_verb_watch_has_a_rule_of_its_own(workers: Workers) -> None:
    closed = await workers.room(
        rules={"list": "anyone", "get": "anyone", "watch": "role:staff", "write": "user"}
    )
    one = await closed.create({"n": 1})
    paths = (closed.path, f"{closed.path}/{one['id']}")
    for path in paths:
        assert (await workers.client.get(path)).status_code == 200
    for headers, status in (({}, 401), (workers.token(), 403), (workers.token("staff"), 200)):
        for path in paths:
            async with watching(workers.other, path, headers) as events:
                assert events.status == status
        answer = await workers.client.get(f"{closed.path}/changes", headers=headers)
        assert answer.status_code == status
    alone = await workers.room(rules={"watch": "anyone", "write": "user"})
    await alone.create({"n": 1})
    assert (await workers.client.get(alone.path)).status_code == 401
    async with alone.watch(workers.other) as events:
        assert brief((await events.until("ready"))[0]) == ("put", "snapshot", 1, 1)


# --- for how long


@pytest.fixture
def ann(workers: Workers) -> Person:
    return person(workers.service.database, "staff")


Ending = Callable[[Workers, Person, Device], Awaitable[object]]


async def logout(workers: Workers, _: Person, device: Device) -> None:
    await workers.asked("POST", "/api/auth/logout", {"refresh_token": device.refresh_token}, {"x": "y"})


async def change_password(workers: Workers, ann: Person, _: Device) -> None:
    another = await sign_in(workers.service.client, ann)
    body = {"current_password": PASSWORD, "new_password": "another horse battery staple"}
    await workers.asked("POST", "/api/auth/password", body, another.headers)


async def disable(workers: Workers, ann: Person, _: Device) -> None:
    await _change(workers, ann, {"is_disabled": True})


async def take_role(workers: Workers, ann: Person, _: Device) -> None:
    await _change(workers, ann, {"roles": []})


async def give_attribute(workers: Workers, ann: Person, _: Device) -> None:
    await _change(workers, ann, {"attributes": {"team": "red"}})


async def remove(workers: Workers, ann: Person, _: Device) -> None:
    await workers.asked("DELETE", f"/api/users/{ann.id}?documents=keep")


async def sign_out(workers: Workers, ann: Person, _: Device) -> None:
    await workers.asked("DELETE", f"/api/users/{ann.id}/sessions")


async def _change(workers: Workers, ann: Person, change: Any) -> None:
    headers = {**workers.admin, "content-type": "application/merge-patch+json"}
    await workers.asked("PATCH", f"/api/users/{ann.id}", change, headers)


ENDINGS: list[Ending] = [logout, change_password, disable, take_role, give_attribute, remove, sign_out]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_stream_and_poll_end_with_the_right_on_the_other_worker(
    workers: Workers, ann: Person, ending: Ending
) -> None:
    room = await workers.room(rules={"read": "user", "write": "user"})
    device = await sign_in(workers.service.client, ann)
    async with room.watch(workers.other, headers=device.headers) as events:
        await events.until("ready")
        held = asyncio.create_task(held_poll(workers, room, events.cursor, device.headers))
        await asyncio.sleep(0.2)
        await ending(workers, ann, device)
        with within(IN_FORCE_S):
            told = await events.next()
            answer = await held
        assert told is not None
        assert (told["event"], told["why"]) == ("bye", "revoked")
        assert 500 <= told["retry_ms"] < 5000
        assert await events.next() is None
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.token_invalid")
        await room.create({"n": 1})
    async with room.watch(workers.other, headers=device.headers, last=events.cursor) as again:
        assert again.status == 401


async def held_poll(workers: Workers, room: Room, cursor: str | None, headers: Any) -> httpx.Response:
    parameters = {"since": cursor or "", "wait": "30"}
    return await workers.client.get(f"{room.path}/changes", params=parameters, headers=headers)


async def test_stream_ends_with_its_api_key(workers: Workers, ann: Person) -> None:
    room = await workers.room(rules={"read": "user", "write": "user"})
    device = await sign_in(workers.service.client, ann)
    made = []
    for lasts_s in (None, 1):
        body = {"name": "k", "scopes": [f"{room.name}:read"]} | ({"expires_in_s": lasts_s} if lasts_s else {})
        made.append(await workers.asked("POST", "/api/keys", body, device.headers))
    lasting, brief_one = ({"Authorization": f"Bearer {each['key']}"} for each in made)
    async with room.watch(workers.other, headers=brief_one) as events:
        told = await events.until("bye")
        assert (told[-2]["event"], told[-1]["why"]) == ("ready", "expired")
    async with room.watch(workers.other, headers=lasting) as events:
        await events.until("ready")
        await workers.asked("DELETE", f"/api/keys/{made[0]['id']}", headers=device.headers)
        with within(IN_FORCE_S):
            told = await events.until("bye")
        assert told[-1]["why"] == "revoked"
    other = {"name": "k", "scopes": [f"{room.name}:list"]}
    narrow = (await workers.asked("POST", "/api/keys", other, device.headers))["key"]
    async with room.watch(workers.other, headers={"Authorization": f"Bearer {narrow}"}) as events:
        assert events.status == 403, "to list is not to watch"


async def test_stream_ends_with_its_token(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    room = await workers.room(rules={"read": "user", "write": "user"})
    streams = services_of(workers.other).streams
    ann = str(ObjectId())
    async with room.watch(workers.other, headers=workers.token(id=ann)) as events:
        await events.until("ready")
        (stream,) = (each for each in streams._open if each.principal.id == ann)
        assert stream.principal.expires_at_s is not None
        assert 0 < stream.principal.expires_at_s - time.time() <= 900
        monkeypatch.setattr("service.changes.streams.time", Later(stream.principal.expires_at_s))
        told = await events.next()
    assert told is not None
    assert (told["event"], told["why"]) == ("bye", "expired")


class Later:
    """A clock that stands."""

    def __init__(self, now_s: float) -> None:
        self._now_s = now_s

    def time(self) -> float:
        return self._now_s


async def test_streams_of_who_is_signed_in_end_when_it_is_not_known_what_is_revoked(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await workers.room()
    async with (
        room.watch(workers.other, headers=workers.token()) as events,
        room.watch(workers.other) as anonymous,
    ):
        await events.until("ready")
        await anonymous.until("ready")
        revocations = type(services_of(workers.other).revocations)
        with monkeypatch.context() as patch:
            patch.setattr(revocations, "is_current", property(lambda _: False))
            told = await events.next()
        assert told is not None
        assert (told["event"], told["why"]) == ("bye", "revoked")
        assert await anonymous.is_silent()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"rules": {"read": "role:staff", "write": "user"}}, "rules"),
        ({"schema": {**SCHEMA, "required": ["n"]}}, "definition"),
    ],
)
async def test_new_rules_and_definitions_reset_streams_and_polls_on_the_other_worker(
    workers: Workers, change: Any, why: str
) -> None:
    room = await workers.room()
    headers = workers.token()
    async with room.watch(workers.other, headers=headers) as events:
        await events.until("ready")
        held = asyncio.create_task(held_poll(workers, room, events.cursor, headers))
        await asyncio.sleep(0.2)
        await room.redefine(**change)
        with within(IN_FORCE_S):
            assert await events.next() == {"event": "reset", "why": why}
            answer = await held
        assert await events.next() is None
        assert (answer.status_code, answer.json()["code"]) == (410, "changes.expired")


async def test_collection_deleted_and_created_again_resets(workers: Workers) -> None:
    room = await workers.room()
    await room.create({"n": 1})
    async with room.watch(workers.other) as events:
        await events.until("ready")
        cursor = events.cursor
        await workers.asked("DELETE", f"/api/collections/{room.name}?confirm={room.name}")
        with within(IN_FORCE_S):
            told = await events.until("reset")
        assert told[-1] == {"event": "reset", "why": "definition"}
        assert await events.next() is None
    await room.define()
    await workers.both_know(room)
    async with room.watch(workers.other, last=cursor) as again:
        assert await again.next() == {"event": "reset", "why": "definition"}
    answer = await workers.client.get(f"{room.path}/changes", params={"since": cursor or ""})
    assert (answer.status_code, answer.json()["code"]) == (410, "changes.expired")


@pytest.mark.parametrize(
    ("why", "told"), [("revoked", ["bye"]), ("expired", ["bye"]), ("draining", ["put", "bye"])]
)
def test_who_may_have_nothing_any_more_is_not_told_what_waits(why: Any, told: list[str]) -> None:
    stream = Stream(Principal("user", "1", frozenset()), "127.0.0.1", Mailbox(10, 10_000), 0)
    stream.mailbox.put(None, entries.put("create", b"{}", "c", "1", 1))
    stream.end(why)
    assert [each.entry.event for each in stream.mailbox.take()] == told


async def test_snapshot_ends_with_the_right(workers: Workers, ann: Person) -> None:
    room = await workers.room(rules={"read": "user", "write": "user"})
    await room.create([{"n": number, "note": "x" * 2000} for number in range(500)])
    device = await sign_in(workers.service.client, ann)
    async with room.watch(headers=device.headers, reads=False) as events:
        await logout(workers, ann, device)
        await asyncio.sleep(1)
        events.read_on()
        told = await events.until("bye")
    assert told[-1]["why"] == "revoked"
    assert len(told) < 400
