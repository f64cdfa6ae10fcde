"""The operation that runs many: batches."""

from typing import Any

from service.documents.batch.operations import MAXIMUM_OPERATIONS, OPS
from service.documents.batch.references import NAME, REFERENCE
from service.documents.patches import JSON_PATCH, MERGE_PATCH, OPERATIONS
from service.http.contract.failures import OF_CHECKS, OF_KEYS, OF_PATCHES, OF_VERSIONS, ON_ONE
from service.http.contract.names import reference
from service.http.contract.operations import JSON, Answer, Body, Operation, data
from service.kit.errors import BatchInvalid, Conflict

Schema = dict[str, Any]

_OBJECT: Schema = {"type": "object"}
_MEMBERS: dict[str, Schema] = {
    "collection": {"type": "string", "description": "The collection's name."},
    "id": {
        "description": "The document's id, or a reference.",
        "anyOf": [{"type": ["string", "integer"]}, reference("Reference")],
    },
    "document": {"type": "object", "description": "The document, in which references may stand for ids."},
    "if_match": {
        "description": "The version that the document must have.",
        "anyOf": [{"type": "integer", "minimum": 0}, {"const": "*"}],
    },
    "upsert": {"type": "boolean", "description": "Create the document when there is none."},
    "as": {
        "type": "string",
        "pattern": f"^{NAME.pattern}$",
        "description": "What later operations call its document by.",
    },
    "patch": {"type": "object", "description": f"As `{MERGE_PATCH}`."},
    "json_patch": {"description": f"As `{JSON_PATCH}`.", **reference("JsonPatch")},
    "operations": {"description": f"As `{OPERATIONS}`.", **reference("FieldOperations")},
}
_OPERATIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "create": (("collection", "document"), ("id", "as")),
    "replace": (("collection", "id", "document"), ("if_match", "upsert", "as")),
    "patch": (("collection", "id"), ("if_match", "as", "patch", "json_patch", "operations")),
    "delete": (("collection", "id"), ("if_match",)),
    "get": (("collection", "id"), ("as",)),
}
"""The members that each operation needs, and those that it may have."""

_EXAMPLE = {
    "atomic": True,
    "operations": [
        {"op": "create", "collection": "authors", "as": "author", "document": {"name": "Ann"}},
        {
            "op": "create",
            "collection": "books",
            "document": {"title": "Trees", "author": {REFERENCE: "author"}},
        },
    ],
}


def schemas() -> dict[str, Schema]:
    """Give the schemas of batches: their operations by name, and what each came to."""
    named = {f"Batch{op.capitalize()}": _operation(op) for op in OPS}
    outcome: dict[str, Schema] = {
        "status": {"type": "integer", "description": "What the operation alone would be answered with."},
        "data": {"type": "object", "description": "The document."},
        "etag": {"type": "string"},
        "problem": reference("Problem"),
    }
    return {
        **named,
        "Batch": {
            "type": "object",
            "required": ["operations"],
            "additionalProperties": False,
            "properties": {
                "atomic": {
                    "type": "boolean",
                    "default": True,
                    "description": "Whether the operations come to pass only all together.",
                },
                "operations": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAXIMUM_OPERATIONS,
                    "items": {"oneOf": [reference(name) for name in named]},
                },
            },
        },
        "Reference": {
            "type": "object",
            "description": "The id of an earlier operation's document.",
            "required": [REFERENCE],
            "additionalProperties": False,
            "properties": {REFERENCE: {"type": "string", "pattern": f"^{NAME.pattern}$"}},
        },
        "Outcome": {
            "type": "object",
            "description": "What came of one operation.",
            "required": ["status"],
            "properties": outcome,
            "additionalProperties": False,
        },
    }


def _operation(op: str) -> Schema:
    required, optional = _OPERATIONS[op]
    written: Schema = {
        "type": "object",
        "required": ["op", *required],
        "additionalProperties": False,
        "properties": {"op": {"const": op}, **{name: _MEMBERS[name] for name in (*required, *optional)}},
    }
    if op == "patch":
        written["oneOf"] = [{"required": [name]} for name in ("patch", "json_patch", "operations")]
    return written


def operations() -> list[Operation]:
    """Give the operation."""
    outcomes: Schema = {"type": "array", "items": reference("Outcome")}
    return [
        Operation(
            method="post",
            path="/api/batch",
            id="runBatch",
            tag="Batch",
            summary="Run many operations, all or none, or each by itself",
            answers=(
                Answer(
                    200,
                    "What came of each operation.",
                    data(outcomes),
                    optional_headers=("Idempotency-Replayed",),
                    example={"data": [{"status": 204}]},
                ),
            ),
            failures=(
                BatchInvalid,
                Conflict,
                *ON_ONE,
                *OF_CHECKS,
                *OF_PATCHES,
                *OF_VERSIONS,
                *OF_KEYS,
            ),
            parameters=("Idempotency-Key",),
            bodies={JSON: Body(reference("Batch"), _EXAMPLE)},
            access="perhaps",
        )
    ]
