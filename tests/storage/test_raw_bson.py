"""Documents are found within BSON of any kind; what is broken is refused, never walked through for ever."""

import string
from datetime import datetime
from itertools import islice
from struct import pack
from typing import Any

import bson
import pytest
from bson import (
    Binary,
    Code,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from service.storage import raw_bson

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = texts.filter(lambda text: "\0" not in text)
patterns = st.builds(Regex, names, st.integers(0, 127).map(lambda flags: flags & ~(4 | 32)))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(width=64),
    st.integers(-(2**63), 2**63 - 1),
    st.builds(Int64, st.integers(-(2**63), 2**63 - 1)),
    texts,
    st.binary(max_size=20),
    st.builds(Binary, st.binary(max_size=20), st.integers(0, 255)),
    st.binary(min_size=12, max_size=12).map(ObjectId),
    st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 1, 1)),  # noqa: DTZ001  # BSON's own
    st.builds(DatetimeMS, st.integers(-(2**63), 2**63 - 1)),
    st.builds(Timestamp, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    st.sampled_from([Decimal128(text) for text in ("0", "-1.50", "NaN", "Infinity", "1E+6111")]),
    patterns,
    texts.map(Code),
    st.builds(Code, texts, st.dictionaries(names, st.integers(0, 9), max_size=2)),
    st.builds(DBRef, st.text(string.ascii_letters, min_size=1), st.integers(0, 9)),
    st.just(MinKey()),
    st.just(MaxKey()),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(names, values, max_size=6)

OTHERS = {
    "undefined": (0x06, b""),
    "a pointer to a document": (0x0C, pack("<i", 4) + b"abc\0" + bytes(range(12))),
    "a symbol": (0x0E, pack("<i", 3) + b"ab\0"),
    "an old binary": (0x05, pack("<i", 7) + b"\x02" + pack("<i", 3) + b"abc"),
}
"""Values that are in BSON's specification, and that the driver no longer writes."""


def framed(members: bytes) -> bytes:
    return pack("<i", len(members) + 5) + members + b"\0"


@given(documents)
@settings(max_examples=50, deadline=None)
def test_elements_match_driver(document: dict[str, Any]) -> None:
    raw = bson.encode(document)
    found = list(raw_bson.elements(raw))
    codec = bson.CodecOptions[dict[str, Any]](datetime_conversion=bson.DatetimeConversion.DATETIME_AUTO)
    assert [name.decode() for _, name, _, _ in found] == list(bson.decode(raw, codec_options=codec))
    parts = [bytes([kind]) + name + b"\0" + raw[begin:end] for kind, name, begin, end in found]
    assert framed(b"".join(parts)) == raw
    for part, (_, name, _, _) in zip(parts, found, strict=True):
        assert framed(part) == bson.encode({name.decode(): document[name.decode()]})


@pytest.mark.parametrize(("kind", "value"), OTHERS.values(), ids=OTHERS)
def test_deprecated_bson_types_are_skipped(kind: int, value: bytes) -> None:
    member = bytes([kind]) + b"old\0" + value
    raw = framed(b"\x10a\0\1\0\0\0" + member + b"\x08b\0\1")
    assert "old" in bson.decode(raw)
    begin = raw.index(member) + 5
    assert list(raw_bson.elements(raw))[1:] == [
        (kind, b"old", begin, begin + len(value)),
        (8, b"b", len(raw) - 2, len(raw) - 1),
    ]


@given(st.lists(documents, max_size=12))
@settings(max_examples=15, deadline=None)
def test_documents_of_array_are_extracted_unchanged(array: list[dict[str, Any]]) -> None:
    raw = bson.encode({"before": "x", "array": array, "after": 1})
    begin = next(begin for _, name, begin, _ in raw_bson.elements(raw) if name == b"array")
    assert list(raw_bson.objects(raw, begin)) == [bson.encode(each) for each in array]


def test_long_array_of_documents_is_split() -> None:
    raw = bson.encode({"array": [{"n": number} for number in range(1001)]})
    found = list(raw_bson.objects(raw, raw.index(b"\4array\0") + 7))
    assert [bson.decode(each)["n"] for each in found] == list(range(1001))


@pytest.mark.parametrize("other", [1, "text", [], None])
def test_array_of_other_values_is_refused(other: Any) -> None:
    raw = bson.encode({"a": [{}, other]})
    with pytest.raises(ValueError, match="not a document"):
        list(raw_bson.objects(raw, raw.index(b"\4a\0") + 3))


def members(raw: bytes) -> int:
    """Count members, of which there cannot be more than bytes."""
    return sum(1 for _ in islice(raw_bson.elements(raw), len(raw) + 1))


def objects(raw: bytes) -> int:
    return sum(1 for _ in islice(raw_bson.objects(raw, 0), len(raw) + 1))


@given(documents, st.data())
@settings(max_examples=50, deadline=None)
def test_truncated_bson_is_refused(document: dict[str, Any], data: st.DataObject) -> None:
    raw = bson.encode(document)
    length = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(ValueError, match=r".") as caught:
        members(raw[:length])
    assert caught.type is ValueError
    array = bson.encode({str(position): {"a": each} for position, each in enumerate(document.values())})
    with pytest.raises(ValueError, match=r"."):
        objects(array[: data.draw(st.integers(0, len(array) - 1))])


@given(documents, st.data())
@settings(max_examples=80, deadline=None)
def test_corrupt_bson_is_refused_or_terminates(document: dict[str, Any], data: st.DataObject) -> None:
    broken = bytearray(bson.encode({"0": document, "1": {}}))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(broken) - 1))
        broken[at] = data.draw(st.sampled_from([0, 1, 3, 4, 0x0B, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
    for count in (members, objects):
        try:
            assert count(bytes(broken)) <= len(broken)
        except ValueError:
            continue


@pytest.mark.parametrize("length", [-(2**31), -8, -7, -5, -1, 0, 4])
@pytest.mark.parametrize("kind", [2, 3, 4, 5, 0x0C, 0x0D, 0x0E, 0x0F])
def test_negative_or_too_small_length_is_refused(kind: int, length: int) -> None:
    raw = framed(bytes([kind]) + b"0\0" + pack("<i", length))
    if length < 0:
        with pytest.raises(ValueError, match=r"."):
            members(raw)
    with pytest.raises(ValueError, match=r"."):
        objects(raw)


def test_unknown_bson_type_is_refused() -> None:
    with pytest.raises(ValueError, match="no type 32"):
        members(framed(b"\x20a\0"))
