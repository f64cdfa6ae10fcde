"""Compressing text on its way out: zstd, brotli or gzip, as the client prefers."""

import asyncio
import gzip
import threading
from collections.abc import Callable
from functools import lru_cache, partial

import brotli  # type: ignore[import-untyped]  # it ships no types
import zstandard
from litestar.types import HTTPResponseStartEvent

from service.http.pipeline.headers import Headers, add_vary
from service.http.pipeline.step import Exchange, Step

THREAD_BYTES = 65_536
"""From this size on a body is compressed in a thread: a smaller one takes less than handing it over."""

THREADS = 4
"""Bodies compressed in threads at the same time; further ones wait."""

BODILESS_STATUSES = frozenset({204, 304})
TEXT_TYPES = frozenset(
    {
        b"application/javascript",
        b"application/json",
        b"application/xml",
        b"application/x-ndjson",
        b"image/svg+xml",
    }
)
EVENT_STREAM = b"text/event-stream"


class _PerThread(threading.local):
    """Each thread's own zstd compressor: it cannot be shared, and making one takes longer than using it."""

    def __init__(self) -> None:
        self.zstd = zstandard.ZstdCompressor(level=1)


_per_thread = _PerThread()


def _zstd(body: bytes) -> bytes:
    return _per_thread.zstd.compress(body)


def _brotli(body: bytes) -> bytes:
    return bytes(brotli.compress(body, quality=1))


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=1, mtime=0)


# In the order of our preference. Level 1 of each: on JSON the next ones save a few percent at twice the time.
ENCODERS: dict[bytes, Callable[[bytes], bytes]] = {b"zstd": _zstd, b"br": _brotli, b"gzip": _gzip}


class Compression(Step):
    """Compress complete text bodies of `minimum_bytes` or more, by `Accept-Encoding` (RFC 9110, 12.5.3).

    Streams, event streams, HEAD, 204, 304, partial and already encoded responses pass as they are. A strong
    ETag is kept: it names the document's version, which `If-Match` sends back, and not its bytes.
    """

    def __init__(self, *, minimum_bytes: int = 1024) -> None:
        self._minimum_bytes = minimum_bytes
        self._threads = asyncio.Semaphore(THREADS)

    def complete(self, exchange: Exchange, head: HTTPResponseStartEvent) -> None:
        """Have the body compressed, if it is text and the client reads what we write."""
        if not _is_compressible(head):
            return
        headers: Headers = head["headers"]  # type: ignore[assignment]  # the exchange has made it a list
        add_vary(headers, b"Accept-Encoding")
        accepted = exchange.header(b"accept-encoding")
        encoding = chosen_encoding(accepted) if accepted and exchange.method != "HEAD" else None
        if encoding is not None:
            exchange.rewriting = partial(self._compressed, encoding)

    async def _compressed(self, encoding: bytes, body: bytes, head: HTTPResponseStartEvent) -> bytes:
        """Return the body to send; when it is a smaller one, `head` says its encoding and length."""
        if len(body) < self._minimum_bytes:
            return body
        encode = ENCODERS[encoding]
        if len(body) < THREAD_BYTES:
            smaller = encode(body)
        else:
            async with self._threads:
                smaller = await asyncio.to_thread(encode, body)
        if len(smaller) >= len(body):
            return body
        kept: Headers = [pair for pair in head["headers"] if pair[0] != b"content-length"]
        length = str(len(smaller)).encode()
        head["headers"] = [*kept, (b"content-encoding", encoding), (b"content-length", length)]
        return smaller


@lru_cache(maxsize=256)
def chosen_encoding(accepted: bytes) -> bytes | None:
    """Return the encoding that an `Accept-Encoding` prefers, ours first among equals; None for no encoding.

    >>> chosen_encoding(b"gzip, br"), chosen_encoding(b"br;q=0.5, gzip"), chosen_encoding(b"identity")
    (b'br', b'gzip', None)
    """
    weights: dict[bytes, float] = {}
    for part in accepted.lower().split(b","):
        name, _, parameter = part.partition(b";")
        weights[name.strip()] = _weight(parameter)
    others = weights.get(b"*", 0.0)
    best = max(ENCODERS, key=lambda name: weights.get(name, others))
    weight = weights.get(best, others)
    return best if weight > 0 and weight >= weights.get(b"identity", 0.0) else None


def _weight(parameter: bytes) -> float:
    name, _, value = parameter.partition(b"=")
    if name.strip() != b"q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0


def _is_compressible(head: HTTPResponseStartEvent) -> bool:
    if head["status"] in BODILESS_STATUSES:
        return False
    values = dict(head["headers"])
    if b"content-encoding" in values or b"content-range" in values:
        return False
    return b"no-transform" not in values.get(b"cache-control", b"") and _is_text(
        values.get(b"content-type", b"")
    )


@lru_cache(maxsize=256)
def _is_text(content_type: bytes) -> bool:
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type == EVENT_STREAM:
        return False
    return media_type in TEXT_TYPES or media_type.startswith(b"text/") or media_type.endswith(b"+json")
