"""Documents as text: what is remembered is what would be written anew, and it is bounded."""

import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

import bson
import pytest
from bson import Binary, Decimal128, Int64, ObjectId, Regex, Timestamp
from bson.errors import InvalidBSON
from litestar import Litestar

from service.collections import description as descriptions
from service.collections.registry import Collection
from service.documents import encoding, preconditions, rendering
from service.documents.rendering import Renderings
from service.storage.raw_bson import CODEC
from service.storage.store import decoded
from tests.services import services_of

KEEPS_DEFINITIONS = True

SECRET = "a secret"
HIDING = {"type": "string", "writeOnly": True}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "secret": HIDING,
        "day": {"type": "string", "format": "date"},
        "long": {"type": "string", "format": "int64"},
        "in": {
            "type": "object",
            "properties": {"secret": HIDING, "day": {"type": "string", "format": "date"}},
        },
        "many": {"type": "array", "items": {"type": "object", "properties": {"secret": HIDING}}},
    },
}
VALUES: list[Any] = [
    None,
    True,
    -1.5,
    float("nan"),
    Int64(2**60),
    "é\u2028\x00",
    datetime(2026, 11, 22, 1, 2, 3, 4000, tzinfo=UTC),
    Decimal128("1.10"),
    ObjectId("5" * 24),
    UUID(int=7),
    b"\x00\xff",
    Binary(b"x", 128),
    Regex("x", "i"),
    Timestamp(1, 2),
    [[], {}],
    {"": {"in": [1]}},
]
DAY = datetime(2026, 11, 22, tzinfo=UTC)


def described(app: Litestar, schema: dict[str, Any]) -> Collection:
    """Return a collection that a schema describes."""
    collection: Collection = services_of(app).registry.get("products")
    return replace(collection, description=descriptions.parse({"schema": schema}))


@pytest.fixture
def things(app: Litestar) -> Collection:
    return described(app, SCHEMA)


def stored(document: dict[str, Any]) -> bytes:
    return bson.encode(document, codec_options=CODEC)


def random_document(chance: Random, number: int) -> dict[str, Any]:
    secret = {"secret": chance.choice([SECRET, {"text": SECRET}]), "day": DAY, "more": chance.choice(VALUES)}
    members = {
        "name": "x" * chance.randrange(50),
        "secret": SECRET,
        "day": DAY,
        "long": Int64(2**60 + 1),
        "in": chance.choice([secret, [secret, 1], None]),
        "many": chance.choice([[secret, secret], secret, []]),
        "other": chance.choice(VALUES),
    }
    names = chance.sample(list(members), chance.randrange(len(members) + 1))
    return {"_id": number, **{name: members[name] for name in names}, "_version": 1 + number % 3}


def written(collection: Collection, raw: bytes) -> bytes:
    return encoding.dump(encoding.view(collection, decoded(raw)))


async def test_cached_rendering_equals_fresh_rendering(things: Collection) -> None:
    chance = Random(3)  # noqa: S311  # the same documents in every run
    documents = [stored(random_document(chance, number)) for number in range(300)]
    renderings = Renderings()
    expected = [written(things, raw) for raw in documents]
    for _ in range(3):
        assert await renderings.texts(things, documents) == expected
    assert not any(SECRET.encode() in text for text in expected)
    assert any(b'"day":"2026-11-22"' in text for text in expected)
    assert any(b'"long":"1152921504606846977"' in text for text in expected)
    for raw, text in zip(documents, expected, strict=True):
        rendered = renderings.of(things, raw)
        assert (rendered.text, rendered.tag) == (text, preconditions.tag(decoded(raw)))
        in_full = renderings.of(things, decoded(raw))
        assert (in_full.text, in_full.tag) == (text, rendered.tag)


def test_unchanged_document_is_rendered_once(things: Collection) -> None:
    renderings = Renderings()
    document = {"_id": 1, "name": "x", "_version": 1}
    first = renderings.of(things, stored(document))
    assert renderings.of(things, stored(document)) is first
    changed = renderings.of(things, stored(document | {"_version": 2}))
    assert (changed.tag, first.tag) == ('"2"', '"1"')
    other_type = renderings.of(things, stored(document | {"_id": 1.0}))
    assert (first.text[:7], other_type.text[:9]) == (b'{"id":1', b'{"id":1.0')


def test_changed_schema_renders_unchanged_document_again(app: Litestar, things: Collection) -> None:
    raw = stored({"_id": 1, "name": SECRET, "_version": 1})
    hiding = described(app, {"type": "object", "properties": {"name": HIDING}})
    renderings = Renderings()
    for _ in range(2):
        assert SECRET.encode() in renderings.of(things, raw).text
        assert renderings.of(hiding, raw).text == b'{"id":1,"_version":1}'
    _fill(renderings, things, rendering.MAXIMUM_BYTES // 2)
    assert SECRET.encode() in renderings.of(things, raw).text, "also where it is remembered from before"
    assert renderings.of(hiding, raw).text == b'{"id":1,"_version":1}'


def _fill(renderings: Renderings, collection: Collection, size_bytes: int, first: int = 0) -> None:
    """Have it remember other documents of so many bytes, with their texts."""
    for number in range(first, first + size_bytes // 12_000):
        renderings.of(collection, stored({"_id": number, "filling": "x" * 6_000}))


def test_recently_used_renderings_are_kept(things: Collection) -> None:
    renderings = Renderings()
    often, once = stored({"_id": "often"}), stored({"_id": "once"})
    first, forgotten = renderings.of(things, often), renderings.of(things, once)
    for turn in range(8):
        _fill(renderings, things, rendering.MAXIMUM_BYTES // 4, first=turn * 10_000)
        assert renderings.of(things, often) is first
    assert renderings.of(things, once) is not forgotten


def held_bytes(renderings: Renderings) -> int:
    """Count what is remembered, with the documents themselves."""
    held = [*renderings._young.items(), *renderings._old.items()]
    return sum(len(raw) + len(rendered.text) + rendering.OVERHEAD_BYTES for raw, rendered in held)


def test_memory_of_renderings_is_bounded(things: Collection) -> None:
    chance = Random(1)  # noqa: S311  # the same documents in every run
    maximum_bytes = 1_000_000
    renderings = Renderings(maximum_bytes)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    most = 0
    for number in range(8_000):
        size = chance.choice([0, 10, 100, 100, 7_000])
        again = chance.randrange(number + 1) if chance.random() < 0.3 else number
        renderings.of(things, stored({"_id": again, "name": "x" * size}))
        if number % 100 == 0:
            most = max(most, held_bytes(renderings))
    taken_bytes = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert maximum_bytes // 3 < most <= maximum_bytes
    assert taken_bytes <= maximum_bytes, "what it takes to keep them is counted, too"


def test_large_documents_are_not_cached(things: Collection) -> None:
    renderings = Renderings()
    large = stored({"_id": 1, "name": "x" * rendering.MAXIMUM_DOCUMENT_BYTES})
    assert renderings.of(things, large) is not renderings.of(things, large)
    assert renderings.of(things, large).text == written(things, large)
    assert held_bytes(renderings) == 0


async def test_undecodable_document_raises_each_time(things: Collection) -> None:
    renderings = Renderings()
    far = stored({"_id": 1, "at": bson.DatetimeMS(2**60)})
    for _ in range(2):
        with pytest.raises(InvalidBSON):
            renderings.of(things, far)
        with pytest.raises(InvalidBSON):
            await renderings.texts(things, [stored({"_id": 2}), far])
    assert (await renderings.texts(things, [stored({"_id": 2})])) == [b'{"id":2}']
