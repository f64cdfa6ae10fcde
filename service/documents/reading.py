"""Reading one document: parsed, planned and executed here; `rendering.document` writes it."""

from typing import Any

from service.documents import visibility
from service.documents.access import Access
from service.documents.expanding import WHOLE, References, ViewPlan, view_plan
from service.kit.errors import DocumentNotFound
from service.query.parameters import read_parameters
from service.query.parse import parse_view
from service.storage.store import Stored, decoded


def parse(access: Access, references: References, query_string: bytes) -> ViewPlan:
    """Read what a URL asks to see of a document; raises ParameterInvalid, and what `references` raise."""
    if not query_string:
        return WHOLE
    fields = visibility.fields_of(access.collection, access.permit("get"))
    query = parse_view(read_parameters(query_string), fields, references.fields_of)
    return view_plan(references, fields, query)


async def get(access: Access, document_id: Any) -> Stored:
    """Read one document, as it is stored; raises DocumentNotFound when it is absent or hidden by the rule."""
    document = await access.collection.store.get(document_id, access.permit("get").where)
    if document is None:
        raise DocumentNotFound
    return document


async def get_decoded(access: Access, document_id: Any) -> dict[str, Any]:
    """Read the members of one document; raises DocumentNotFound, as `get` does."""
    return decoded(await get(access, document_id))
