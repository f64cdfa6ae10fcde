"""What the contract says of one operation, and how that is written in OpenAPI."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, NamedTuple

from service.http.contract.schemas import Content, describe
from service.kit.errors import (
    BodyTooLarge,
    Busy,
    CollectionNotFound,
    Contention,
    CrossSite,
    DatabaseTooSlow,
    DatabaseUnavailable,
    DocumentInvalid,
    DocumentNotFound,
    Draining,
    Duplicate,
    Failure,
    FieldNotWritable,
    Forbidden,
    IdempotencyMismatch,
    IdempotencyRunning,
    IdInvalid,
    Internal,
    JsonInvalid,
    MediaTypeUnsupported,
    ParameterInvalid,
    PatchConflict,
    PatchInvalid,
    PatchTestFailed,
    PreconditionRequired,
    RateLimited,
    RequestInvalid,
    SignInRequired,
    Stale,
    TokenInvalid,
)

Schema = dict[str, Any]
Access = Literal["anyone", "optional", "signed in"]

TEXT: Schema = {"type": "string"}

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"

Kinds = tuple[type[Failure], ...]

ALWAYS: Kinds = (
    RequestInvalid,
    ParameterInvalid,
    Internal,
    DatabaseUnavailable,
    DatabaseTooSlow,
    Busy,
    Draining,
)
OF_TOKENS: Kinds = (SignInRequired, TokenInvalid)
OF_COOKIES: Kinds = (CrossSite,)
OF_BODIES: Kinds = (JsonInvalid, DocumentInvalid, BodyTooLarge, MediaTypeUnsupported)
"""The failures that every operation can meet, and those that it can by what it takes."""

IN_COLLECTION: Kinds = (Forbidden, CollectionNotFound)
ON_ONE: Kinds = (*IN_COLLECTION, DocumentNotFound, IdInvalid)
OF_CHECKS: Kinds = (DocumentInvalid, FieldNotWritable, Duplicate, Contention)
OF_VERSIONS: Kinds = (Stale, PreconditionRequired)
OF_KEYS: Kinds = (IdempotencyMismatch, IdempotencyRunning)
OF_PATCHES: Kinds = (PatchInvalid, PatchConflict, PatchTestFailed)
"""Those of operations on a collection, by what they do."""

BEARER = "accessToken"
_SECURITY: dict[Access, list[dict[str, list[str]]]] = {
    "anyone": [],
    "optional": [{}, {BEARER: []}],
    "signed in": [{BEARER: []}],
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One successful answer: its status, what it says, its body, its headers by their names."""

    status: int
    description: str
    content: Content | None = None
    headers: tuple[str, ...] = ()
    optional_headers: tuple[str, ...] = ()
    example: Any = None
    media_type: str = JSON

    def to_openapi(self, *, is_limited: bool) -> Schema:
        """Return the Response Object."""
        names = ("X-Request-ID", *self.headers, *self.optional_headers)
        limits = ("RateLimit", "RateLimit-Policy") if is_limited else ()
        answer: Schema = {
            "description": self.description,
            "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in (*names, *limits)},
        }
        for name in self.optional_headers:
            answer["headers"][name] = {"$ref": f"#/components/headers/{name}.optional"}
        if self.content is not None:
            content: Schema = {"schema": describe(self.content)[0]}
            if self.example is not None:
                content["example"] = self.example
            answer["content"] = {self.media_type: content}
        return answer


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body in one media type."""

    content: Content
    example: Any = None

    def to_openapi(self) -> Schema:
        """Return the Media Type Object."""
        return {"schema": describe(self.content)[0]} | (
            {} if self.example is None else {"example": self.example}
        )


@dataclass(frozen=True, slots=True)
class Operation:
    """What the contract says of one endpoint.

    `parameters` are names of the contract's shared ones, or Parameter Objects. `failures` are those of the
    operation itself; what every request can meet is added. `access`: whether it takes a token, or needs one.
    `schemas` are those that bodies refer to which no model has, by their names.
    """

    id: str
    tag: str
    summary: str
    answers: tuple[Answer, ...]
    failures: tuple[type[Failure], ...] = ()
    parameters: tuple[str | Schema, ...] = ()
    bodies: Mapping[str, Body] | None = None
    access: Access = "signed in"
    description: str = ""
    is_limited: bool = True
    needs_body: bool = True
    schemas: Mapping[str, Schema] = field(default_factory=dict)

    def named_schemas(self) -> dict[str, Schema]:
        """Return the schemas that it refers to, by their names."""
        contents = [body.content for body in (self.bodies or {}).values()]
        contents += [answer.content for answer in self.answers if answer.content is not None]
        named = dict(self.schemas)
        for content in contents:
            named |= describe(content)[1]
        return named

    def statuses(self, method: str) -> list[int]:
        """Return the statuses of the problems that it can be answered with."""
        kinds = {*ALWAYS, *self.failures}
        kinds |= {RateLimited} if self.is_limited else set()
        kinds |= set(OF_TOKENS) if self.access != "anyone" else set()
        kinds |= set(OF_COOKIES) if self.access != "anyone" and method != "get" else set()
        kinds |= set(OF_BODIES) if self.bodies is not None else set()
        return sorted({kind.status for kind in kinds})

    def to_openapi(self, method: str) -> Schema:
        """Return the Operation Object."""
        answers = {
            str(answer.status): answer.to_openapi(is_limited=self.is_limited) for answer in self.answers
        }
        problems = {
            str(status): {"$ref": f"#/components/responses/Problem{status}"}
            for status in self.statuses(method)
        }
        if any(isinstance(each, dict) and "content" in each for each in self.parameters):
            problems["414"] = {"$ref": "#/components/responses/UrlTooLong"}
        operation: Schema = {"operationId": self.id, "tags": [self.tag], "summary": self.summary}
        if self.description:
            operation["description"] = self.description
        if self.parameters:
            operation["parameters"] = [_parameter(each) for each in self.parameters]
        if self.bodies is not None:
            content = {media_type: body.to_openapi() for media_type, body in self.bodies.items()}
            operation["requestBody"] = {"required": self.needs_body, "content": content}
        operation["responses"] = {**answers, **problems}
        operation["security"] = _SECURITY[self.access]
        return operation


class Endpoint(NamedTuple):
    """An operation, and where it is: a method in small letters, and a path with `{…}` for what varies."""

    method: str
    path: str
    operation: Operation


class Described(Enum):
    """Where a route is described that has no Operation of its own."""

    PER_COLLECTION = "once for each collection, by `contract/documents.py`"
    NOWHERE = "a page or a file: it is no part of the API"


NOT_MODIFIED = Answer(304, "The client has this answer already.", headers=("ETag",))


def json_body(content: Content, example: Any = None) -> dict[str, Body]:
    """Return the bodies of what is sent as JSON."""
    return {JSON: Body(content, example)}


def merge_patch(content: Content, example: Any = None) -> dict[str, Body]:
    """Return the bodies of what is sent as a merge patch (RFC 7396), also as plain JSON."""
    return {MERGE_PATCH: Body(content, example), JSON: Body(content, example)}


def _parameter(parameter: str | Schema) -> Schema:
    if isinstance(parameter, str):
        return {"$ref": f"#/components/parameters/{parameter}"}
    return parameter


def data(schema: Schema, **others: Schema) -> Schema:
    """Return the schema of an answer whose `data` is of a schema."""
    return {
        "type": "object",
        "required": ["data", *others],
        "properties": {"data": schema, **others},
        "additionalProperties": False,
    }


def query(name: str, description: str, schema: Schema = TEXT, **others: Any) -> Schema:
    """Return a parameter in the query."""
    return {"name": name, "in": "query", "description": description, "schema": schema, **others}


def in_path(name: str, description: str, example: Any) -> Schema:
    """Return a parameter in the path: some text."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", "minLength": 1},
        "example": example,
    }


FILTER = query("filter", "As for documents: `filter[name][operator]=value`, or all of it as JSON.")
"""The filter of lists of what the service itself keeps."""
