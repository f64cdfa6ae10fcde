"""Streams within bounds: how many, how long, how much waits for whom; and what they hold up of the rest."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from bson import ObjectId
from structlog.testing import capture_logs

from service.access.principals import ANONYMOUS
from service.app.measuring import change_samples, concurrency_limiters
from service.changes import feeds as feeds_module
from service.changes import streams as streams_module
from service.changes import subscriptions as subscriptions_module
from service.changes.feeds import MAXIMUM_UNFILED, Topic
from service.changes.streams import SPREAD, Stream, StreamLimits, Streams
from service.changes.subscriptions import Subscription
from service.runtime.drain import Drain
from service.runtime.metrics import families
from tests.changes.events import watching
from tests.changes.rooms import Room, brief
from tests.conftest import Service, served
from tests.people import PASSWORD, person
from tests.services import services_of

ORIGIN = "https://pages.example"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(mongodb_uri: str) -> AsyncIterator[Service]:
    async with served(mongodb_uri, cors_origins=[ORIGIN]) as service:
        yield service


@pytest.fixture
async def room(service: Service) -> Room:
    room = Room(service, f"r{ObjectId()}")
    await room.define()
    return room


@pytest.fixture
def streams(service: Service) -> Streams:
    return services_of(service.app).streams


def limit(streams: Streams, monkeypatch: pytest.MonkeyPatch, **limits: Any) -> None:
    monkeypatch.setattr(streams, "limits", replace(streams.limits, **limits))


# --- how many


@pytest.mark.parametrize(
    ("limits", "status", "code"),
    [
        ({"per_user": 2}, 429, "changes.too_many_streams"),
        ({"per_address": 2}, 429, "changes.too_many_streams"),
        ({"per_worker": 2}, 503, "service.busy"),
    ],
)
async def test_stream_beyond_a_limit_is_refused_until_another_ends(
    room: Room, streams: Streams, monkeypatch: pytest.MonkeyPatch, limits: Any, status: int, code: str
) -> None:
    limit(streams, monkeypatch, **limits)
    asked = {"headers": room.headers}
    poll = f"{room.path}/changes"
    async with room.watch(**asked) as first:
        await first.until("ready")
        async with room.watch(**asked):
            async with room.watch(**asked) as third:
                problem = await third.body()
            assert (third.status, problem["code"]) == (status, code)
            assert problem["detail"]
            held = await room.service.client.get(poll, params={"wait": "1"}, headers=room.headers)
            assert (held.status_code, held.json()["code"]) == (status, code)
            at_once = await room.service.client.get(poll, headers=room.headers)
            assert at_once.status_code == 200, "what is not held is a request like others"
        async with room.watch(**asked) as fourth:
            assert fourth.status == 200
    assert (len(streams), streams._by_caller) == (0, {})


async def test_others_are_not_counted(room: Room, streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(streams, monkeypatch, per_user=1, per_address=1)
    elsewhere = {"headers": room.service.signed_in(), "address": "192.0.2.7"}
    async with room.watch(headers=room.headers), room.watch(**elsewhere) as other:
        assert other.status == 200


async def test_worker_without_streams_refuses_all(
    room: Room, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(streams, monkeypatch, per_worker=0)
    async with room.watch() as events:
        assert (events.status, (await events.body())["code"]) == (503, "service.busy")
    assert (await room.service.client.get(room.path)).status_code == 200


async def test_filters_that_name_no_value_are_bounded_and_the_others_go_on(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds_module, "MAXIMUM_UNFILED", 3)
    assert MAXIMUM_UNFILED == 500
    asked = [{"filter[n][gt]": str(number)} for number in range(4)]
    async with (
        room.watch(**asked[0]) as first,
        room.watch(**asked[1]),
        room.watch(**asked[2]),
        room.watch(**asked[2]) as shared,
        room.watch(**asked[3]) as refused,
        room.watch(**asked[3], **{"filter[room]": "x"}) as named,
    ):
        problem = await refused.body()
        assert (refused.status, problem["code"]) == (422, "changes.too_many_filters")
        assert "names a value" in problem["hint"]
        assert (shared.status, named.status) == (200, 200)
        await first.until("ready")
        await named.until("ready")
        await room.create({"n": 7, "room": "x"})
        for events in (first, named):
            assert brief(await events.next()) == ("put", "create", 7, 1)
    async with room.watch(**asked[3]) as admitted:
        assert admitted.status == 200


# --- how long


async def test_stream_lives_for_a_time(room: Room, streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(streams, monkeypatch, lifetime_s=1.0)
    began_s = time.monotonic()
    async with room.watch() as events:
        told = await events.until("bye")
    assert time.monotonic() - began_s >= 1 - SPREAD
    assert told[-1]["why"] == "lifetime"
    assert (await events.next(), events.cursor is not None) == (None, True)
    async with room.watch(last=events.cursor) as again:
        assert brief(await again.next()) == ("ready",)


async def test_ends_and_returns_are_spread(room: Room, streams: Streams) -> None:
    async with room.watch(), room.watch(), room.watch():
        opened = [*streams._open]
        assert len({stream.ends_at_s for stream in opened}) == 3
        life_s = streams.limits.lifetime_s
        now_s = time.monotonic()
        assert all(life_s * (1 - SPREAD) - 5 < each.ends_at_s - now_s <= life_s for each in opened)


@pytest.mark.parametrize("reads", [True, False])
async def test_drain_ends_streams_and_is_not_held_up(
    room: Room, streams: Streams, monkeypatch: pytest.MonkeyPatch, reads: bool
) -> None:
    drain = Drain()
    monkeypatch.setattr(streams, "_drain", drain)
    held: Any = None
    async with room.watch(snapshot="none") as events:
        await events.until("ready")
        if not reads:
            events.stop_reading()
            await room.create({"n": 1})
        else:
            params = {"wait": "30", "since": events.cursor or ""}
            held = asyncio.create_task(room.service.client.get(f"{room.path}/changes", params=params))
            await asyncio.sleep(0.1)
        drain.move()
        async with asyncio.timeout(5):
            while len(streams):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        if reads:
            told = await events.next()
            assert told is not None
            assert (told["event"], told["why"], await events.next()) == ("bye", "draining", None)
            answer = await held
            assert (answer.status_code, answer.json()["data"]) == (200, [])


# --- slow readers


async def test_who_reads_nothing_is_told_the_newest_and_holds_nobody_up(room: Room) -> None:
    one = await room.create({"n": 0})
    async with room.watch() as slow, room.watch() as quick:
        await slow.until("ready")
        await quick.until("ready")
        slow.stop_reading()
        for number in range(1, 6):
            await room.patch(one, {"n": number})
            assert brief(await quick.next())[2] == number
        slow.read_on()
        told = [await slow.next()]
        while brief(told[-1])[2] != 5:
            told.append(await slow.next())
        assert len(told) <= 3, "what waited has become one"


async def test_who_reads_too_little_begins_anew_and_holds_little(
    room: Room, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "QUEUE_BYTES", 50_000)
    before = services_of(room.service.app).feeds.resets["overflow"]
    async with room.watch(snapshot="none") as slow:
        await slow.until("ready")
        (stream,) = streams._open
        slow.stop_reading()
        for number in range(20):
            await room.create({"n": number, "note": "x" * 10_000})
            assert stream.mailbox._bytes < 70_000
        async with asyncio.timeout(5):
            while not stream.has_ended:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert len(stream.mailbox) == 1
        slow.read_on()
        told = await slow.until("reset")
        assert (told[-1]["why"], await slow.next()) == ("overflow", None)
    assert services_of(room.service.app).feeds.resets["overflow"] == before + 1


async def test_who_takes_nothing_for_too_long_is_cut_off(
    room: Room, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "STALL_S", 0.5)
    before = streams.byes["cut"]
    async with room.watch(snapshot="none") as idle, room.watch(snapshot="none") as slow:
        await idle.until("ready")
        await slow.until("ready")
        slow.stop_reading()
        await room.create({"n": 1})
        async with asyncio.timeout(5):
            while len(streams) == 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert brief(await idle.next()) == ("put", "create", 1, 1)
        assert streams.byes["cut"] == before + 1


async def test_more_than_may_be_held_while_a_stream_begins_begins_anew(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions_module, "MAXIMUM_HELD", 5)
    await room.create([{"n": number, "note": "x" * 1000} for number in range(300)])
    async with room.watch(reads=False) as events:
        for number in range(7):
            await room.create({"n": 1000 + number})
        async with asyncio.timeout(5):
            (stream,) = services_of(room.service.app).streams._open
            while not stream.has_ended:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        events.read_on()
        told = await events.until("reset")
        assert (told[-1]["why"], await events.next()) == ("overflow", None)


# --- what is left behind


async def test_nothing_is_left_of_streams_that_have_ended(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    def left() -> int:
        gc.collect()
        kinds = (Stream, Subscription, Topic)
        return sum(isinstance(each, kinds) for each in gc.get_objects())

    before = left()
    for _ in range(3):
        async with room.watch(**{"filter[room]": "x"}) as events, room.watch(reads=False):
            await events.until("ready")
            await room.create({"room": "x"})
            await events.next()
            assert left() > before
    assert left() == before
    feeds = services_of(room.service.app).feeds
    assert [(feed.subscribers, feed.topics) for feed in feeds.feeds if feed.name == room.name] == [(0, 0)]
    monkeypatch.setattr(feeds_module, "RECENT_S", 0.0)
    async with asyncio.timeout(10):
        while room.name in feeds._feeds:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    async with room.watch() as events:
        assert (await events.until("ready"))[-1]["event"] == "ready"


# --- beside requests


async def test_open_stream_holds_no_slot(room: Room) -> None:
    pipeline: Any = room.service.app.asgi_handler
    steps = [leave.__self__ for leave in pipeline._chains["http"].leaves[-1]]
    limiters = concurrency_limiters(steps)
    assert len(limiters) == 2
    async with room.watch(headers={"accept-encoding": "gzip, br, zstd"}) as events:
        await events.until("ready")
        assert "content-encoding" not in events.headers
        params = {"wait": "30", "since": events.cursor or ""}
        held = asyncio.create_task(room.service.client.get(f"{room.path}/changes", params=params))
        await asyncio.sleep(0.2)
        assert [each.taken for each in limiters] == [0, 0]
        await room.create({"n": 1})
        assert (await held).status_code == 200
    assert [each.taken for each in limiters] == [0, 0]


@pytest.mark.parametrize(
    ("accept", "is_stream"),
    [
        ("text/event-stream", True),
        ("application/json;q=0.5, text/event-stream", True),
        ("TEXT/Event-Stream; q=0.1", True),
        ("*/*", False),
        ("text/*", False),
        ("text/event-stream;q=0", False),
        ("text/event-stream; q=0.000, application/json", False),
        ("application/x-text/event-stream", False),
        ("", False),
    ],
)
async def test_only_who_names_the_type_gets_a_stream(room: Room, accept: str, is_stream: bool) -> None:
    async with room.watch(headers={"accept": accept}) as events:
        assert events.status == 200
        assert events.headers["content-type"].startswith("text/event-stream") is is_stream


async def test_head_of_a_live_list_is_its_head(room: Room, streams: Streams) -> None:
    await room.create({"n": 1})
    async with watching(room.service.app, room.path, method="HEAD") as events:
        assert (events.status, await events.next()) == (200, None)
        assert events.headers["content-type"].startswith("text/event-stream")
    async with watching(room.service.app, room.path, method="HEAD", sort="n") as refused:
        assert refused.status == 400
    assert len(streams) == 0


async def test_page_of_another_origin_reads_a_stream(room: Room) -> None:
    async with room.watch(headers={"origin": ORIGIN}) as events:
        assert events.headers["access-control-allow-origin"] == ORIGIN
        assert "Origin" in events.headers["vary"]
    async with room.watch(headers={"origin": "https://elsewhere.example"}) as events:
        assert "access-control-allow-origin" not in events.headers


async def test_browser_is_signed_in_by_its_cookie(room: Room) -> None:
    await room.redefine(rules={"read": "user", "write": "user"})
    someone = person(room.service.database)
    headers = {"origin": "http://sheaf.test", "sec-fetch-site": "same-origin"}
    body = {"email": someone.email, "password": PASSWORD, "mode": "cookie"}
    answer = await room.service.client.post("/api/auth/login", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    cookies = "; ".join(f"{name}={value}" for name, value in answer.cookies.items())
    room.service.client.cookies.clear()
    async with room.watch(headers={"cookie": cookies}) as events:
        assert brief((await events.until("ready"))[-1]) == ("ready",)
    async with room.watch() as events:
        assert events.status == 401


async def test_end_of_a_stream_is_logged(room: Room) -> None:
    with capture_logs() as logs:
        async with room.watch(headers=room.headers) as events:
            await events.until("ready")
            assert not [each for each in logs if each["event"] == "request"]
    (line,) = (each for each in logs if each["event"] == "request")
    assert (line["status"], line["path"], line["bytes"] > 0) == (200, room.path, True)


async def test_metrics_tell_of_streams(room: Room) -> None:
    services = services_of(room.service.app)

    def sampled() -> dict[Any, float]:
        found = change_samples(services.streams, services.feeds)
        return {(family.name, *labels): value for family, labels, value in found}

    delays: list[float] = []
    services.feeds.on_told = delays.append
    before = sampled()
    async with room.watch() as events, room.watch():
        await events.until("ready")
        await room.create({"n": 1})
        await events.next()
        now = sampled()
        assert now[families.STREAMS.name,] == 2
        assert now[families.SUBSCRIPTIONS.name,] == 2
        assert now[families.TOPICS.name,] == 1
        for stream in [*services.streams._open]:
            services.streams._end(stream, "lifetime")
        await events.until("bye")
    services.feeds.on_told = None
    after = sampled()
    assert after[families.STREAMS.name,] == 0
    opened, told = families.STREAMS_OPENED.name, families.ENTRIES.name
    assert after[opened,] - before[opened,] == 2
    assert after[told,] - before[told,] == 2
    assert after[families.CHANGES.name,] > before[families.CHANGES.name,]
    key = (families.BYES.name, "lifetime")
    assert after[key] - before.get(key, 0) == 2
    assert [0 <= each < 30 for each in delays] == [True]


def test_limits_say_nothing_of_who_is_nobody() -> None:
    limits = StreamLimits(per_user=1, per_address=2, per_worker=3, lifetime_s=60)
    assert [*streams_module._names(ANONYMOUS, "a", limits)] == [("address a", 2)]
