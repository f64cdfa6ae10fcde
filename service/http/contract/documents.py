"""Endpoints of one collection: reading, writing, saved queries; by the verbs that allow them."""

from collections.abc import Callable, Mapping
from typing import Any

from service.access.rules import Verb
from service.changes.polling import DEFAULT_LIMIT as DEFAULT_ENTRIES
from service.changes.polling import MAXIMUM_LIMIT as MAXIMUM_ENTRIES
from service.changes.polling import MAXIMUM_WAIT_S
from service.documents.bulk import MAXIMUM_DOCUMENTS
from service.documents.patches import JSON_PATCH, MERGE_PATCH, OPERATIONS
from service.http.contract import filters, views
from service.http.contract.collection import DescribedCollection
from service.http.contract.components import parameters
from service.http.contract.formats import IDS
from service.http.contract.operations import (
    IN_COLLECTION,
    JSON,
    NOT_MODIFIED,
    OF_CHECKS,
    OF_KEYS,
    OF_PATCHES,
    OF_VERSIONS,
    ON_ONE,
    Answer,
    Body,
    Endpoint,
    Operation,
    data,
)
from service.http.contract.schemas import reference
from service.kit.errors import (
    ChangesExpired,
    IdInvalid,
    NotLive,
    QueryNotFound,
    QueryTooExpensive,
    QueryUnfit,
    TooManyAffected,
    TooManyFilters,
    TooManyStreams,
)
from service.query.limits import MAXIMUM_LIMIT
from service.query.parse import COUNTS
from service.saved_queries.definition import SavedQuery

Schema = dict[str, Any]

_TEXTS: Schema = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


def filter_parameter(described: DescribedCollection) -> Schema:
    """Return the parameter `filter` of a collection, in the form that can be described: JSON."""
    fields = ", ".join(f"`{name}`" for name in filters.nested_names(described.fields))
    return {
        "name": "filter",
        "in": "query",
        "description": "Conditions in JSON. Conditions on one field may also be written as "
        f"`filter[field]=value` or `filter[field][operator]=value`. Fields: {fields}.",
        "content": {JSON: {"schema": described.filter()}},
    }


def list_documents(described: DescribedCollection) -> Endpoint:
    """Describe the list."""
    return Endpoint(
        "get",
        described.path,
        Operation(
            id=f"list{described.base}",
            tag=described.collection.name,
            summary="List documents",
            answers=(_page(described, ("ETag",)), NOT_MODIFIED),
            failures=IN_COLLECTION,
            parameters=(
                filter_parameter(described),
                *(
                    "q",
                    "sort",
                    *described.read_parameters,
                    "limit",
                    "page",
                    "cursor",
                    "count",
                    "If-None-Match",
                ),
            ),
            access="optional",
        ),
    )


def query_documents(described: DescribedCollection) -> Endpoint:
    """Describe the list by a query in the body."""
    shared = parameters()
    members: dict[str, Schema] = {
        "filter": described.filter(),
        **{name: shared[name]["schema"] for name in ("q", "limit", "page", "cursor", "count")},
        **dict.fromkeys(("sort", *described.read_parameters), _TEXTS),
    }
    query: Schema = {"type": "object", "additionalProperties": False, "properties": members}
    return Endpoint(
        "post",
        f"{described.path}/query",
        Operation(
            id=f"query{described.base}",
            tag=described.collection.name,
            summary="List documents by a query that does not fit a URL",
            answers=(_page(described, ()),),
            failures=IN_COLLECTION,
            bodies={JSON: Body(described.add("Query", query), {"limit": 20})},
            access="optional",
        ),
    )


