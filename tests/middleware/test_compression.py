import asyncio
import gzip
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
import zstandard
from litestar.types import Receive, Scope, Send

from service.http.pipeline.compression import THREAD_BYTES, Compression, chosen_encoding
from tests.middleware.apps import Pairs, answering, ask, client_of, get, wrap

TEXT = b'{"title": "The Third Man"}' * 100
JSON = [(b"content-type", b"application/json"), (b"content-length", str(len(TEXT)).encode())]
DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda body: zstandard.ZstdDecompressor().decompress(body),
    "br": brotli.decompress,
    "gzip": gzip.decompress,
}


async def raw(app: object, accept: str, path: str = "/api/films") -> tuple[dict[str, str], bytes]:
    async with (
        client_of(app) as client,
        client.stream("GET", path, headers={"accept-encoding": accept}) as answer,
    ):
        body = b"".join([part async for part in answer.aiter_raw()])
        return dict(answer.headers), body


@pytest.mark.parametrize("encoding", DECODERS)
@pytest.mark.parametrize("size", [1024, THREAD_BYTES - 1, THREAD_BYTES])
async def test_text_is_compressed_by_accept_encoding(encoding: str, size: int) -> None:
    text = (TEXT * 40)[:size]
    head = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", str(size).encode()),
        (b"etag", b'"3"'),
    ]
    headers, body = await raw(wrap(answering(text, headers=head), Compression()), encoding)
    assert DECODERS[encoding](body) == text
    assert headers == {
        "content-type": "application/json; charset=utf-8",
        "etag": '"3"',
        "vary": "Accept-Encoding",
        "content-encoding": encoding,
        "content-length": str(len(body)),
    }


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        (b"", None),
        (b"gzip", b"gzip"),
        (b"gzip, deflate, br, zstd", b"zstd"),
        (b"gzip, deflate, br", b"br"),
        (b"gzip;q=1.0, br;q=0.9, zstd;q=0.1", b"gzip"),
        (b"GZIP ; Q=0.5", b"gzip"),
        (b"*", b"zstd"),
        (b"zstd;q=0, *", b"br"),
        (b"*;q=0", None),
        (b"gzip;q=0", None),
        (b"identity, gzip;q=0.5", None),
        (b"identity;q=0.5, gzip", b"gzip"),
        (b"deflate, compress", None),
        (b"gzip;q=nonsense, br;q=0.2", b"br"),
        (b"gzip;q=nan", None),
        (b";;;,,,=", None),
    ],
)
def test_encoding_is_chosen_by_client_weights_then_our_order(accepted: bytes, chosen: bytes | None) -> None:
    assert chosen_encoding(accepted) == chosen


@pytest.mark.parametrize(
    "media_type",
    [
        b"application/json",
        b"application/problem+json",
        b"Application/Schema+JSON",
        b"text/html; charset=utf-8",
        b"text/csv",
        b"application/javascript",
        b"image/svg+xml",
    ],
)
async def test_every_text_media_type_is_compressed(media_type: bytes) -> None:
    app = wrap(answering(TEXT, headers=[(b"content-type", media_type)]), Compression())
    headers, _ = await raw(app, "gzip")
    assert (headers["content-encoding"], headers["vary"]) == ("gzip", "Accept-Encoding")


@pytest.mark.parametrize(
    ("head", "vary"),
    [
        ([(b"content-type", b"image/png")], None),
        ([(b"content-type", b"text/event-stream")], None),
        ([], None),
        ([*JSON, (b"content-encoding", b"br")], None),
        ([*JSON, (b"content-range", b"bytes 0-1/2")], None),
        ([*JSON, (b"cache-control", b"public, no-transform")], None),
    ],
)
async def test_other_media_types_are_not_compressed(head: Pairs, vary: str | None) -> None:
    headers, body = await raw(wrap(answering(TEXT, headers=head), Compression()), "gzip")
    assert body == TEXT
    assert headers == {name.decode(): value.decode() for name, value in head}
    assert headers.get("vary") == vary


@pytest.mark.parametrize(
    ("text", "accept"), [(TEXT[:1023], "gzip"), (TEXT, ""), (TEXT, "identity"), (b"", "gzip")]
)
async def test_uncompressed_text_varies_by_accept_encoding(text: bytes, accept: str) -> None:
    head = [(b"content-type", b"text/plain"), (b"vary", b"Authorization")]
    headers, body = await raw(wrap(answering(text, headers=head), Compression()), accept)
    assert body == text
    assert headers == {"content-type": "text/plain", "vary": "Authorization, Accept-Encoding"}


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_response_without_body_keeps_content_length(method: str, status: int) -> None:
    app = wrap(answering(b"", status=status, headers=JSON), Compression())
    answer = await ask(app, method, accept_encoding="gzip")
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-length"] == str(len(TEXT))


async def test_streamed_body_is_not_compressed() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": JSON[:1]})
        await send({"type": "http.response.body", "body": TEXT, "more_body": True})
        await send({"type": "http.response.body", "body": TEXT, "more_body": False})

    headers, body = await raw(wrap(app, Compression()), "gzip")
    assert body == TEXT * 2
    assert headers == {"content-type": "application/json", "vary": "Accept-Encoding"}


async def test_large_bodies_are_compressed_concurrently() -> None:
    text = TEXT * 100
    app = wrap(answering(text, headers=JSON[:1]), Compression())
    answers = await asyncio.gather(*(get(app, accept_encoding="zstd") for _ in range(12)))
    assert [answer.content for answer in answers] == [text] * 12
    assert {answer.headers["content-encoding"] for answer in answers} == {"zstd"}
