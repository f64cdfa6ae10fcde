"""Stored documents as JSON: BSON's types become plain JSON, `_id` becomes `id`."""

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
from bson import Binary, Decimal128, ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp

from service.collections.registry import Collection

_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME


def view_bytes(shown: dict[str, Any]) -> bytes:
    """Write `{"data": {…}}` for a view of a document."""
    return b'{"data":%b}' % dump(shown)


def view(collection: Collection, document: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a stored document that clients see; may share parts with it."""
    schema = collection.description.schema
    visible = schema.with_text_forms(schema.visible(document))
    if "_id" not in visible:
        return visible
    shown = {"id": visible["_id"], **visible}
    del shown["_id"]
    return shown


def as_json(collection: Collection, document: dict[str, Any]) -> dict[str, Any]:
    """Return a stored document as a client would have it after parsing, hidden members included."""
    schema = collection.description.schema
    shown = schema.with_text_forms(document)
    parsed: dict[str, Any] = orjson.loads(dump(shown))
    parsed["id"] = parsed.pop("_id")
    return parsed


def dump(value: Any) -> bytes:
    """Write stored values as compact JSON."""
    return orjson.dumps(value, default=_plain, option=_OPTIONS)


def _plain(value: Any) -> Any:
    """Return the JSON form of a BSON value that JSON has no type for; never fails, whatever was imported."""
    form = _FORMS.get(type(value))
    if form is not None:
        return form(value)
    return str(value)


def _time(value: datetime) -> str:
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return value.isoformat("T", "milliseconds") + "Z"


_FORMS: dict[type, Callable[[Any], Any]] = {
    datetime: _time,
    ObjectId: str,
    Decimal128: str,
    bytes: lambda value: b64encode(value).decode(),
    Binary: lambda value: b64encode(value).decode(),
    Regex: lambda value: value.pattern,
    Timestamp: Timestamp.as_datetime,
}
"""How values of a type are written; by their very type, because it is looked up for each value."""