def _page(described: DescribedCollection, headers: tuple[str, ...]) -> Answer:
    page: Schema = {
        "type": "object",
        "required": ["data", "limit", "has_more"],
        "additionalProperties": False,
        "properties": {
            "data": {"type": "array", "items": described.shown(), "maxItems": MAXIMUM_LIMIT},
            "page": {"type": "integer", "minimum": 1, "description": "Absent after a cursor."},
            "limit": {"type": "integer", "minimum": 1, "maximum": MAXIMUM_LIMIT},
            "has_more": {"type": "boolean", "description": "Whether there are documents after this page."},
            "next": {"type": "string", "description": "The cursor of the next page."},
            "prev": {"type": "string", "description": "The cursor of the page before."},
            "total": {"type": "integer", "minimum": 0, "description": "With `count`: how many there are."},
            "count": {"enum": list(COUNTS), "description": "How `total` was counted."},
        },
    }
    example = None
    if described.read_example is not None:
        example = {"data": [described.read_example], "page": 1, "limit": 20, "has_more": False}
    schema = described.add("List", page)
    return Answer(200, "A page of documents.", schema, headers, optional_headers=("Link",), example=example)


def get_document(described: DescribedCollection) -> Endpoint:
    """Describe reading one document."""
    answer = Answer(
        200, "The document.", data(described.shown()), ("ETag",), example=described.answer_example()
    )
    return Endpoint(
        "get",
        described.path_of_one,
        Operation(
            id=f"get{described.base}ById",
            tag=described.collection.name,
            summary="Get a document",
            answers=(answer, NOT_MODIFIED),
            failures=ON_ONE,
            parameters=(described.id_parameter, *described.read_parameters, "If-None-Match"),
            access="optional",
        ),
    )


def list_queries(described: DescribedCollection) -> Endpoint:
    """Describe the list of saved queries."""
    query: Schema = {
        "type": "object",
        "required": ["name", "description", "parameters"],
        "properties": {
            "name": {"type": "string"},
            "description": {"type": "string"},
            "parameters": {"type": "object", "description": "A JSON Schema for each parameter."},
        },
    }
    return Endpoint(
        "get",
        f"{described.path}/queries",
        Operation(
            id=f"list{described.base}Queries",
            tag=described.collection.name,
            summary="List the saved queries",
            answers=(
                Answer(200, "The queries.", data({"type": "array", "items": query}), ("ETag",)),
                NOT_MODIFIED,
            ),
            failures=IN_COLLECTION,
            parameters=("If-None-Match",),
            access="optional",
        ),
    )


def run_queries(described: DescribedCollection) -> list[Endpoint]:
    """Describe each saved query."""
    return [_run(described, query) for _, query in sorted(described.collection.description.queries.items())]


def _run(described: DescribedCollection, query: SavedQuery) -> Endpoint:
    results = data({"type": "array", "maxItems": query.limit, "items": {"type": "object"}})
    return Endpoint(
        "get",
        f"{described.path}/queries/{query.name}",
        Operation(
            id=f"run{described.base}.{query.name}",
            tag=described.collection.name,
            summary=f"Run the saved query {query.name}",
            description=query.description,
            answers=(Answer(200, "What the query gives.", results, ("ETag",)), NOT_MODIFIED),
            failures=(*IN_COLLECTION, QueryNotFound, QueryUnfit, QueryTooExpensive),
            parameters=(
                *(
                    _of_query(described, query, name, schema)
                    for name, schema in query.parameters.schemas.items()
                ),
                "If-None-Match",
            ),
            access="optional",
        ),
    )


def _of_query(described: DescribedCollection, query: SavedQuery, name: str, schema: Schema) -> Schema:
    view = views.CREATE
    written: Schema = {
        "name": name,
        "in": "query",
        "required": "default" not in schema,
        "schema": described.rewritten(f"{query.name}.{name}", schema, view),
    }
    if schema.get("type") == "array":
        written |= {"style": "form", "explode": False}
    if "description" in schema:
        written["description"] = schema["description"]
    return written


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


