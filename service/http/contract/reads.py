"""Operations that read the documents of one collection."""

from typing import Any

from service.http.contract import filters, views
from service.http.contract.failures import IN_COLLECTION, ON_ONE
from service.http.contract.operations import JSON, NOT_MODIFIED, Answer, Body, Endpoint, Operation, data
from service.http.contract.parameters import parameters
from service.http.contract.parts import Part
from service.kit.errors import QueryNotFound, QueryTooExpensive, QueryUnfit
from service.query.limits import MAXIMUM_LIMIT
from service.query.parse import COUNTS
from service.saved_queries.definition import SavedQuery

Schema = dict[str, Any]

_TEXTS: Schema = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


def filter_parameter(part: Part) -> Schema:
    """Give the parameter `filter` of a collection, in the form that can be described: JSON."""
    fields = ", ".join(f"`{name}`" for name in filters.nested_names(part.fields))
    return {
        "name": "filter",
        "in": "query",
        "description": "Conditions in JSON. Conditions on one field may also be written as "
        f"`filter[field]=value` or `filter[field][operator]=value`. Fields: {fields}.",
        "content": {JSON: {"schema": part.filter()}},
    }


def list_documents(part: Part) -> Endpoint:
    """Describe the list."""
    return Endpoint(
        "get",
        part.path,
        Operation(
            id=f"list{part.base}",
            tag=part.collection.name,
            summary="List documents",
            answers=(_page(part, ("ETag",)), NOT_MODIFIED),
            failures=IN_COLLECTION,
            parameters=(
                filter_parameter(part),
                *("q", "sort", *part.read_parameters, "limit", "page", "cursor", "count", "If-None-Match"),
            ),
            access="perhaps",
        ),
    )


def query_documents(part: Part) -> Endpoint:
    """Describe the list by a query in the body."""
    shared = parameters()
    members: dict[str, Schema] = {
        "filter": part.filter(),
        **{name: shared[name]["schema"] for name in ("q", "limit", "page", "cursor", "count")},
        **dict.fromkeys(("sort", *part.read_parameters), _TEXTS),
    }
    query: Schema = {"type": "object", "additionalProperties": False, "properties": members}
    return Endpoint(
        "post",
        f"{part.path}/query",
        Operation(
            id=f"query{part.base}",
            tag=part.collection.name,
            summary="List documents by a query that does not fit a URL",
            answers=(_page(part, ()),),
            failures=IN_COLLECTION,
            bodies={JSON: Body(part.add("Query", query), {"limit": 20})},
            access="perhaps",
        ),
    )


def _page(part: Part, headers: tuple[str, ...]) -> Answer:
    page: Schema = {
        "type": "object",
        "required": ["data", "limit", "has_more"],
        "additionalProperties": False,
        "properties": {
            "data": {"type": "array", "items": part.shown(), "maxItems": MAXIMUM_LIMIT},
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
    if part.read_example is not None:
        example = {"data": [part.read_example], "page": 1, "limit": 20, "has_more": False}
    schema = part.add("List", page)
    return Answer(200, "A page of documents.", schema, headers, optional_headers=("Link",), example=example)


def get_document(part: Part) -> Endpoint:
    """Describe reading one document."""
    answer = Answer(200, "The document.", data(part.shown()), ("ETag",), example=part.answer_example())
    return Endpoint(
        "get",
        part.path_of_one,
        Operation(
            id=f"get{part.base}ById",
            tag=part.collection.name,
            summary="Get a document",
            answers=(answer, NOT_MODIFIED),
            failures=ON_ONE,
            parameters=(part.id_parameter, *part.read_parameters, "If-None-Match"),
            access="perhaps",
        ),
    )


def list_queries(part: Part) -> Endpoint:
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
        f"{part.path}/queries",
        Operation(
            id=f"list{part.base}Queries",
            tag=part.collection.name,
            summary="List the saved queries",
            answers=(
                Answer(200, "The queries.", data({"type": "array", "items": query}), ("ETag",)),
                NOT_MODIFIED,
            ),
            failures=IN_COLLECTION,
            parameters=("If-None-Match",),
            access="perhaps",
        ),
    )


def run_queries(part: Part) -> list[Endpoint]:
    """Describe each saved query."""
    return [_run(part, query) for _, query in sorted(part.collection.description.queries.items())]


def _run(part: Part, query: SavedQuery) -> Endpoint:
    results = data({"type": "array", "maxItems": query.limit, "items": {"type": "object"}})
    return Endpoint(
        "get",
        f"{part.path}/queries/{query.name}",
        Operation(
            id=f"run{part.base}.{query.name}",
            tag=part.collection.name,
            summary=f"Run the saved query {query.name}",
            description=query.description,
            answers=(Answer(200, "What the query gives.", results, ("ETag",)), NOT_MODIFIED),
            failures=(*IN_COLLECTION, QueryNotFound, QueryUnfit, QueryTooExpensive),
            parameters=(
                *(_of_query(part, query, name, schema) for name, schema in query.parameters.schemas.items()),
                "If-None-Match",
            ),
            access="perhaps",
        ),
    )


def _of_query(part: Part, query: SavedQuery, name: str, schema: Schema) -> Schema:
    view = views.CREATE
    written: Schema = {
        "name": name,
        "in": "query",
        "required": "default" not in schema,
        "schema": part.rewritten(f"{query.name}.{name}", schema, view),
    }
    if schema.get("type") == "array":
        written |= {"style": "form", "explode": False}
    if "description" in schema:
        written["description"] = schema["description"]
    return written
