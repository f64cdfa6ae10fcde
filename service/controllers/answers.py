"""Responses with documents, in one way for all who write them."""

from typing import Any

from litestar import Response

from service.controllers.requests import json_response
from service.documents import encoding, preconditions
from service.registry import Collection


def document_response(
    collection: Collection, document: dict[str, Any], status_code: int = 200, **headers: str
) -> Response[bytes]:
    """Give a response with one stored document and its ETag."""
    headers["ETag"] = preconditions.tag(document)
    content = encoding.document_bytes(collection, document)
    return json_response(content, status_code=status_code, headers=headers)
