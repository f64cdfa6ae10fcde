"""Many documents of one collection in one request."""

from collections.abc import Iterable
from typing import Any

from litestar import Response

from service.documents import bulk, encoding, visibility, write_policy
from service.documents.access import Access
from service.documents.bulk import MAXIMUM_DOCUMENTS
from service.http import preferences
from service.http.requests import (
    AnyRequest,
    expected_by,
    json_response,
    parameters_of,
    patch_of,
)
from service.http.responses import Ready
from service.query.changes import ChangeQuery, parse_change


async def create(request: AnyRequest, access: Access, documents: list[Any]) -> Response[bytes]:
    """Create the documents of an array; answers with them, unless the client prefers less (RFC 7240)."""
    plan = await bulk.create(access, documents)
    written = await bulk.execute(access, plan)
    wanted = preferences.preferred_return(request)
    headers = preferences.applied(wanted)
    if wanted == "minimal":
        return Ready(b"", status_code=201, headers=headers)
    return json_response(_data(access, written.documents), status_code=201, headers=headers)


async def update(request: AnyRequest, access: Access) -> Response[bytes]:
    """Apply a patch to all documents that fulfil a filter; answers how many, or with them if preferred."""
    query = _query(request, access)
    change = await patch_of(request)
    plan = bulk.update(access, query, change, expected_by(request))
    written = await bulk.execute(access, plan)
    wanted = preferences.preferred_return(request)
    if wanted == "representation":
        return json_response(_data(access, written.documents), headers=preferences.applied(wanted))
    return _counted(len(written.documents), written.count)


async def delete(request: AnyRequest, access: Access) -> Response[bytes]:
    """Delete all documents that fulfil a filter; answers how many."""
    query = _query(request, access)
    plan = bulk.delete(access, query, expected_by(request))
    written = await bulk.execute(access, plan)
    return _counted(written.count, written.count)


def _query(request: AnyRequest, access: Access) -> ChangeQuery:
    fields = visibility.fields_of(access.collection, access.permit("list"))
    return parse_change(parameters_of(request), fields, MAXIMUM_DOCUMENTS)


def _data(access: Access, documents: Iterable[dict[str, Any]]) -> bytes:
    return encoding.dump({"data": [write_policy.shown(access, document) for document in documents]})


def _counted(matched: int, changed: int) -> Response[bytes]:
    return json_response(encoding.dump({"data": {"matched": matched, "changed": changed}}))
