"""Problem bodies (RFC 9457) in the contract, from the catalogue of failures."""

from typing import Any

from service.kit.errors import (
    MAXIMUM_VIOLATIONS,
    PROBLEM_MEDIA_TYPE,
    TYPE_PREFIX,
    Failure,
    catalogue,
)

Schema = dict[str, Any]

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
    """Give the failures of the catalogue by their statuses."""
    found: dict[int, list[type[Failure]]] = {}
    for failure in catalogue():
        found.setdefault(failure.status, []).append(failure)
    return dict(sorted(found.items()))


def schemas() -> dict[str, Schema]:
    """Give the schemas of problem bodies: what all share, and those of each status with its codes."""
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
    """Give the responses with problems, one for each status, and what the server itself refuses."""
    told = {f"Problem{status}": _response(status, failures) for status, failures in by_status().items()}
    return {
        **told,
        "UrlTooLong": {"description": "The URL is longer than the server reads, which says no more."},
    }


def _response(status: int, failures: list[type[Failure]]) -> Schema:
    told = "\n".join(f"- `{failure.code}`: {failure.title}." for failure in failures)
    headers = ("X-Request-ID", *_HEADERS.get(status, ()))
    return {
        "description": told,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {
            PROBLEM_MEDIA_TYPE: {
                "schema": {"$ref": f"#/components/schemas/Problem{status}"},
                "example": failures[0]().problem(instance="/api/…", request_id="9f2c4e6a8b0d1f3a5c7e"),
            }
        },
    }
