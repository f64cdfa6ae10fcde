"""Operations that write documents of one collection."""

from typing import Any

from service.documents.bulk import MAXIMUM_DOCUMENTS
from service.documents.patches import JSON_PATCH, MERGE_PATCH, OPERATIONS
from service.http.contract import views
from service.http.contract.failures import (
    IN_COLLECTION,
    OF_CHECKS,
    OF_KEYS,
    OF_PATCHES,
    OF_VERSIONS,
    ON_ONE,
)
from service.http.contract.names import reference
from service.http.contract.operations import JSON, Answer, Body, Endpoint, Operation, data
from service.http.contract.parts import Part
from service.http.contract.reads import filter_parameter
from service.kit.errors import IdInvalid, TooManyAffected

Schema = dict[str, Any]

_APPLIED = ("Preference-Applied",)
_REPLAYED = ("Idempotency-Replayed",)
_MAXIMUM: Schema = {
    "name": "max_affected",
    "in": "query",
    "required": True,
    "description": "How many documents may be affected at the most: of more, none is.",
    "schema": {"type": "integer", "minimum": 1, "maximum": MAXIMUM_DOCUMENTS},
}
_UPSERT: Schema = {
    "name": "upsert",
    "in": "query",
    "description": "Create the document when there is none.",
    "schema": {"type": "boolean", "default": False},
}
_AFFECTED: Schema = {
    "type": "object",
    "required": ["matched", "changed"],
    "properties": {
        "matched": {"type": "integer", "minimum": 0},
        "changed": {"type": "integer", "minimum": 0},
    },
}


def create_documents(part: Part) -> Endpoint:
    """Describe creating one document or several."""
    one, document = part.refer(views.CREATE), part.written()
    many: Schema = {"type": "array", "items": one, "minItems": 1, "maxItems": MAXIMUM_DOCUMENTS}
    documents: Schema = {"type": "array", "items": document}
    created = Answer(
        201,
        "The document, or the documents in the order of the array.",
        {"anyOf": [part.whole(), data(documents)]},
        optional_headers=("ETag", "Location", *_APPLIED, *_REPLAYED),
        example=part.answer_example(),
    )
    return Endpoint(
        "post",
        part.path,
        Operation(
            id=f"create{part.base}",
            tag=part.collection.name,
            summary="Create a document, or those of an array, all or none",
            answers=(created,),
            failures=(*IN_COLLECTION, *OF_CHECKS, IdInvalid, *OF_KEYS),
            parameters=("Idempotency-Key", "Prefer"),
            bodies={JSON: Body({"anyOf": [one, many]}, part.example)},
            access="perhaps",
        ),
    )


def replace_document(part: Part) -> Endpoint:
    """Describe replacing one document."""
    answer = _written(part, 200, "The document as it is now.")
    created = _written(part, 201, "The document, which is new.", ("Location",))
    return Endpoint(
        "put",
        part.path_of_one,
        Operation(
            id=f"replace{part.base}ById",
            tag=part.collection.name,
            summary="Replace a document",
            answers=(answer, created, _MINIMAL),
            failures=(*ON_ONE, *OF_CHECKS, *OF_VERSIONS),
            parameters=(part.id_parameter, _UPSERT, "If-Match", "If-None-Match.new", "Prefer"),
            bodies={JSON: Body(part.refer(views.REPLACE), part.example)},
            access="perhaps",
        ),
    )


def patch_document(part: Part) -> Endpoint:
    """Describe changing one document."""
    return Endpoint(
        "patch",
        part.path_of_one,
        Operation(
            id=f"patch{part.base}ById",
            tag=part.collection.name,
            summary="Change a document",
            answers=(
                _written(part, 200, "The document as it is now.", optional=_REPLAYED),
                _MINIMAL,
            ),
            failures=(*ON_ONE, *OF_CHECKS, *OF_PATCHES, *OF_VERSIONS, *OF_KEYS),
            parameters=(part.id_parameter, "If-Match", "Idempotency-Key", "Prefer"),
            bodies=_patches(part),
            access="perhaps",
        ),
    )


def delete_document(part: Part) -> Endpoint:
    """Describe deleting one document."""
    return Endpoint(
        "delete",
        part.path_of_one,
        Operation(
            id=f"delete{part.base}ById",
            tag=part.collection.name,
            summary="Delete a document",
            answers=(Answer(204, "It is gone."),),
            failures=(*ON_ONE, *OF_VERSIONS, *OF_CHECKS[-1:]),
            parameters=(part.id_parameter, "If-Match"),
            access="perhaps",
        ),
    )


def change_documents(part: Part) -> Endpoint:
    """Describe changing all documents that fulfil a filter."""
    documents: Schema = {"type": "array", "items": part.written()}
    changed = Answer(
        200,
        "How many they were; with `Prefer: return=representation`, the documents as they are now.",
        {"anyOf": [data(_AFFECTED), data(documents)]},
        optional_headers=(*_APPLIED, *_REPLAYED),
    )
    return Endpoint(
        "patch",
        part.path,
        Operation(
            id=f"change{part.base}",
            tag=part.collection.name,
            summary="Change all documents that fulfil a filter, all or none",
            answers=(changed,),
            failures=(*_FILTERED, *OF_CHECKS, *OF_PATCHES, *OF_KEYS),
            parameters=(filter_parameter(part), "q", _MAXIMUM, "If-Match.any", "Idempotency-Key", "Prefer"),
            bodies=_patches(part),
            access="perhaps",
        ),
    )


def delete_documents(part: Part) -> Endpoint:
    """Describe deleting all documents that fulfil a filter."""
    return Endpoint(
        "delete",
        part.path,
        Operation(
            id=f"deleteFrom{part.base}",
            tag=part.collection.name,
            summary="Delete all documents that fulfil a filter, all or none",
            answers=(Answer(200, "How many they were.", data(_AFFECTED)),),
            failures=_FILTERED,
            parameters=(filter_parameter(part), "q", _MAXIMUM, "If-Match.any"),
            access="perhaps",
        ),
    )


_FILTERED = (*IN_COLLECTION, TooManyAffected, *OF_VERSIONS)
_MINIMAL = Answer(
    204, "Done, as `Prefer: return=minimal` has it.", headers=("ETag",), optional_headers=_APPLIED
)


def _written(
    part: Part, status: int, description: str, headers: tuple[str, ...] = (), optional: tuple[str, ...] = ()
) -> Answer:
    return Answer(
        status,
        description,
        part.whole(),
        ("ETag", *headers),
        optional_headers=(*_APPLIED, *optional),
        example=part.answer_example(),
    )


def _patches(part: Part) -> dict[str, Body]:
    merge = Body(part.refer(views.PATCH), part.example)
    return {
        MERGE_PATCH: merge,
        JSON: merge,
        JSON_PATCH: Body(reference("JsonPatch")),
        OPERATIONS: Body(reference("FieldOperations")),
    }
