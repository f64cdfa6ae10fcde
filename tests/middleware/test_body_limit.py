import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from litestar.types import Receive, Scope, Send

from service.http.pipeline.body_limit import BodyLimit
from service.kit.errors import BodyTooLarge, Busy, Failure, RequestInvalid
from tests.middleware.apps import answering, client_of, echoing, raising, wrap

TOO_LARGE = "The body may have at most 10 bytes."


async def sent(app: Any, content: Any, **headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client_of(app) as client:
        return (await client.post("/api/films", content=content, headers=named)).content


async def parts(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize("content", [b"", b"1234567890"])
async def test_body_up_to_limit_arrives_whole(content: bytes) -> None:
    app = wrap(echoing(), BodyLimit(limit_bytes=10))
    assert await sent(app, content) == content
    assert await sent(app, parts(content[:4], content[4:])) == content


async def test_content_length_beyond_limit_is_refused_before_reading() -> None:
    app = wrap(raising(AssertionError("reached")), BodyLimit(limit_bytes=10))
    with pytest.raises(BodyTooLarge) as refusal:
        await sent(app, b"12345678901")
    assert refusal.value.detail == TOO_LARGE


async def test_chunked_body_beyond_limit_is_refused_at_the_limit() -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"1234"

    with pytest.raises(BodyTooLarge) as refusal:
        await sent(wrap(echoing(), BodyLimit(limit_bytes=10)), endless())
    assert (refusal.value.detail, taken) == (TOO_LARGE, 3)


async def test_body_in_single_bytes_is_refused_early() -> None:
    taken = 0

    async def bytes_apart() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(100_000):
            taken += 1
            yield b" "

    with pytest.raises(RequestInvalid, match="too many small pieces"):
        await sent(wrap(echoing(), BodyLimit(limit_bytes=200_000)), bytes_apart())
    assert taken < 1100
    assert (
        len(await sent(wrap(echoing(), BodyLimit(limit_bytes=200_000)), parts(*[b"x" * 64] * 3000)))
        == 192_000
    )


@pytest.mark.parametrize(
    ("length", "kind", "detail"),
    [
        ("-1", RequestInvalid, "`Content-Length` must be a whole number of bytes."),
        ("+1", RequestInvalid, "`Content-Length` must be a whole number of bytes."),
        ("1_0", RequestInvalid, "`Content-Length` must be a whole number of bytes."),
        ("1, 1", RequestInvalid, "`Content-Length` must be a whole number of bytes."),
        ("", RequestInvalid, "`Content-Length` must be a whole number of bytes."),
        ("0x1", RequestInvalid, "`Content-Length` must be a whole number of bytes."),
        ("9" * 5000, BodyTooLarge, TOO_LARGE),
    ],
)
async def test_malformed_content_length_is_refused(length: str, kind: type[Failure], detail: str) -> None:
    app = wrap(raising(AssertionError("reached")), BodyLimit(limit_bytes=10))
    with pytest.raises(kind) as refusal:
        await sent(app, b"1", content_length=length)
    assert refusal.value.detail == detail


async def received(*messages: Any, timeout_s: float = 5.0, pause_s: float = 0.0) -> list[Any]:
    """Let an application receive until it has all messages."""
    waiting, seen = list(messages), []

    async def receive() -> Any:
        await asyncio.sleep(pause_s)
        return waiting.pop(0)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend([await receive() for _ in messages])
        await answering()(scope, receive, send)

    async def send(_message: Any) -> None:
        pass

    scope: Any = {"type": "http", "headers": []}
    await wrap(app, BodyLimit(limit_bytes=10, timeout_s=timeout_s))(scope, receive, send)
    return seen


FIRST = {"type": "http.request", "body": b"1", "more_body": True}
LAST = {"type": "http.request", "body": b"2", "more_body": False}
GONE = {"type": "http.disconnect"}


async def test_slow_body_is_refused_whatever_its_pauses() -> None:
    with pytest.raises(RequestInvalid) as refusal:
        await received(*[FIRST] * 9, timeout_s=0.1, pause_s=0.03)
    assert refusal.value.detail == "The body did not arrive within 0.1 seconds; send it faster or in parts."


async def test_waiting_for_disconnect_has_no_time_limit() -> None:
    assert await received(LAST, GONE, timeout_s=0.4, pause_s=0.25) == [LAST, GONE]


async def test_cut_off_body_is_refused() -> None:
    with pytest.raises(RequestInvalid) as refusal:
        await received(FIRST, GONE)
    assert refusal.value.detail == "The connection closed before the body was complete."


async def test_incomplete_bodies_beyond_held_bytes_are_refused() -> None:
    goes_on, limit = asyncio.Event(), BodyLimit(limit_bytes=100, held_bytes=100)
    app = wrap(echoing(), limit)

    async def held(size: int) -> AsyncIterator[bytes]:
        yield b"x" * size
        await goes_on.wait()
        yield b"y"

    async with client_of(app) as client:
        uploads = [asyncio.create_task(client.post("/api/films", content=held(45))) for _ in range(2)]
        await asyncio.sleep(0.01)
        with pytest.raises(Busy):
            await client.post("/api/films", content=held(45))
        assert (await client.post("/api/films", content=b"x" * 5)).status_code == 200
        goes_on.set()
        assert [len((await upload).content) for upload in uploads] == [46, 46]
        assert (await client.post("/api/films", content=held(90))).status_code == 200
