"""Documents within BSON, found by their lengths and cut out undecoded (bsonspec.org, version 1.1)."""

from collections.abc import Iterator
from struct import Struct
from struct import error as StructError  # noqa: N812  # it is a class
from typing import Any

from bson import CodecOptions
from bson.binary import UuidRepresentation

CODEC: "CodecOptions[dict[str, Any]]" = CodecOptions(
    tz_aware=False, uuid_representation=UuidRepresentation.STANDARD
)
"""How documents are decoded: datetimes without a zone, which are UTC and cheaper to build."""

OBJECT_ID, OBJECT, ARRAY, PATTERN = 0x07, 0x03, 0x04, 0x0B

_LENGTH = Struct("<i")
_FIXED = {0x01: 8, 0x06: 0, OBJECT_ID: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16}
"""How many bytes a value of a type has; -1 and 127, the least and the greatest key, have none."""
_FIXED |= {0xFF: 0, 0x7F: 0}
_COUNTED = {0x02: 4, OBJECT: 0, ARRAY: 0, 0x05: 5, 0x0C: 16, 0x0D: 4, 0x0E: 4, 0x0F: 0}
"""How many bytes a value of a type has besides those that it counts at its beginning."""

_LEAST = 5
"""How many bytes a document has without any member."""

_CUT_OFF = "a document ends too early"


def elements(document: bytes) -> Iterator[tuple[int, bytes, int, int]]:
    r"""Iterate over the members of a document: the type, its name, and where its value begins and ends.

    Raises ValueError for what is not BSON.

    >>> list(elements(b"\x11\0\0\0\x10a\0\1\0\0\0\x08b\0\1\0"))
    [(16, b'a', 7, 11), (8, b'b', 14, 15)]
    """
    position = 4
    try:
        while kind := document[position]:
            begin = document.index(0, position + 1) + 1
            end = _end(document, kind, begin)
            yield kind, document[position + 1 : begin - 1], begin, end
            position = end
    except (IndexError, StructError):
        raise ValueError(_CUT_OFF) from None


def objects(document: bytes, begin: int) -> Iterator[bytes]:
    """Return the documents of an array of nothing else, whose value begins there; raises ValueError."""
    position = begin + 4
    try:
        while kind := document[position]:
            if kind != OBJECT:
                raise ValueError("an element of the array is not a document")
            first = document.index(0, position + 2) + 1
            position = first + _LENGTH.unpack_from(document, first)[0]
            if position < first + _LEAST:
                raise ValueError("a document counts fewer bytes than it has")
            yield document[first:position]
    except (IndexError, StructError):
        raise ValueError(_CUT_OFF) from None


def _end(document: bytes, kind: int, begin: int) -> int:
    if kind in _FIXED:
        return begin + _FIXED[kind]
    if kind in _COUNTED:
        counted: int = _LENGTH.unpack_from(document, begin)[0]
        if counted < 0:
            raise ValueError("a value counts fewer bytes than it has")
        return begin + counted + _COUNTED[kind]
    if kind == PATTERN:  # it and its options
        return document.index(0, document.index(0, begin) + 1) + 1
    raise ValueError(f"there is no type {kind} in BSON")
