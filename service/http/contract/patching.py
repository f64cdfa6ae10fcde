"""Schemas of patches that are the same for every collection: JSON Patch and operations on fields."""

from typing import Any

from service.documents.patches import json_patches, operations

Schema = dict[str, Any]


def schemas() -> dict[str, Schema]:
    """Give the schemas by name."""
    return {"JsonPatch": _json_patch(), "FieldOperations": _operations()}


def _json_patch() -> Schema:
    pointer: Schema = {"type": "string", "maxLength": json_patches.MAXIMUM_POINTER_CHARACTERS}
    alternatives: list[Schema] = []
    for name in json_patches.NAMES:
        members: dict[str, Schema] = {"op": {"const": name}, "path": pointer}
        members |= {"value": {}} if name in json_patches.WITH_VALUE else {}
        members |= {"from": pointer} if name in json_patches.WITH_SOURCE else {}
        alternatives.append({"type": "object", "required": list(members), "properties": members})
    return {
        "description": "Operations one after the other, all or none (RFC 6902).",
        "type": "array",
        "maxItems": json_patches.MAXIMUM_OPERATIONS,
        "items": {"oneOf": alternatives},
    }


def _operations() -> Schema:
    told = {
        "set": "Put a value in place of what is there.",
        "inc": "Add a number.",
        "min": "Keep the lesser of both values.",
        "max": "Keep the greater of both values.",
        "push": 'Put a value, or those of `{"each": […]}`, at the end of an array.',
        "add_to_set": "Put a value at the end of an array that does not have it yet.",
        "pull": "Take every element out of an array that is equal to the value.",
        "unset": "Remove fields.",
    }
    members: dict[str, Schema] = {
        name: {"type": "object", "description": told.get(name, ""), "additionalProperties": True}
        for name in operations.NAMES
        if name != "unset"
    }
    members["unset"] = {"type": "array", "description": told["unset"], "items": {"type": "string"}}
    return {
        "description": "What to do to fields, each by its dotted path.",
        "type": "object",
        "additionalProperties": False,
        "properties": members,
    }
