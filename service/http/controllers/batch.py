"""Many operations in one request."""

from functools import partial
from typing import Any

from litestar import Controller, Response
from orjson import Fragment

from service.documents import batch, encoding
from service.documents.batch import MAXIMUM_OPERATIONS, NAME, OPS, REFERENCE, Batch
from service.documents.idempotency import Step, StepResult
from service.documents.patches import JSON_PATCH, MERGE_PATCH, OPERATIONS
from service.http import answers, idempotent, problems
from service.http.contract.operations import (
    OF_CHECKS,
    OF_KEYS,
    OF_PATCHES,
    OF_VERSIONS,
    ON_ONE,
    Answer,
    Operation,
    data,
    json_body,
)
from service.http.contract.schemas import reference
from service.http.guards import FOR_API_KEYS, principal
from service.http.pipeline.rate_limit import CHARGE
from service.http.requests import AnyRequest, json_of, json_response, only_parameters
from service.http.routing import post
from service.http.services import services_of
from service.kit.errors import BatchInvalid, Conflict

Schema = dict[str, Any]
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


def _schemas() -> dict[str, Schema]:
    """Return the schemas of batches: their operations by name, and what each came to."""
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


class BatchController(Controller):
    """`/api/batch`."""

    path = "/api/batch"
    opt = {FOR_API_KEYS: True}

    @post(
        "/",
        status_code=200,
        operation=Operation(
            id="runBatch",
            tag="Batch",
            summary="Run many operations, all or none, or each by itself",
            answers=(
                Answer(
                    200,
                    "What came of each operation.",
                    data({"type": "array", "items": reference("Outcome")}),
                    optional_headers=("Idempotency-Replayed",),
                    example={"data": [{"status": 204}]},
                ),
            ),
            failures=(BatchInvalid, Conflict, *ON_ONE, *OF_CHECKS, *OF_PATCHES, *OF_VERSIONS, *OF_KEYS),
            parameters=("Idempotency-Key",),
            bodies=json_body(reference("Batch"), _EXAMPLE),
            access="optional",
            schemas=_schemas(),
        ),
    )
    @idempotent.takes_key
    async def run_batch(self, request: AnyRequest) -> Response[bytes]:
        """Run operations on documents of any collections, all or none, or each by itself."""
        only_parameters(request)
        wanted = answers.preferred_return(request)
        found = batch.parse(await json_of(request), is_minimal=wanted == "minimal")
        if found.is_atomic:
            return await idempotent.run(request, partial(_run_atomically, request, found))
        return await idempotent.run_steps(request, partial(_run_each, request, found))


async def _run_atomically(request: AnyRequest, found: Batch) -> Response[bytes]:
    await _charge(request, found)
    services = services_of(request)
    return _answer(
        request, await batch.run_atomically(services.database, services.registry, principal(request), found)
    )


async def _run_each(request: AnyRequest, found: Batch, step: Step) -> Response[bytes]:
    await _charge(request, found)
    failure_result = partial(_failure_result, request)
    return _answer(
        request,
        await batch.run_each(services_of(request).registry, principal(request), found, step, failure_result),
    )


async def _charge(request: AnyRequest, found: Batch) -> None:
    """Count each operation as a request, the first of which is this one; raises RateLimited.

    Once for each request, however often its transaction is tried.
    """
    charge = request.scope["state"].pop(CHARGE, None)
    if charge is not None and len(found.operations) > 1:
        await charge(len(found.operations) - 1)


def _answer(request: AnyRequest, operations: list[Fragment]) -> Response[bytes]:
    headers = answers.preference_applied(answers.preferred_return(request))
    return json_response(encoding.dump({"data": operations}), headers=headers)


def _failure_result(request: AnyRequest, error: Exception) -> StepResult:
    """Return what an operation that failed is answered: the problem of a request of its own."""
    problems.report(error, request.scope)
    failure = problems.translate(error)
    request_id = str(request.scope["state"].get("request_id", ""))
    problem = failure.problem(instance=request.scope["path"], request_id=request_id)
    return {"status": failure.status, "problem": problem}
