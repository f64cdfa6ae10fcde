"""The documents of a collection together: listed, added to, changed by filter; code-first and runtime."""

from hashlib import sha256

from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.enums import HttpMethod

from service.documents import lists, rendering, writing
from service.documents.expanding import References
from service.http import links
from service.http.answers import written_response
from service.http.contract.operations import Described
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

    @route(
        "/",
        http_method=[HttpMethod.GET, HttpMethod.HEAD],
        guards=[MayAct("list")],
        operation=Described.PER_COLLECTION,
    )
    async def list_documents(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Return one page of documents, as `filter`, `q`, `sort`, `page` or `cursor` and the others say."""
        access = access_of(request)
        references = References(services.registry, access.principal)
        asked = services.list_cache.parse(access, references, request.scope["query_string"])
        plan = lists.plan(access, asked, services.cursors)
        page = await lists.execute(access, asked, plan, services.cursors)
        content = await rendering.page(services.renderings, access, references, asked, page)
        entity_tag = f'W/"{sha256(content).hexdigest()[:TAG_DIGITS]}"'
        return tagged_response(request, content, entity_tag, **links.around(request, asked.repeated, page))

    @post("/", guards=[MayAct("create")], operation=Described.PER_COLLECTION)
    @once
    async def create_document(self, request: AnyRequest) -> Response[bytes]:
        """Create one document, or those of an array, all or none."""
        access = access_of(request)
        only_parameters(request)
        body = await json_of(request)
        if isinstance(body, list):
            return await bulk.create(request, access, body)
        written = await access.collection.store.write(writing.create(access, body))
        return written_response(request, access, written.document, is_new=True)

    @patch("/", guards=[MayAct("update")], operation=Described.PER_COLLECTION)
    @once
    async def change_documents(self, request: AnyRequest) -> Response[bytes]:
        """Change all documents that fulfil `filter`, `max_affected` at most."""
        return await bulk.update(request, access_of(request))

    @delete("/", guards=[MayAct("delete")], status_code=200, operation=Described.PER_COLLECTION)
    async def delete_documents(self, request: AnyRequest) -> Response[bytes]:
        """Delete all documents that fulfil `filter`, `max_affected` at most."""
        return await bulk.delete(request, access_of(request))
