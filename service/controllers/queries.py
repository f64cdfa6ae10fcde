"""Listing with the query as a body, for what does not fit a URL."""

from litestar import Controller, Response, post
from litestar.params import FromPath

from service.controllers.requests import AnyRequest, collection_of, json_of, json_response, only_parameters
from service.documents import encoding, expanding, reading
from service.documents.targets import Targets
from service.guards import MayAct, principal
from service.query import parse_query


class QueriesController(Controller):
    """`/api/{collection}/query`."""

    path = "/api/{collection:str}/query"

    @post("/", guards=[MayAct("list")], status_code=200)
    async def query_documents(self, request: AnyRequest, collection: FromPath[str]) -> Response[bytes]:
        """Give one page of documents, as the list does; its neighbours are told by cursors, without links.

        It has no ETag: what a POST answers is not what a GET of its address would give (RFC 9110, 9.3.3), and
        is not stored.
        """
        found = collection_of(request, collection)
        only_parameters(request)
        targets = Targets(request.app.state.registry, principal(request))
        query = parse_query(await json_of(request), found.description.schema.root, targets.fields_of)
        to_read = expanding.to_read(targets, found, query)
        page = await reading.find(found, principal(request), to_read, request.app.state.cursors)
        views = await expanding.page(targets, found, page.documents, query)
        return json_response(encoding.list_bytes(views, page))
