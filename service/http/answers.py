"""Responses with documents, in one way for all who write them."""

from typing import Any, Literal, TypeAlias, cast, get_args
from urllib.parse import quote

from litestar import Response

from service.documents import encoding, preconditions, write_policy
from service.documents.access import Access
from service.http.pipeline.headers import text_of
from service.http.requests import AnyRequest, json_response
from service.http.responses import Ready

Return: TypeAlias = Literal["minimal", "representation"]


def preferred_return(request: AnyRequest) -> Return | None:
    """Return what `Prefer: return=…` asks for; None when it is absent, or unknown and ignored (2)."""
    header = text_of(request.scope, b"prefer")
    return None if header is None else read_return(header)


def read_return(header: str) -> Return | None:
    """Read `return` among the preferences, whose first mention counts.

    >>> read_return('wait=10, RETURN="minimal"; x=1'), read_return("return=everything"), read_return("")
    ('minimal', None, None)
    """
    for preference in header.split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "return":
            wanted = value.strip().strip('"').lower()
            return cast("Return", wanted) if wanted in get_args(Return) else None
    return None


def preference_applied(wanted: Return | None) -> dict[str, str]:
    """Return the header that says which preference was followed."""
    return {} if wanted is None else {"Preference-Applied": f"return={wanted}"}


def written_response(
    request: AnyRequest, access: Access, document: dict[str, Any], *, is_new: bool = False
) -> Response[bytes]:
    """Return the response to a write of one document, with its ETag, and as much of it as the client prefers.

    And as much as it may `get`: RFC 7240 has the preference.
    """
    wanted = preferred_return(request)
    headers = preference_applied(wanted)
    if is_new:
        headers["Location"] = f"/api/{access.collection.name}/{_segment(str(document['_id']))}"
    headers["ETag"] = preconditions.tag(document)
    if wanted != "minimal":
        content = encoding.view_bytes(write_policy.shown(access, document))
        return json_response(content, status_code=201 if is_new else 200, headers=headers)
    return Ready(b"", status_code=201 if is_new else 204, headers=headers)


def _segment(text: str) -> str:
    """Return a text as a part of a path."""
    return text if text.isascii() and text.isalnum() else quote(text, safe="")
