"""One document of any collection, code-first and runtime alike."""

from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from litestar.params import FromPath

from service.collections.registry import Collection
from service.documents import (
    encoding,
    expanding,
    ids,
    narrowing,
    preconditions,
    reading,
    visibility,
    writing,
)
from service.documents.preconditions import Expected
from service.documents.targets import Targets
from service.http.answers import written_response
from service.http.guards import FOR_API_KEYS, MayAct, access_of
from service.http.idempotent import once
from service.http.requests import (
    AnyRequest,
    expected_by,
    json_of,
    only_parameters,
    parameters_of,
    patch_of,
    tagged_response,
)
from service.http.routing import delete, patch, put, route
from service.http.services import Services
from service.kit.errors import ParameterInvalid, Violation
from service.query import parse_view
from service.query.views import WHOLE


class DocumentsController(Controller):
    """`/api/{collection}/{id}`."""

    path = "/api/{collection:str}/{document_id:str}"
    opt = {FOR_API_KEYS: True}

    @route("/", http_method=[HttpMethod.GET, HttpMethod.HEAD], guards=[MayAct("get")])
    async def get_document(
        self, request: AnyRequest, document_id: FromPath[str], services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Give one document: `fields`, `expand`."""
        access = access_of(request)
        found, decision = access.collection, access.permit("get")
        if not request.scope["query_string"] and decision.shows_all:
            stored = await reading.get_under(found, decision, ids.parse(found, document_id))
            rendered = services.renderings.of(found, stored)
            return tagged_response(request, b'{"data":%b}' % rendered.text, rendered.tag)
        targets = Targets(services.registry, access.principal)
        query = parse_view(parameters_of(request), narrowing.root(found, decision), targets.fields_of)
        stored = await reading.get_under(found, decision, ids.parse(found, document_id))
        document = reading.decoded(stored)
        if query == WHOLE and visibility.mask(decision, document).shows_all:
            content = encoding.view_bytes(encoding.view(found, document))
            return tagged_response(request, content, preconditions.tag(document))
        (view,) = await expanding.views(targets, found, decision, [document], query)
        content = encoding.view_bytes(view)
        return tagged_response(request, content, preconditions.view_tag(document, content))

    @put("/", guards=[MayAct("update")])
    async def replace_document(self, request: AnyRequest, document_id: FromPath[str]) -> Response[bytes]:
        """Replace one document; with `upsert=true` or `If-None-Match: *`, create it when there is none."""
        access = access_of(request)
        found = access.collection
        expected = expected_by(request)
        document, is_new = await writing.put(
            found,
            access.principal,
            ids.parse(found, document_id),
            await json_of(request),
            expected,
            may_create=_may_create(request, found, expected),
        )
        return written_response(request, found, document, is_new=is_new)

    @patch("/", guards=[MayAct("update")])
    @once
    async def patch_document(self, request: AnyRequest, document_id: FromPath[str]) -> Response[bytes]:
        """Apply a patch to one document: a merge patch, a JSON Patch or operations, by the media type."""
        access = access_of(request)
        found = access.collection
        only_parameters(request)
        document = await writing.patch(
            found,
            access.principal,
            ids.parse(found, document_id),
            await patch_of(request),
            expected_by(request),
        )
        return written_response(request, found, document)

    @delete("/", guards=[MayAct("delete")])
    async def delete_document(self, request: AnyRequest, document_id: FromPath[str]) -> None:
        """Delete one document."""
        access = access_of(request)
        found = access.collection
        only_parameters(request)
        await writing.delete(
            found,
            access.principal,
            ids.parse(found, document_id),
            expected_by(request),
        )


def _may_create(request: AnyRequest, collection: Collection, expected: Expected | None) -> bool:
    """Tell whether a PUT may create: when it says so, or may do nothing else; raises ParameterInvalid."""
    upsert = only_parameters(request, ("upsert",)).get("upsert", "false")
    if upsert not in {"true", "false"}:
        violation = Violation("upsert is `true` or `false`", "enum", parameter="upsert")
        raise ParameterInvalid(violation.detail, errors=[violation])
    is_only_new = expected is not None and expected.is_absent
    return upsert == "true" or (is_only_new and collection.description.options.may_supply_ids)
