"""One document of any collection, code-first and runtime alike."""

from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.params import FromPath

from service.collections.registry import Collection
from service.documents import (
    ids,
    reading,
    rendering,
    writing,
)
from service.documents.expanding import References
from service.documents.preconditions import Expected
from service.http.answers import written_response
from service.http.contract.operations import Described
from service.http.controllers import changes
from service.http.guards import FOR_API_KEYS, MayAct, MayRead, access_of, wants_stream
from service.http.idempotent import once
from service.http.requests import (
    AnyRequest,
    expected_by,
    json_of,
    only_parameters,
    patch_of,
    tagged_response,
)
from service.http.routing import delete, get, patch, put
from service.http.services import Services
from service.kit.errors import ParameterInvalid, Violation


class DocumentsController(Controller):
    """`/api/{collection}/{id}`."""

    path = "/api/{collection:str}/{document_id:str}"
    opt = {FOR_API_KEYS: True}

    @get(
        "/",
        guards=[MayRead("get")],
        operation=Described.PER_COLLECTION,
    )
    async def get_document(
        self, request: AnyRequest, document_id: FromPath[str], services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Return one document: `fields`, `expand`."""
        if wants_stream(request.scope):
            return await changes.watch_document(request, services, document_id)
        access = access_of(request)
        references = References(services.registry, access.principal)
        shown = reading.parse(access, references, request.scope["query_string"])
        stored = await reading.get(access, ids.parse(access.collection, document_id))
        content, entity_tag = await rendering.document(services.renderings, access, references, shown, stored)
        return tagged_response(request, content, entity_tag)

    @put("/", guards=[MayAct("update")], operation=Described.PER_COLLECTION)
    async def replace_document(self, request: AnyRequest, document_id: FromPath[str]) -> Response[bytes]:
        """Replace one document; with `upsert=true` or `If-None-Match: *`, create it when there is none."""
        access = access_of(request)
        expected = expected_by(request)
        document_id = ids.parse(access.collection, document_id)
        body = await json_of(request)
        may_create = _may_create(request, access.collection, expected)
        plan = writing.put(access, document_id, body, expected, may_create=may_create)
        written = await access.collection.store.write(plan)
        return written_response(request, access, written.document, is_new=written.is_new)

    @patch("/", guards=[MayAct("update")], operation=Described.PER_COLLECTION)
    @once
    async def patch_document(self, request: AnyRequest, document_id: FromPath[str]) -> Response[bytes]:
        """Apply a patch to one document: a merge patch, a JSON Patch or operations, by the media type."""
        access = access_of(request)
        only_parameters(request)
        document_id = ids.parse(access.collection, document_id)
        change = await patch_of(request)
        plan = writing.patch(access, document_id, change, expected_by(request))
        written = await access.collection.store.write(plan)
        return written_response(request, access, written.document)

    @delete("/", guards=[MayAct("delete")], operation=Described.PER_COLLECTION)
    async def delete_document(self, request: AnyRequest, document_id: FromPath[str]) -> None:
        """Delete one document."""
        access = access_of(request)
        only_parameters(request)
        document_id = ids.parse(access.collection, document_id)
        plan = writing.delete(access, document_id, expected_by(request))
        await access.collection.store.write(plan)


def _may_create(request: AnyRequest, collection: Collection, expected: Expected | None) -> bool:
    """Return whether a PUT may create: when it says so, or may do nothing else; raises ParameterInvalid."""
    upsert = only_parameters(request, ("upsert",)).get("upsert", "false")
    if upsert not in {"true", "false"}:
        violation = Violation("upsert is `true` or `false`", "enum", parameter="upsert")
        raise ParameterInvalid(violation.detail, errors=[violation])
    is_only_new = expected is not None and expected.is_absent
    return upsert == "true" or (is_only_new and collection.description.options.may_supply_ids)
