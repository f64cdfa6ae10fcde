"""The documents of a collection together: listed, added to, changed by filter; code-first and runtime."""

from hashlib import sha256

from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.enums import HttpMethod

from service.documents import expanding, reading, writing
from service.documents.targets import Targets
from service.http import links
from service.http.answers import written_response
from service.http.controllers import bulk
from service.http.guards import FOR_API_KEYS, MayAct, access_of
from service.http.idempotent import once
from service.http.requests import (
    AnyRequest,
    json_of,
    only_parameters,
    tagged_response,
)
from service.http.routing import delete, patch, post, route
from service.http.services import Services

TAG_DIGITS = 24
"""Of the digest that is a list's entity tag: processors have instructions for this one."""


class ListsController(Controller):
    """`/api/{collection}`."""

    path = "/api/{collection:str}"
    opt = {FOR_API_KEYS: True}

    @route("/", http_method=[HttpMethod.GET, HttpMethod.HEAD], guards=[MayAct("list")])
    async def list_documents(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Give one page of documents, as `filter`, `q`, `sort`, `page` or `cursor` and the others say."""
        access = access_of(request)
        found, decision = access.collection, access.permit("list")
        targets = Targets(services.registry, access.principal)
        asked = services.known_lists.read(targets, found, decision, request.scope["query_string"])
        page = await reading.find_under(found, decision, asked.to_read, services.cursors, asked.plan)
        content = await expanding.page(
            targets, found, decision, page, asked.query, renderings=services.renderings
        )
        entity_tag = f'W/"{sha256(content).hexdigest()[:TAG_DIGITS]}"'
        headers = links.around(request, asked.repeated, page)
        return tagged_response(request, content, entity_tag, **headers)

    @post("/", guards=[MayAct("create")])
    @once
    async def create_document(self, request: AnyRequest) -> Response[bytes]:
        """Create one document, or those of an array, all or none."""
        access = access_of(request)
        found = access.collection
        only_parameters(request)
        body = await json_of(request)
        if isinstance(body, list):
            return await bulk.create(request, found, body)
        document = await writing.create(found, access.principal, body)
        return written_response(request, found, document, is_new=True)

    @patch("/", guards=[MayAct("update")])
    @once
    async def change_documents(self, request: AnyRequest) -> Response[bytes]:
        """Change all documents that fulfil `filter`, `max_affected` at most."""
        return await bulk.update(request, access_of(request).collection)

    @delete("/", guards=[MayAct("delete")], status_code=200)
    async def delete_documents(self, request: AnyRequest) -> Response[bytes]:
        """Delete all documents that fulfil `filter`, `max_affected` at most."""
        return await bulk.delete(request, access_of(request).collection)
