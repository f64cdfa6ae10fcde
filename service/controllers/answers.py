"""Responses with documents, in one way for all who write them."""

from typing import Any
from urllib.parse import quote

from litestar import Response

from service.controllers import preferences
from service.controllers.requests import AnyRequest, json_response
from service.documents import encoding, preconditions
from service.registry import Collection


def document_response(
    collection: Collection, document: dict[str, Any], status_code: int = 200, **headers: str
) -> Response[bytes]:
    """Give a response with one stored document and its ETag."""
    headers["ETag"] = preconditions.tag(document)
    content = encoding.document_bytes(collection, document)
    return json_response(content, status_code=status_code, headers=headers)


def written_response(
    request: AnyRequest, collection: Collection, document: dict[str, Any], *, is_new: bool = False
) -> Response[bytes]:
    """Give the response to a write of one document, with as much of it as the client prefers (RFC 7240)."""
    wanted = preferences.preferred_return(request)
    headers = preferences.applied(wanted)
    if is_new:
        headers["Location"] = f"/api/{collection.name}/{quote(str(document['_id']), safe='')}"
    if wanted != "minimal":
        return document_response(collection, document, 201 if is_new else 200, **headers)
    headers["ETag"] = preconditions.tag(document)
    return Response(b"", status_code=201 if is_new else 204, headers=headers)
