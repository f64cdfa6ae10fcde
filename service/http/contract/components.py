"""Components that operations share: parameters, headers, problems (RFC 9457), schemas of patches."""

from typing import Any

from service.documents.patches import json_patches, operations
from service.http.contract.formats import IDS
from service.http.contract.operations import TEXT, query
from service.kit.errors import (
    MAXIMUM_VIOLATIONS,
    PROBLEM_MEDIA_TYPE,
    TYPE_PREFIX,
    Failure,
    catalogue,
)
from service.query.limits import (
    DEFAULT_LIMIT,
    MAXIMUM_CURSOR_CHARACTERS,
    MAXIMUM_LIMIT,
    MAXIMUM_SEARCH_CHARACTERS,
    MAXIMUM_SKIP,
)
from service.query.parse import COUNTS

Schema = dict[str, Any]

TAG_EXAMPLE = '"3"'


def schemas() -> dict[str, Schema]:
    """Return the schemas of problems and patches by their names."""
    return {**_problems(), **_patches()}


def _header(name: str, description: str, schema: Schema, **others: Any) -> Schema:
    return {"name": name, "in": "header", "description": description, "schema": schema, **others}


def parameters() -> dict[str, Schema]:
    """Return the shared parameters by their names in the contract."""
    of_ids = {
        f"id.{kind.value}": {
            "name": "id",
            "in": "path",
            "required": True,
            "description": "The document's id.",
            "schema": schema,
        }
        for kind, schema in IDS.items()
    }
    return {**of_ids, **_of_lists(), **_of_headers()}


def _of_lists() -> dict[str, Schema]:
    limit = {"type": "integer", "minimum": 1, "maximum": MAXIMUM_LIMIT, "default": DEFAULT_LIMIT}
    page = {"type": "integer", "minimum": 1, "maximum": MAXIMUM_SKIP + 1, "default": 1}
    cursor = {"type": "string", "minLength": 1, "maxLength": MAXIMUM_CURSOR_CHARACTERS}
    search = {"type": "string", "minLength": 1, "maxLength": MAXIMUM_SEARCH_CHARACTERS}
    count = {"type": "string", "enum": list(COUNTS)}
    return {
        "limit": query("limit", "How many documents a page has.", limit),
        "page": query("page", f"Which page; `(page - 1) * limit` goes to {MAXIMUM_SKIP}.", page),
        "cursor": query("cursor", "Where to go on: `next` of the page before. Instead of `page`.", cursor),
        "count": query("count", "Also count all documents that fulfil the filter, as `total`.", count),
        "q": query("q", "Words to find in the fields of the collection's text index.", search),
        "sort": query(
            "sort", "Names of fields from the most important on, `-` before those that descend.", TEXT
        ),
        "fields": query(
            "fields", "Names of the fields to give, or, with `-` before each, of those to leave out.", TEXT
        ),
        "expand": query("expand", "Fields whose references to follow; the result is `_expanded`.", TEXT),
    }


def _of_headers() -> dict[str, Schema]:
    key = {"type": "string", "minLength": 1, "maxLength": 512}
    return {
        "If-Match": _header(
            "If-Match",
            'Versions such as `"3"`, as `ETag` told them, of which the document must have one: else 412.',
            TEXT,
        ),
        "If-Match.any": _header(
            "If-Match", "`*`: whatever their versions, where the collection asks for the header.", TEXT
        ),
        "If-None-Match": _header(
            "If-None-Match", "Tags of answers that the client has: 304 when this is one.", TEXT
        ),
        "If-None-Match.new": _header(
            "If-None-Match", "`*`: only when there is no such document; else 412.", TEXT
        ),
        "Idempotency-Key": _header(
            "Idempotency-Key",
            "A key of the client's own for this request, such as a UUID: a repeat gets the first answer.",
            key,
        ),
        "Prefer": _header(
            "Prefer",
            "`return=minimal` or `return=representation`: without the document or with it (RFC 7240).",
            TEXT,
        ),
    }


