"""JSON values as BSON values, where the schema's formats say so, and some as text again."""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

from service.kit.errors import DocumentInvalid, Violation
from service.kit.json_values import join_pointer
from service.query.fields import Field
from service.query.kinds import MAXIMUM_SAFE_INTEGER, Kind, to_bson
from service.schema.sentences import shown

_ORDER = (Kind.OBJECT_ID, Kind.UUID, Kind.DATE_TIME, Kind.DATE, Kind.INT64, Kind.DECIMAL, Kind.BINARY)
"""In which order the formats of a field with several are tried; plain text comes last."""

Path = tuple[str | int, ...]


@lru_cache(maxsize=1024)
def _tried(kinds: frozenset[Kind]) -> tuple[Kind, ...]:
    return tuple(kind for kind in _ORDER if kind in kinds)


def encode(value: Any, field: Field, path: Path = ()) -> Any:
    """Turn a validated JSON value into what is stored; the same value when its field has no formats.

    Raises DocumentInvalid for a value that no format of its field can store.
    """
    if isinstance(value, str):
        return _encode_text(value, field, path)
    if isinstance(value, dict):
        return change_members(
            value, field, _has_formats, lambda part, at, name: encode(part, at, (*path, name))
        )
    if isinstance(value, list) and field.items is not None and field.items.has_formats:
        below = field.items
        return [encode(part, below, (*path, index)) for index, part in enumerate(value)]
    if Kind.INT64 in field.kinds and type(value) is int:
        return to_bson(Kind.INT64, value)
    return value


def _has_formats(field: Field) -> bool:
    return field.has_formats


def _encode_text(text: str, field: Field, path: Path) -> Any:
    reason = ""
    for kind in _tried(field.kinds):
        try:
            return to_bson(kind, text)
        except ValueError as error:
            reason = str(error)
    if reason and Kind.STRING not in field.kinds:
        detail = f"{shown(text)} cannot be stored: {reason}"
        violation = Violation(detail, "format", pointer=join_pointer(path))
        raise DocumentInvalid(f"{violation.pointer}: {detail}", errors=[violation])
    return text


def change_members(
    value: dict[str, Any],
    field: Field,
    is_concerned: Callable[[Field], bool],
    change: Callable[[Any, Field, str], Any],
) -> dict[str, Any]:
    """Return an object with the concerned members changed; the same object when none changes."""
    changed: dict[str, Any] | None = None
    for name, part in value.items():
        below = member(field, name)
        if below is not None and is_concerned(below):
            new = change(part, below, name)
            if new is not part:
                changed = dict(value) if changed is None else changed
                changed[name] = new
    return value if changed is None else changed


def member(field: Field, name: str) -> Field | None:
    """Return the Field of an object's member; names that begin with `_` are the system's."""
    found = field.fields.get(name)
    return found if found is not None or name.startswith("_") else field.others


def with_text_forms(value: Any, field: Field, told: frozenset[Field]) -> Any:
    """Return a stored value with text where its Field says so; `told` are the Fields that lead to such.

    `YYYY-MM-DD` for a time that is a day, digits for an `int64` that only text may tell: where the schema
    allows no integer, and where it allows both for one that a double would round.
    """
    if isinstance(value, datetime):
        return value.date().isoformat() if _is_day(field) else value
    if isinstance(value, dict):
        return change_members(
            value, field, told.__contains__, lambda part, at, _: with_text_forms(part, at, told)
        )
    if isinstance(value, list) and field.items in told:
        below = field.items
        return [with_text_forms(part, below, told) for part in value]
    if isinstance(value, int) and not isinstance(value, bool) and is_told_as_text(value, field):
        return str(value)
    return value


def is_told_as_text(number: int, field: Field) -> bool:
    """Return whether an integer at a field is text in JSON."""
    if Kind.INT64 not in field.kinds or Kind.INTEGER in field.kinds:
        return False
    return field.is_text or abs(number) > MAXIMUM_SAFE_INTEGER


def is_told(field: Field) -> bool:
    """Return whether a stored value of a field may have a text that only the field knows of."""
    return _is_day(field) or (Kind.INT64 in field.kinds and Kind.INTEGER not in field.kinds)


def _is_day(field: Field) -> bool:
    return Kind.DATE in field.kinds and Kind.DATE_TIME not in field.kinds
