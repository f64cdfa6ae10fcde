"""The documents of a collection together: listed, added to, changed by filter; code-first and runtime."""

from hashlib import blake2b
from urllib.parse import urlencode

from litestar import Controller, Response, delete, patch, post, route
from litestar.enums import HttpMethod
from litestar.params import FromPath
from litestar.utils import normalize_path

from service.controllers import bulk
from service.controllers.answers import written_response
from service.controllers.once import once
from service.controllers.requests import (
    AnyRequest,
    collection_of,
    json_of,
    only_parameters,
    parameters_of,
    tagged_response,
)
from service.documents import encoding, expanding, reading, writing
from service.documents.targets import Targets
from service.guards import MayAct, principal
from service.query import ListQuery, parse_list
from service.query.limits import MAXIMUM_SKIP

MAXIMUM_LINKED_BYTES = 2000
"""Queries up to this length are repeated in the links to other pages."""


class ListsController(Controller):
    """`/api/{collection}`."""

    path = "/api/{collection:str}"

    @route("/", http_method=[HttpMethod.GET, HttpMethod.HEAD], guards=[MayAct("list")])
    async def list_documents(self, request: AnyRequest, collection: FromPath[str]) -> Response[bytes]:
        """Give one page of documents: `filter`, `sort`, `page`, `limit`, `fields`, `expand`."""
        found = collection_of(request, collection)
        parameters = parameters_of(request)
        targets = Targets(request.app.state.registry, principal(request))
        query = parse_list(parameters, found.description.schema.root, targets.fields_of)
        to_read = expanding.to_read(targets, found, query)
        documents, has_more = await reading.find(found, principal(request), to_read)
        views = await expanding.page(targets, found, documents, query)
        content = encoding.list_bytes(views, query.page, query.limit, has_more=has_more)
        entity_tag = f'W/"{blake2b(content, digest_size=12).hexdigest()}"'
        links = _links(request, parameters, query, has_more=has_more)
        return tagged_response(request, content, entity_tag, **links)

    @post("/", guards=[MayAct("create")])
    @once
    async def create_document(self, request: AnyRequest, collection: FromPath[str]) -> Response[bytes]:
        """Create one document, or those of an array, all or none."""
        found = collection_of(request, collection)
        only_parameters(request)
        body = await json_of(request)
        if isinstance(body, list):
            return await bulk.create(request, found, body)
        document = await writing.create(found, principal(request), body)
        return written_response(request, found, document, is_new=True)

    @patch("/", guards=[MayAct("update")])
    @once
    async def change_documents(self, request: AnyRequest, collection: FromPath[str]) -> Response[bytes]:
        """Change all documents that fulfil `filter`, `max_affected` at most."""
        return await bulk.update(request, collection_of(request, collection))

    @delete("/", guards=[MayAct("delete")], status_code=200)
    async def delete_documents(self, request: AnyRequest, collection: FromPath[str]) -> Response[bytes]:
        """Delete all documents that fulfil `filter`, `max_affected` at most."""
        return await bulk.delete(request, collection_of(request, collection))


def _links(
    request: AnyRequest, parameters: list[tuple[str, str]], query: ListQuery, *, has_more: bool
) -> dict[str, str]:
    """Give the `Link` header (RFC 8288) with the pages around this one, relative to the API's root.

    None at all for a query so long that proxies would refuse the header.
    """
    if len(request.scope["query_string"]) > MAXIMUM_LINKED_BYTES:
        return {}
    path = normalize_path(request.scope["path"])  # `//api/films` would name another host
    others = [(name, value) for name, value in parameters if name != "page"]

    def link(page: int, relation: str) -> str:
        return f'<{path}?{urlencode([*others, ("page", str(page))])}>; rel="{relation}"'

    links = [link(1, "first")]
    if query.page > 1:
        links.append(link(query.page - 1, "prev"))
    if has_more and query.page * query.limit <= MAXIMUM_SKIP:
        links.append(link(query.page + 1, "next"))
    return {"Link": ", ".join(links)}
