"""Many documents of one collection in one request."""

from typing import Any

from litestar import Response

from service.collections.registry import Collection
from service.documents import bulk, encoding, terms, visibility
from service.documents.bulk import MAXIMUM_DOCUMENTS
from service.http import preferences
from service.http.guards import access_of, principal
from service.http.requests import (
    AnyRequest,
    expected_by,
    json_response,
    parameters_of,
    patch_of,
)
from service.http.responses import Ready
from service.http.services import services_of
from service.query.changes import ChangeQuery, parse_change


async def create(request: AnyRequest, collection: Collection, documents: list[Any]) -> Response[bytes]:
    """Create the documents of an array; answers with them, unless the client prefers less (RFC 7240)."""
    created = await bulk.create(services_of(request).database, collection, principal(request), documents)
    wanted = preferences.preferred_return(request)
    headers = preferences.applied(wanted)
    if wanted == "minimal":
        return Ready(b"", status_code=201, headers=headers)
    return json_response(_data(request, collection, created), status_code=201, headers=headers)


async def update(request: AnyRequest, collection: Collection) -> Response[bytes]:
    """Apply a patch to all documents that fulfil a filter; answers how many, or with them if preferred."""
    query = _query(request, collection)
    change = await patch_of(request)
    database, expected = services_of(request).database, expected_by(request)
    changed = await bulk.update(database, collection, principal(request), query, change, expected=expected)
    wanted = preferences.preferred_return(request)
    if wanted == "representation":
        content = _data(request, collection, changed.documents)
        return json_response(content, headers=preferences.applied(wanted))
    return _counted(len(changed.documents), changed.altered)


async def delete(request: AnyRequest, collection: Collection) -> Response[bytes]:
    """Delete all documents that fulfil a filter; answers how many."""
    query = _query(request, collection)
    database, expected = services_of(request).database, expected_by(request)
    deleted = await bulk.delete(database, collection, principal(request), query, expected=expected)
    return _counted(deleted, deleted)


def _query(request: AnyRequest, collection: Collection) -> ChangeQuery:
    fields = visibility.fields_of(collection, access_of(request).permit("list"))
    return parse_change(parameters_of(request), fields, MAXIMUM_DOCUMENTS)


def _data(request: AnyRequest, collection: Collection, documents: list[dict[str, Any]]) -> bytes:
    caller = principal(request)
    return encoding.dump({"data": [terms.shown(collection, caller, document) for document in documents]})


def _counted(matched: int, changed: int) -> Response[bytes]:
    return json_response(encoding.dump({"data": {"matched": matched, "changed": changed}}))
