"""One document of any collection, code-first and runtime alike."""

from litestar import Controller, Response, delete, patch, put, route
from litestar.enums import HttpMethod
from litestar.params import FromPath

from service.controllers.answers import document_response
from service.controllers.once import once
from service.controllers.requests import (
    JSON,
    MERGE_PATCH,
    AnyRequest,
    collection_of,
    json_of,
    only_parameters,
    parameters_of,
    tagged_response,
)
from service.documents import encoding, expanding, ids, preconditions, reading, writing
from service.documents.targets import Targets
from service.guards import MayAct, principal
from service.query import parse_view
from service.query.views import WHOLE


class DocumentsController(Controller):
    """`/api/{collection}/{id}`."""

    path = "/api/{collection:str}/{document_id:str}"

    @route("/", http_method=[HttpMethod.GET, HttpMethod.HEAD], guards=[MayAct("get")])
    async def get_document(
        self, request: AnyRequest, collection: FromPath[str], document_id: FromPath[str]
    ) -> Response[bytes]:
        """Give one document: `fields`, `expand`."""
        found = collection_of(request, collection)
        targets = Targets(request.app.state.registry, principal(request))
        query = parse_view(parameters_of(request), found.description.schema.root, targets.fields_of)
        document = await reading.get(found, principal(request), ids.parse(found, document_id))
        if query == WHOLE:
            content = encoding.document_bytes(found, document)
            return tagged_response(request, content, preconditions.tag(document))
        (view,) = await expanding.views(targets, found, [document], query)
        content = encoding.view_bytes(view)
        return tagged_response(request, content, preconditions.view_tag(document, content))

    @put("/", guards=[MayAct("update")])
    async def replace_document(
        self, request: AnyRequest, collection: FromPath[str], document_id: FromPath[str]
    ) -> Response[bytes]:
        """Replace one document."""
        found = collection_of(request, collection)
        only_parameters(request)
        document = await writing.replace(
            found,
            principal(request),
            ids.parse(found, document_id),
            await json_of(request),
            preconditions.read_if_match(request.headers.get("if-match")),
        )
        return document_response(found, document)

    @patch("/", guards=[MayAct("update")])
    @once
    async def patch_document(
        self, request: AnyRequest, collection: FromPath[str], document_id: FromPath[str]
    ) -> Response[bytes]:
        """Apply a merge patch to one document."""
        found = collection_of(request, collection)
        only_parameters(request)
        document = await writing.merge(
            found,
            principal(request),
            ids.parse(found, document_id),
            await json_of(request, (MERGE_PATCH, JSON)),
            preconditions.read_if_match(request.headers.get("if-match")),
        )
        return document_response(found, document)

    @delete("/", guards=[MayAct("delete")])
    async def delete_document(
        self, request: AnyRequest, collection: FromPath[str], document_id: FromPath[str]
    ) -> None:
        """Delete one document."""
        found = collection_of(request, collection)
        only_parameters(request)
        await writing.delete(
            found,
            principal(request),
            ids.parse(found, document_id),
            preconditions.read_if_match(request.headers.get("if-match")),
        )