def create_documents(described: DescribedCollection) -> Endpoint:
    """Describe creating one document or several."""
    one, document = described.refer(views.CREATE), described.after_write()
    many: Schema = {"type": "array", "items": one, "minItems": 1, "maxItems": MAXIMUM_DOCUMENTS}
    documents: Schema = {"type": "array", "items": document}
    created = Answer(
        201,
        "The document, or the documents in the order of the array.",
        {"anyOf": [described.whole(), data(documents)]},
        optional_headers=("ETag", "Location", *_APPLIED, *_REPLAYED),
        example=described.answer_example(),
    )
    return Endpoint(
        "post",
        described.path,
        Operation(
            id=f"create{described.base}",
            tag=described.collection.name,
            summary="Create a document, or those of an array, all or none",
            answers=(created,),
            failures=(*IN_COLLECTION, *OF_CHECKS, IdInvalid, *OF_KEYS),
            parameters=("Idempotency-Key", "Prefer"),
            bodies={JSON: Body({"anyOf": [one, many]}, described.example)},
            access="optional",
        ),
    )


def replace_document(described: DescribedCollection) -> Endpoint:
    """Describe replacing one document."""
    answer = _written(described, 200, "The document as it is now.")
    created = _written(described, 201, "The document, which is new.", ("Location",))
    return Endpoint(
        "put",
        described.path_of_one,
        Operation(
            id=f"replace{described.base}ById",
            tag=described.collection.name,
            summary="Replace a document",
            answers=(answer, created, _MINIMAL),
            failures=(*ON_ONE, *OF_CHECKS, *OF_VERSIONS),
            parameters=(described.id_parameter, _UPSERT, "If-Match", "If-None-Match.new", "Prefer"),
            bodies={JSON: Body(described.refer(views.REPLACE), described.example)},
            access="optional",
        ),
    )


def patch_document(described: DescribedCollection) -> Endpoint:
    """Describe changing one document."""
    return Endpoint(
        "patch",
        described.path_of_one,
        Operation(
            id=f"patch{described.base}ById",
            tag=described.collection.name,
            summary="Change a document",
            answers=(
                _written(described, 200, "The document as it is now.", optional=_REPLAYED),
                _MINIMAL,
            ),
            failures=(*ON_ONE, *OF_CHECKS, *OF_PATCHES, *OF_VERSIONS, *OF_KEYS),
            parameters=(described.id_parameter, "If-Match", "Idempotency-Key", "Prefer"),
            bodies=_patches(described),
            access="optional",
        ),
    )


def delete_document(described: DescribedCollection) -> Endpoint:
    """Describe deleting one document."""
    return Endpoint(
        "delete",
        described.path_of_one,
        Operation(
            id=f"delete{described.base}ById",
            tag=described.collection.name,
            summary="Delete a document",
            answers=(Answer(204, "It is gone."),),
            failures=(*ON_ONE, *OF_VERSIONS, *OF_CHECKS[-1:]),
            parameters=(described.id_parameter, "If-Match"),
            access="optional",
        ),
    )


def change_documents(described: DescribedCollection) -> Endpoint:
    """Describe changing all documents that fulfil a filter."""
    documents: Schema = {"type": "array", "items": described.after_write()}
    changed = Answer(
        200,
        "How many they were; with `Prefer: return=representation`, the documents as they are now.",
        {"anyOf": [data(_AFFECTED), data(documents)]},
        optional_headers=(*_APPLIED, *_REPLAYED),
    )
    return Endpoint(
        "patch",
        described.path,
        Operation(
            id=f"change{described.base}",
            tag=described.collection.name,
            summary="Change all documents that fulfil a filter, all or none",
            answers=(changed,),
            failures=(*_FILTERED, *OF_CHECKS, *OF_PATCHES, *OF_KEYS),
            parameters=(
                filter_parameter(described),
                "q",
                _MAXIMUM,
                "If-Match.any",
                "Idempotency-Key",
                "Prefer",
            ),
            bodies=_patches(described),
            access="optional",
        ),
    )


def delete_documents(described: DescribedCollection) -> Endpoint:
    """Describe deleting all documents that fulfil a filter."""
    return Endpoint(
        "delete",
        described.path,
        Operation(
            id=f"deleteFrom{described.base}",
            tag=described.collection.name,
            summary="Delete all documents that fulfil a filter, all or none",
            answers=(Answer(200, "How many they were.", data(_AFFECTED)),),
            failures=_FILTERED,
            parameters=(filter_parameter(described), "q", _MAXIMUM, "If-Match.any"),
            access="optional",
        ),
    )