def headers() -> dict[str, Schema]:
    """Return the headers of responses; those that not every such response has end in `.optional`."""
    described: dict[str, tuple[str, Any]] = {
        "X-Request-ID": ("What the logs call the request.", "9f2c4e6a8b0d1f3a5c7e"),
        "ETag": ("The version, or for a list a weak tag of its content.", TAG_EXAMPLE),
        "Location": ("The path of what was created.", "/api/…"),
        "Link": ("Other pages (RFC 8288): `first`, `prev`, `next`.", '</api/…?page=2>; rel="next"'),
        "WWW-Authenticate": ("How to sign in (RFC 6750).", 'Bearer realm="sheaf"'),
        "Allow": ("The methods that the address takes.", "GET, HEAD"),
        "Preference-Applied": ("The preference that was followed.", "return=minimal"),
        "Idempotency-Replayed": ("`true` when an earlier answer is given again.", "true"),
    }
    written = {name: _header_object(*each, is_required=True) for name, each in described.items()}
    written |= {
        f"{name}.optional": _header_object(*each, is_required=False) for name, each in described.items()
    }
    written["Retry-After"] = {
        "description": "Seconds to wait.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    }
    limits = {
        "RateLimit": ("What is left of the limits, and for how long.", '"user";r=998;t=899'),
        "RateLimit-Policy": ("The limits.", '"user";q=1000;w=900'),
    }
    return {**written, **{name: _header_object(*each, is_required=False) for name, each in limits.items()}}


def _header_object(description: str, example: str, *, is_required: bool) -> Schema:
    return {"description": description, "required": is_required, "schema": TEXT, "example": example}


_HEADERS: dict[int, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
"""The headers that problems of a status always have."""

_MEMBERS: dict[int, Schema] = {
    412: {"_version": {"type": "integer", "description": "The version that the document has at present."}},
}
"""The members that problems of a status may have beside those of all problems."""


def by_status() -> dict[int, list[type[Failure]]]:
    """Return the failures of the catalogue by their statuses."""
    found: dict[int, list[type[Failure]]] = {}
    for failure in catalogue():
        found.setdefault(failure.status, []).append(failure)
    return dict(sorted(found.items()))


def _problems() -> dict[str, Schema]:
    """Return the schemas of problem bodies: what all share, and those of each status with its codes."""
    text: Schema = {"type": "string"}
    shared: Schema = {
        "type": "object",
        "description": "Why a request failed (RFC 9457).",
        "required": ["type", "title", "status", "code", "detail", "instance", "request_id"],
        "properties": {
            "type": {"type": "string", "format": "uri", "description": f"`{TYPE_PREFIX}` and the code."},
            "title": text,
            "status": {"type": "integer"},
            "code": {"type": "string", "description": "Stable: never renamed, never reused."},
            "detail": {"type": "string", "description": "What is wrong, in one sentence."},
            "instance": {"type": "string", "description": "The path of the request."},
            "request_id": {"type": "string", "description": "What the logs call the request."},
            "hint": {"type": "string", "description": "What to do about it."},
            "errors": {
                "type": "array",
                "maxItems": MAXIMUM_VIOLATIONS,
                "items": {"$ref": "#/components/schemas/Violation"},
            },
        },
    }
    violation: Schema = {
        "type": "object",
        "description": "One field or parameter at fault.",
        "required": ["code", "detail"],
        "properties": {
            "pointer": {
                "type": "string",
                "description": "Where in the body, or in the JSON of the parameter (RFC 6901).",
            },
            "parameter": {"type": "string", "description": "Which query parameter."},
            "code": text,
            "detail": text,
            "hint": text,
        },
    }
    found: dict[str, Schema] = {"Problem": shared, "Violation": violation}
    for status, failures in by_status().items():
        members: Schema = {
            "status": {"const": status},
            "code": {"enum": [failure.code for failure in failures]},
            **_MEMBERS.get(status, {}),
        }
        found[f"Problem{status}"] = {
            "allOf": [{"$ref": "#/components/schemas/Problem"}, {"type": "object", "properties": members}]
        }
    return found


def responses() -> dict[str, Schema]:
    """Return the responses with problems, one for each status, and what the server itself refuses."""
    found = {f"Problem{status}": _response(status, failures) for status, failures in by_status().items()}
    return {
        **found,
        "UrlTooLong": {"description": "The URL is longer than the server reads, which says no more."},
    }


def _response(status: int, failures: list[type[Failure]]) -> Schema:
    codes = "\n".join(f"- `{failure.code}`: {failure.title}." for failure in failures)
    headers = ("X-Request-ID", *_HEADERS.get(status, ()))
    return {
        "description": codes,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {
            PROBLEM_MEDIA_TYPE: {
                "schema": {"$ref": f"#/components/schemas/Problem{status}"},
                "example": failures[0]().problem(instance="/api/…", request_id="9f2c4e6a8b0d1f3a5c7e"),
            }
        },
    }


def _patches() -> dict[str, Schema]:
    """Return the schemas of patches, which are the same for every collection."""
    return {"JsonPatch": _json_patch(), "FieldOperations": _field_operations()}


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


def _field_operations() -> Schema:
    descriptions = {
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
        name: {"type": "object", "description": descriptions.get(name, ""), "additionalProperties": True}
        for name in operations.NAMES
        if name != "unset"
    }
    members["unset"] = {"type": "array", "description": descriptions["unset"], "items": {"type": "string"}}
    return {
        "description": "What to do to fields, each by its dotted path.",
        "type": "object",
        "additionalProperties": False,
        "properties": members,
    }
