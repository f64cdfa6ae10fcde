"""Who sends what to a collection whose rules a test states."""

from collections.abc import Callable
from typing import Any

from bson import ObjectId

ANN, BOB = str(ObjectId()), str(ObjectId())
Send = Callable[..., Any]

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "string"},
        "team": {"type": "string"},
        "author": {"type": "string", "readOnly": True},
        "seen_at": {"type": "string", "format": "date-time"},
        "code": {"type": "string"},
        "place": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "zip": {"type": "string"}},
        },
    },
    "additionalProperties": False,
}

USER: dict[str, Any] = {"role": "user"}


async def created(send: Send, name: str, body: dict[str, Any], who: str = ANN) -> dict[str, Any]:
    answer = await send(who, "POST", name, body)
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data
