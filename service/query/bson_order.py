"""Values as MongoDB compares them: only within one type, all numbers being one type."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from bson import SON, Binary, Decimal128, Int64, ObjectId


class Missing:
    """The type of MISSING."""

    __slots__ = ()


MISSING: Final = Missing()
"""What is found at a path where a document has nothing; it equals null."""

Key = tuple[str, Any]


def key(value: Any) -> Key:
    """Give the type's name and what to compare within it; equal keys are equal values, and all have hashes.

    >>> key(1) == key(1.0), key(1) == key(True), key(None) == key(MISSING)
    (True, False, True)
    """
    kind = type(value)
    name, comparable = _TYPES.get(kind, (f"other {kind.__name__}", repr))
    return name, value if comparable is None else comparable(value)


def _nothing(_: object) -> int:
    return 0


def _decimal(value: Decimal128) -> Decimal | float:
    number = value.to_decimal()
    return float("nan") if number.is_nan() else number


def _date(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _binary(value: UUID | bytes) -> tuple[int, int, bytes]:
    stored = Binary.from_uuid(value) if isinstance(value, UUID) else value
    return len(stored), stored.subtype if isinstance(stored, Binary) else 0, bytes(stored)


def _array(value: Iterable[Any]) -> tuple[Key, ...]:
    return tuple(map(key, value))


def _object(value: Mapping[str, Any]) -> tuple[tuple[str, Key], ...]:
    return tuple((name, key(member)) for name, member in value.items())


_TYPES: Mapping[type, tuple[str, Callable[[Any], Any] | None]] = {
    type(None): ("null", _nothing),
    Missing: ("null", _nothing),
    bool: ("boolean", None),
    int: ("number", None),
    float: ("number", None),
    Int64: ("number", None),
    Decimal128: ("number", _decimal),
    str: ("string", None),
    datetime: ("date", _date),
    ObjectId: ("objectid", None),
    UUID: ("binary", _binary),
    bytes: ("binary", _binary),
    Binary: ("binary", _binary),
    list: ("array", _array),
    tuple: ("array", _array),
    dict: ("object", _object),
    SON: ("object", _object),
}
