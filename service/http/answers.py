"""Responses with documents, in one way for all who write them."""

from typing import Any
from urllib.parse import quote

from litestar import Response

from service.documents import encoding, preconditions, write_policy
from service.documents.access import Access
from service.http import preferences
from service.http.requests import AnyRequest, json_response
from service.http.responses import Ready


def written_response(
    request: AnyRequest, access: Access, document: dict[str, Any], *, is_new: bool = False
) -> Response[bytes]:
    """Return the response to a write of one document, with its ETag, and as much of it as the client prefers.

    And as much as it may `get`: RFC 7240 has the preference.
    """
    wanted = preferences.preferred_return(request)
    headers = preferences.applied(wanted)
    if is_new:
        headers["Location"] = f"/api/{access.collection.name}/{_segment(str(document['_id']))}"
    headers["ETag"] = preconditions.tag(document)
    if wanted != "minimal":
        content = encoding.view_bytes(write_policy.shown(access, document))
        return json_response(content, status_code=201 if is_new else 200, headers=headers)
    return Ready(b"", status_code=201 if is_new else 204, headers=headers)


def _segment(text: str) -> str:
    """Give a text as a part of a path."""
    return text if text.isascii() and text.isalnum() else quote(text, safe="")
