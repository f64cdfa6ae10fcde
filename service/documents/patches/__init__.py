"""Patches: what a client wants changed, read and checked once, applied as often as it takes.

    read(media_type, body) -> Patch       a body with its media type, one of MEDIA_TYPES
    of_operation(members) -> Patch        an operation of a batch: exactly one of `patch` (a merge patch),
                                          `json_patch`, `operations`; pointers of errors begin there

`writing.patch(access, document_id, patch, expected)` plans to apply one to a stored document. Errors of the
patch itself (PatchInvalid, PatchConflict, PatchTestFailed) point into the patch, those of its
result (DocumentInvalid, FieldNotWritable) into the document.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from service.documents.patches import json_patches, operations
from service.documents.patches.json_patches import merge
from service.kit.errors import (
    Failure,
    PatchConflict,
    PatchInvalid,
    PatchTestFailed,
    Violation,
)
from service.schema import Schema

__all__ = ["JSON_PATCH", "MEDIA_TYPES", "MERGE_PATCH", "OPERATIONS", "Patch", "merge", "of_operation", "read"]

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
OPERATIONS = "application/vnd.sheaf.operations+json"
MEDIA_TYPES = (MERGE_PATCH, JSON_PATCH, OPERATIONS)

Patch: TypeAlias = Callable[[dict[str, Any], Schema, int], Any]
"""From a document as JSON, which stays as it was, to the body that replaces it.

With the schema as the caller has it (`Schema.restricted`), and how many bytes the result may have.
"""

_MEMBERS: dict[str, str] = {"patch": MERGE_PATCH, "json_patch": JSON_PATCH, "operations": OPERATIONS}


def read(media_type: str, body: Any) -> Patch:
    """Read a patch of a media type, plain JSON as a merge patch; raises PatchInvalid, FieldNotWritable."""
    if media_type == JSON_PATCH:
        return json_patches.read(body)
    if media_type == OPERATIONS:
        return operations.read(body)
    return json_patches.read_merge_patch(body)


def of_operation(members: Mapping[str, Any]) -> Patch:
    """Read the patch among the members of a batch's operation; raises PatchInvalid, FieldNotWritable.

    >>> of_operation({"op": "patch", "id": "1"})
    Traceback (most recent call last):
    service.kit.errors.PatchInvalid: A patch is in exactly one of `patch`, `json_patch`, `operations`
    """
    named = [name for name in _MEMBERS if name in members]
    if len(named) != 1:
        detail = f"A patch is in exactly one of {', '.join(f'`{name}`' for name in _MEMBERS)}"
        violations = [Violation("there is another one", "form", pointer=f"/{name}") for name in named[1:]]
        raise PatchInvalid(detail, errors=violations)
    [name] = named
    try:
        patch = read(_MEMBERS[name], members[name])
    except Failure as failure:
        raise failure.below(f"/{name}") from None

    def patched(document: dict[str, Any], schema: Schema, limit_bytes: int) -> Any:
        try:
            return patch(document, schema, limit_bytes)
        except (PatchInvalid, PatchConflict, PatchTestFailed) as failure:
            raise failure.below(f"/{name}") from None

    return patched
