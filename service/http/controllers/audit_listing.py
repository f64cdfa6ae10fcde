"""What the audit log may be filtered and sorted by, and how its events are shown."""

from collections.abc import Mapping
from typing import Any

from models.audit_event import AuditEvent
from service.documents.listing import Listing
from service.query import SortKey

_TEXT = {"type": "string"}
_OPTIONAL = {"type": ["string", "null"]}
_WHO = {"kind": _TEXT, "id": _OPTIONAL, "key_id": _OPTIONAL}
_WHAT = {"kind": _TEXT, "id": _OPTIONAL}

SHOWN = ("at", "action", "actor", "target", "details", "address", "request_id")

LISTING = Listing.of(
    AuditEvent,
    {
        "at": {"type": "string", "format": "date-time"},
        "action": _TEXT,
        "actor": {"type": "object", "properties": _WHO, "additionalProperties": False},
        "target": {"type": "object", "properties": _WHAT, "additionalProperties": False},
        "address": _OPTIONAL,
        "request_id": _OPTIONAL,
    },
    order=(SortKey(("at",), is_descending=True),),
)
"""The newest first, unless a request says otherwise."""


def view(event: Mapping[str, Any]) -> dict[str, Any]:
    """Give a stored event as administrators see it."""
    return {"id": str(event["_id"]), **{name: event.get(name) for name in SHOWN}}
