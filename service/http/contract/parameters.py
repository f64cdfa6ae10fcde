"""Parameters and headers that many operations share."""

from typing import Any

from service.http.contract.wire import IDS
from service.query.limits import (
    DEFAULT_LIMIT,
    MAXIMUM_CURSOR_CHARACTERS,
    MAXIMUM_LIMIT,
    MAXIMUM_SEARCH_CHARACTERS,
    MAXIMUM_SKIP,
)
from service.query.parse import COUNTS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TAG_EXAMPLE = '"3"'


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


def _header(name: str, description: str, schema: Schema, **others: Any) -> Schema:
    return {"name": name, "in": "header", "description": description, "schema": schema, **others}


def parameters() -> dict[str, Schema]:
    """Give the shared parameters by their names in the contract."""
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
    """Give the headers of responses; those that not every such response has end in `.optional`."""
    told: dict[str, tuple[str, Any]] = {
        "X-Request-ID": ("What the logs call the request.", "9f2c4e6a8b0d1f3a5c7e"),
        "ETag": ("The version, or for a list a weak tag of its content.", TAG_EXAMPLE),
        "Location": ("The path of what was created.", "/api/…"),
        "Link": ("Other pages (RFC 8288): `first`, `prev`, `next`.", '</api/…?page=2>; rel="next"'),
        "WWW-Authenticate": ("How to sign in (RFC 6750).", 'Bearer realm="sheaf"'),
        "Allow": ("The methods that the address takes.", "GET, HEAD"),
        "Preference-Applied": ("The preference that was followed.", "return=minimal"),
        "Idempotency-Replayed": ("`true` when an earlier answer is given again.", "true"),
    }
    written = {name: _told(*each, is_required=True) for name, each in told.items()}
    written |= {f"{name}.optional": _told(*each, is_required=False) for name, each in told.items()}
    written["Retry-After"] = {
        "description": "Seconds to wait.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    }
    limits = {
        "RateLimit": ("What is left of the limits, and for how long.", '"user";r=998;t=899'),
        "RateLimit-Policy": ("The limits.", '"user";q=1000;w=900'),
    }
    return {**written, **{name: _told(*each, is_required=False) for name, each in limits.items()}}


def _told(description: str, example: str, *, is_required: bool) -> Schema:
    return {"description": description, "required": is_required, "schema": TEXT, "example": example}
