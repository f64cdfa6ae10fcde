"""A WebSocket: subscriptions that come and go, signing in on it, and what it is closed with."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from service.changes import streams
from service.changes.several import MAXIMUM_SUBSCRIPTIONS
from service.http import conversations
from tests.changes.events import watching
from tests.changes.rooms import SCHEMA, Room, brief
from tests.changes.sockets import STREAMS, connected
from tests.conftest import Service, served
from tests.people import person, sign_in
from tests.services import services_of

OWN = "http://sheaf.test"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(mongodb_uri: str) -> AsyncIterator[Service]:
    async with served(mongodb_uri) as service:
        yield service


@pytest.fixture
async def room(service: Service, request: pytest.FixtureRequest) -> Room:
    room = Room(service, f"w{abs(hash(request.node.name)) % 10**12}")
    await room.define()
    return room


def keyed(told: Any) -> tuple[Any, ...]:
    return (told.get("key"), *brief(told))


def token_of(headers: dict[str, str]) -> str:
    return headers["Authorization"].removeprefix("Bearer ")


async def test_subscriptions_come_and_go(room: Room) -> None:
    async with connected(room.service.app) as socket:
        assert (socket.status, socket.subprotocol) == (101, None)
        await socket.subscribe("a", collection=room.name, filter={"n": 1})
        assert keyed(await socket.next()) == ("a", "ready")
        await room.create({"n": 1})
        assert keyed(await socket.next()) == ("a", "put", "create", 1, 1)
        await socket.subscribe("b", collection=room.name, filter={"n": 2}, fields="n,_version")
        await socket.until("ready")
        two = await room.create({"n": 2})
        told = await socket.next()
        assert told is not None
        assert keyed(told) == ("b", "put", "create", 2, 1)
        assert told["data"] == {"id": two["id"], "n": 2, "_version": 1}
        await socket.send(type="unsubscribe", key="b")
        await socket.fence()
        await room.delete(two)
        await room.create({"n": 1})
        assert keyed(await socket.next()) == ("a", "put", "create", 1, 1)
        await socket.subscribe("b", collection=room.name, filter={"n": 7})
        assert keyed((await socket.until("ready"))[-1]) == ("b", "ready")


async def test_subscription_goes_on_from_its_cursor(room: Room) -> None:
    async with connected(room.service.app) as socket:
        await socket.subscribe("a", collection=room.name)
        ready = (await socket.until("ready"))[-1]
    await room.create({"n": 3})
    async with connected(room.service.app) as socket:
        await socket.subscribe("b", collection=room.name, since=ready["cursor"])
        told = await socket.take(2)
        assert {keyed(each) for each in told} == {("b", "put", "create", 3, 1), ("b", "ready")}
    async with room.watch(last=ready["cursor"]) as events:
        assert len(await events.take(2)) == 2, "cursors are those of live lists"


async def test_definition_that_changes_resets_one_and_its_name_is_free_again(room: Room) -> None:
    other = Room(room.service, f"{room.name}b")
    await other.define()
    async with connected(room.service.app) as socket:
        await socket.subscribe("a", collection=room.name)
        await socket.subscribe("b", collection=other.name)
        await socket.until("ready")
        await socket.until("ready")
        await other.redefine(schema=SCHEMA | {"required": ["n"]})
        assert await socket.next() == {"event": "reset", "key": "b", "why": "definition"}
        await socket.subscribe("b", collection=other.name)
        assert keyed((await socket.until("ready"))[-1]) == ("b", "ready")
        await room.create({"n": 1})
        assert keyed(await socket.next()) == ("a", "put", "create", 1, 1)


async def test_large_snapshot_comes_in_order_while_others_are_told(room: Room) -> None:
    await room.create([{"n": 1} for _ in range(600)])
    await asyncio.sleep(0.5)  # until this worker has heard of all of it
    async with connected(room.service.app) as socket:
        await socket.subscribe("a", collection=room.name, filter={"n": 1})
        told = await socket.until("ready")
        assert {each["event"] for each in told[:-1]} == {"put"}
        assert len({each["data"]["id"] for each in told[:-1]}) == 600


@pytest.mark.parametrize(
    ("message", "pointer", "code"),
    [
        ([], "", "type"),
        ({}, "/type", "required"),
        ({"type": "shout"}, "/type", "enum"),
        ({"type": ["ping"]}, "/type", "enum"),
        ({"type": "ping", "key": "a"}, "/key", "unknown"),
        ({"type": "authenticate"}, "/token", "required"),
        ({"type": "authenticate", "token": 7}, "/token", "type"),
        ({"type": "unsubscribe"}, "/key", "required"),
        ({"type": "subscribe", "key": "", "collection": "products"}, "/key", "length"),
        ({"type": "subscribe", "key": "k" * 65, "collection": "products"}, "/key", "length"),
        ({"type": "subscribe", "key": "a"}, "/collection", "required"),
        ({"type": "subscribe", "key": "a", "collection": "no-such"}, "/collection", "collection.not_found"),
        ({"type": "subscribe", "key": "a", "collection": "products", "limit": 5}, "/limit", "unknown"),
        ({"type": "subscribe", "key": "a", "collection": "products", "since": "x"}, "/since", "cursor"),
        (
            {"type": "subscribe", "key": "a", "collection": "products", "filter": {"no": 1}},
            "/filter/no",
            "unknown_field",
        ),
    ],
)
async def test_fault_of_a_message_is_refused_and_the_connection_stays(
    service: Service, message: Any, pointer: str, code: str
) -> None:
    async with connected(service.app) as socket:
        await socket.send_raw(text=json.dumps(message))
        (told,) = await socket.fence()
        assert told["event"] == "refused"
        assert told.get("key") == (message["key"] if message and message.get("key") == "a" else None)
        problem = told["problem"]
        assert problem["status"] == (404 if code == "collection.not_found" else 400)
        assert [(each["pointer"], each["code"]) for each in problem["errors"]] == [(pointer, code)]


async def test_refusal_names_the_subscription(room: Room) -> None:
    hidden = Room(room.service, f"{room.name}h")
    await hidden.define(rules={"write": "user"})
    async with connected(room.service.app) as socket:
        await socket.subscribe("mine", collection=hidden.name)
        (told,) = await socket.fence()
        assert (told["key"], told["problem"]["code"]) == ("mine", "auth.required")
        await socket.subscribe("a", collection=room.name)
        await socket.until("ready")
        await socket.subscribe("a", collection=room.name)
        (told,) = await socket.fence()
        assert (told["key"], told["problem"]["errors"][0]["code"]) == ("a", "taken")
        await socket.send(type="unsubscribe", key="nothing")
        assert await socket.fence() == []


async def test_hundred_subscriptions_are_the_most(room: Room) -> None:
    async with connected(room.service.app) as socket:
        for number in range(MAXIMUM_SUBSCRIPTIONS + 1):
            await socket.subscribe(f"k{number}", collection=room.name, filter={"n": number})
        refused = (await socket.until("refused"))[-1]
        assert (refused["key"], refused["problem"]["errors"][0]["code"]) == ("k100", "length")


async def test_snapshot_too_large_is_refused_alone(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services_of(room.service.app).catching, "snapshot_limit", 150)
    await room.create([{"n": number} for number in range(151)])
    async with connected(room.service.app) as socket:
        await socket.subscribe("a", collection=room.name)
        told = await socket.next()
        assert told is not None
        assert (told["event"], told["key"]) == ("refused", "a")
        assert told["problem"]["errors"][0]["pointer"] == "/filter"
        await socket.subscribe("a", collection=room.name, snapshot="none")
        assert keyed((await socket.until("ready"))[-1]) == ("a", "ready")


# --- signing in


async def test_token_of_header_subprotocol_or_message_signs_in(room: Room) -> None:
    await room.redefine(rules={"read": "owner", "write": "user"})
    mine = await room.create({"n": 1})
    token = token_of(room.headers)
    offered = ("sheaf", f"sheaf.bearer.{token}")
    for options in ({"headers": room.headers}, {"subprotocols": offered}, {}):
        async with connected(room.service.app, **options) as socket:
            assert socket.subprotocol == ("sheaf" if "subprotocols" in options else None)
            if not options:
                await socket.send(type="authenticate", token=token)
            await socket.subscribe("a", collection=room.name)
            told = (await socket.until("ready"))[0]
            assert told["data"]["id"] == mine["id"]


async def test_signing_in_resets_what_is_seen_otherwise_from_then_on(room: Room) -> None:
    public = Room(room.service, f"{room.name}p")
    await public.define()
    await room.redefine(
        rules={"read": ["owner", {"role": "anyone", "where": {"room": "public"}}], "write": "user"}
    )
    async with connected(room.service.app) as socket:
        await socket.subscribe("a", collection=room.name)
        await socket.subscribe("b", collection=public.name)
        await socket.until("ready")
        await socket.until("ready")
        await socket.send(type="authenticate", token=token_of(room.headers))
        assert await socket.fence() == [{"event": "reset", "key": "a", "why": "rules"}]
        await socket.send(type="authenticate", token=token_of(room.headers))
        assert await socket.fence() == [], "a token that is renewed changes nothing"
        await public.create({"n": 1})
        assert keyed(await socket.next()) == ("b", "put", "create", 1, 1)


async def test_wrong_token_in_a_message_is_refused_and_in_the_handshake_too(service: Service) -> None:
    async with connected(service.app) as socket:
        await socket.send(type="authenticate", token="nonsense")
        (told,) = await socket.fence()
        assert (told["event"], told["problem"]["code"]) == ("refused", "auth.token_invalid")
    for options in ({"headers": {"Authorization": "Bearer x"}}, {"subprotocols": ("sheaf.bearer.x",)}):
        async with connected(service.app, **options) as socket:
            assert (socket.status, socket.problem["code"]) == (401, "auth.token_invalid")
            assert "www-authenticate" in socket.headers
        async with connected(service.app, **options, denies=False) as socket:
            assert socket.status == 403


async def test_cookie_signs_in_on_a_page_of_our_own(room: Room) -> None:
    await room.redefine(rules={"read": "user", "write": "user"})
    cookie = f"sheaf_access={token_of(room.headers)}"
    async with connected(room.service.app, {"Cookie": cookie, "Origin": OWN}) as socket:
        await socket.subscribe("a", collection=room.name)
        assert keyed((await socket.until("ready"))[-1]) == ("a", "ready")


# --- limits and ends


async def test_text_that_is_no_json_bytes_and_too_large_ones_close(service: Service) -> None:
    for content, code in (
        ({"text": "hello"}, 1007),
        ({"text": '{"type":"ping","type":"ping"}'}, 1007),
        ({"bytes": b"{}"}, 1003),
        ({"text": '{"type":"ping"}' + " " * 65536}, 1009),
    ):
        async with connected(service.app) as socket:
            await socket.send_raw(**content)
            assert (await socket.next(), socket.code) == (None, code)


async def test_too_many_messages_close(service: Service) -> None:
    async with connected(service.app) as socket:
        for _ in range(conversations.BURST + 50):
            await socket.send(type="ping")
        while await socket.next() is not None:
            pass
        assert socket.code == 1008
    assert not services_of(service.app).streams._open


async def test_quiet_connection_is_pinged(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "PING_S", 0.1)
    async with connected(service.app) as socket:
        assert await socket.next() == {"event": "ping"}
        assert await socket.next() == {"event": "ping"}


async def test_ends_say_goodbye_and_close_with_their_code(service: Service) -> None:
    opened = services_of(service.app).streams
    for why, code in (("draining", 1012), ("lifetime", 1000), ("expired", 3000), ("revoked", 3000)):
        async with connected(service.app) as socket:
            await socket.fence()
            (stream,) = opened._open
            stream.end(why)  # type: ignore[arg-type]
            told = await socket.next()
            assert told is not None
            assert (told["event"], told["why"]) == ("bye", why)
            assert 500 <= told["retry_ms"] < 5000
            assert (await socket.next(), socket.code) == (None, code)


async def test_connection_ends_with_its_session(room: Room) -> None:
    someone = person(room.service.database)
    device = await sign_in(room.service.client, someone)
    async with connected(room.service.app, device.headers) as socket:
        await socket.subscribe("a", collection=room.name)
        await socket.until("ready")
        await room.service.client.post("/api/auth/logout", headers=device.headers)
        told = (await socket.until("bye"))[-1]
        assert told["why"] == "revoked"
        assert (await socket.next(), socket.code) == (None, 3000)


async def test_reader_that_takes_nothing_holds_little_and_is_reset(room: Room) -> None:
    async with connected(room.service.app) as socket:
        await socket.subscribe("a", collection=room.name)
        await socket.until("ready")
        (stream,) = services_of(room.service.app).streams._open
        socket.takes.clear()
        for _ in range(6):
            await room.create([{"n": 1, "note": "x" * 1000} for _ in range(400)])
        for _ in range(50):
            await asyncio.sleep(0.1)
            if stream.subscriptions["a"].has_ended:
                break
        assert stream.subscriptions["a"].why == "overflow"
        assert len(stream.mailbox) < 10
        socket.takes.set()
        assert (await socket.until("reset"))[-1] == {"event": "reset", "key": "a", "why": "overflow"}


async def test_client_that_takes_nothing_for_long_is_cut_off(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "STALL_S", 0.5)
    monkeypatch.setattr(conversations, "FAREWELL_S", 0.2)
    async with connected(room.service.app) as socket:
        await socket.subscribe("a", collection=room.name)
        await socket.until("ready")
        socket.takes.clear()
        await room.create({"n": 1})
        for _ in range(50):
            await asyncio.sleep(0.1)
            if not services_of(room.service.app).streams._open:
                break
        assert not services_of(room.service.app).streams._open


async def test_client_that_leaves_leaves_nothing(room: Room) -> None:
    services = services_of(room.service.app)
    async with connected(room.service.app) as socket:
        await socket.subscribe("a", collection=room.name)
        await socket.until("ready")
        assert len(services.streams) == 1
    assert len(services.streams) == 0
    assert sum(feed.subscribers for feed in services.feeds.feeds) == 0


async def test_sockets_that_lead_nowhere_are_refused(service: Service) -> None:
    for path, status in (("/api/nothing/at/all", 404), ("/api/products", 400), ("/nowhere", 404)):
        async with connected(service.app, path=path) as socket:
            assert socket.status == status, path


async def test_draining_service_takes_no_more(service: Service) -> None:
    drain = services_of(service.app).drain
    drain.close()
    try:
        async with connected(service.app) as socket:
            assert (socket.status, socket.problem["code"]) == (503, "service.draining")
    finally:
        drain.open()


# --- attacks


async def test_a65_foreign_origin_with_a_cookie_is_refused(room: Room) -> None:
    cookie = f"sheaf_access={token_of(room.headers)}"
    for origin in ("https://evil.example", "null", "http://sheaf.test.evil.example", None):
        headers = {"Cookie": cookie} | ({} if origin is None else {"Origin": origin})
        async with connected(room.service.app, headers) as socket:
            assert (socket.status, socket.problem["code"]) == (403, "auth.cross_site"), origin
        async with connected(room.service.app, headers, denies=False) as socket:
            assert socket.status == 403


async def test_a65_token_in_the_address_is_refused(room: Room) -> None:
    token = token_of(room.headers)
    for name in ("token", "access_token"):
        async with connected(room.service.app, **{name: token}) as socket:  # type: ignore[arg-type]
            assert (socket.status, socket.problem["code"]) == (400, "parameter.invalid")
            assert "subprotocol" in socket.problem["hint"]
            assert token not in str(socket.problem)
        body = {"subscriptions": {"a": {"collection": room.name}}}
        opened: Any = watching(room.service.app, STREAMS, body=body, **{name: token})  # type: ignore[arg-type]
        async with opened as refused:
            assert refused.status == 400


# --- with services of their own, to which the classes of models/ belong from then on


async def test_streams_are_counted_by_who_has_them_now(mongodb_uri: str) -> None:
    async with served(mongodb_uri, streams_per_user=1) as limited:
        headers = limited.signed_in()
        async with connected(limited.app, headers):
            async with connected(limited.app, headers) as refused:
                assert (refused.status, refused.problem["code"]) == (429, "changes.too_many_streams")
            async with connected(limited.app) as socket:
                await socket.send(type="authenticate", token=token_of(headers))
                (told,) = await socket.fence()
                assert told["problem"]["code"] == "changes.too_many_streams"
        async with connected(limited.app) as socket:
            await socket.send(type="authenticate", token=token_of(headers))
            assert await socket.fence() == []
        async with connected(limited.app, headers) as socket:
            assert socket.status == 101
        assert not services_of(limited.app).streams._by_caller


async def test_subscriptions_and_handshakes_count_as_requests(mongodb_uri: str) -> None:
    async with served(mongodb_uri, rate_limit="on", rate_limit_anonymous="3/hour") as limited:
        async with connected(limited.app) as socket:
            for key in "abc":
                await socket.subscribe(key, collection="products")
            told = (await socket.until("refused"))[-1]
            assert (told["key"], told["problem"]["code"]) == ("c", "rate.limited")
        async with connected(limited.app) as refused:
            assert (refused.status, refused.problem["code"]) == (429, "rate.limited")
            assert int(refused.headers["retry-after"]) > 0