_FILTERED = (*IN_COLLECTION, TooManyAffected, *OF_VERSIONS)
_MINIMAL = Answer(
    204, "Done, as `Prefer: return=minimal` has it.", headers=("ETag",), optional_headers=_APPLIED
)


def _written(
    described: DescribedCollection,
    status: int,
    description: str,
    headers: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
) -> Answer:
    return Answer(
        status,
        description,
        described.whole(),
        ("ETag", *headers),
        optional_headers=(*_APPLIED, *optional),
        example=described.answer_example(),
    )


def _patches(described: DescribedCollection) -> dict[str, Body]:
    merge = Body(described.refer(views.PATCH), described.example)
    return {
        MERGE_PATCH: merge,
        JSON: merge,
        JSON_PATCH: Body(reference("JsonPatch")),
        OPERATIONS: Body(reference("FieldOperations")),
    }


def poll_changes(described: DescribedCollection) -> Endpoint:
    """Describe polling for changes."""
    entry: Schema = {
        "type": "object",
        "required": ["event", "why"],
        "properties": {
            "event": {"enum": ["put", "gone"]},
            "why": {"enum": ["snapshot", "create", "enter", "change", "delete", "leave"]},
            "data": described.shown(),
            "id": IDS[described.collection.description.options.id_kind],
            "_version": {"type": "integer"},
            "cursor": {"type": "string", "description": "Where to go on after this entry."},
        },
    }
    page: Schema = {
        "type": "object",
        "required": ["data", "next", "up_to_date"],
        "properties": {
            "data": {"type": "array", "items": described.add("Change", entry)},
            "next": {"type": ["string", "null"], "description": "What to send as `since` the next time."},
            "up_to_date": {"type": "boolean", "description": "Whether this was all for now."},
        },
    }
    return Endpoint(
        "get",
        f"{described.path}/changes",
        Operation(
            id=f"poll{described.base}Changes",
            tag=described.collection.name,
            summary="Poll for changes",
            description="What is there and what has changed, in pages: ask again with `since` = `next`. The "
            "list, and a document, with `Accept: text/event-stream` are the same as a stream of events.",
            answers=(Answer(200, "A page of changes.", described.add("Changes", page)),),
            failures=(*IN_COLLECTION, ChangesExpired, NotLive, TooManyFilters, TooManyStreams),
            parameters=(filter_parameter(described), "fields", *_POLLING),
            access="optional",
        ),
    )


_POLLING: tuple[Schema, ...] = (
    {
        "name": "since",
        "in": "query",
        "description": "The cursor to go on from; without it, from what is there now.",
        "schema": {"type": "string"},
    },
    {
        "name": "snapshot",
        "in": "query",
        "description": "`none` leaves out what is there now.",
        "schema": {"enum": ["all", "none"]},
    },
    {
        "name": "limit",
        "in": "query",
        "description": "How many entries at the most.",
        "schema": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAXIMUM_ENTRIES,
            "default": DEFAULT_ENTRIES,
        },
    },
    {
        "name": "wait",
        "in": "query",
        "description": "Seconds for which the answer is held while there is nothing.",
        "schema": {"type": "integer", "minimum": 0, "maximum": MAXIMUM_WAIT_S, "default": 0},
    },
)

ENDPOINTS: Mapping[Verb, tuple[Callable[[DescribedCollection], Endpoint], ...]] = {
    "list": (list_documents, query_documents, list_queries),
    "create": (create_documents,),
    "get": (get_document,),
    "update": (replace_document, patch_document, change_documents),
    "delete": (delete_document, delete_documents),
    "watch": (poll_changes,),
}
"""The endpoints that each verb allows."""


def endpoints_of(described: DescribedCollection, verbs: frozenset[Verb]) -> list[Endpoint]:
    """Return the endpoints of a collection for those who may use these verbs in it."""
    endpoints = [make(described) for verb, makers in ENDPOINTS.items() if verb in verbs for make in makers]
    return [*endpoints, *(run_queries(described) if "list" in verbs else ())]
