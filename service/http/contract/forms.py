"""Schemas of what identity endpoints read and answer with."""

from typing import Any

from service.kit.forms import Form

Schema = dict[str, Any]


def closed(members: dict[str, Schema], description: str) -> Schema:
    """Give the schema of an object that has exactly these members."""
    return {
        "type": "object",
        "description": description,
        "required": list(members),
        "properties": members,
        "additionalProperties": False,
    }


def of_form(form: type[Form]) -> Schema:
    """Give a form's schema without the titles that pydantic makes of its names."""
    written = form.model_json_schema()
    for part in (written, *written["properties"].values()):
        part.pop("title", None)
        if part.get("default", 0) is None:
            del part["default"]
    return written
