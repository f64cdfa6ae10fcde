"""The documents of every collection, code-first and runtime alike."""

from hashlib import blake2b
from typing import Any
from urllib.parse import quote, urlencode

from litestar import Controller, Response, delete, patch, post, put, route
from litestar.enums import HttpMethod
from litestar.params import FromPath
from litestar.utils import normalize_path

from service.controllers.requests import (
    JSON,
    MERGE_PATCH,
    AnyRequest,
    json_of,
    json_response,
    only_parameters,
    parameters_of,
    tagged_response,
)
from service.documents import encoding, ids, preconditions, reading, writing
from service.guards import MayAct, principal
from service.query import ListQuery, parse_list
from service.query.limits import MAXIMUM_SKIP
from service.registry import Collection

MAXIMUM_LINKED_BYTES = 2000
"""Queries up to this length are repeated in the links to other pages."""


class DocumentsController(Controller):
    """`/api/{collection}` and `/api/{collection}/{id}`."""

    path = "/api/{collection:str}"

    @route("/", http_method=[HttpMethod.GET, HttpMethod.HEAD], guards=[MayAct("list")])
    async def list_documents(self, request: AnyRequest, collection: FromPath[str]) -> Response[bytes]:
        """Give one page of documents: `filter`, `sort`, `page`, `limit`, `fields`."""
        found = _collection(request, collection)
        parameters = parameters_of(request)
        query = parse_list(parameters, found.description.schema.root)
        documents, has_more = await reading.find(found, principal(request), query)
        content = encoding.list_bytes(found, documents, query.page, query.limit, has_more=has_more)
        entity_tag = f'W/"{blake2b(content, digest_size=12).hexdigest()}"'
        links = _links(request, parameters, query, has_more=has_more)
        return tagged_response(request, content, entity_tag, **links)

    @post("/", guards=[MayAct("create")])
    async def create_document(self, request: AnyRequest, collection: FromPath[str]) -> Response[bytes]:
        """Create one document."""
        found = _collection(request, collection)
        only_parameters(request)
        document = await writing.create(found, principal(request), await json_of(request))
        location = f"/api/{found.name}/{quote(str(document['_id']), safe='')}"
        return _answer(found, document, status_code=201, Location=location)

    @route("/{document_id:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD], guards=[MayAct("get")])
    async def get_document(
        self, request: AnyRequest, collection: FromPath[str], document_id: FromPath[str]
    ) -> Response[bytes]:
        """Give one document."""
        found = _collection(request, collection)
        only_parameters(request)
        document = await reading.get(found, principal(request), ids.parse(found, document_id))
        content = encoding.document_bytes(found, document)
        return tagged_response(request, content, preconditions.tag(document))

    @put("/{document_id:str}", guards=[MayAct("update")])
    async def replace_document(
        self, request: AnyRequest, collection: FromPath[str], document_id: FromPath[str]
    ) -> Response[bytes]:
        """Replace one document."""
        found = _collection(request, collection)
        only_parameters(request)
        document = await writing.replace(
            found,
            principal(request),
            ids.parse(found, document_id),
            await json_of(request),
            preconditions.read_if_match(request.headers.get("if-match")),
        )
        return _answer(found, document)

    @patch("/{document_id:str}", guards=[MayAct("update")])
    async def patch_document(
        self, request: AnyRequest, collection: FromPath[str], document_id: FromPath[str]
    ) -> Response[bytes]:
        """Apply a merge patch to one document."""
        found = _collection(request, collection)
        only_parameters(request)
        document = await writing.merge(
            found,
            principal(request),
            ids.parse(found, document_id),
            await json_of(request, (MERGE_PATCH, JSON)),
            preconditions.read_if_match(request.headers.get("if-match")),
        )
        return _answer(found, document)

    @delete("/{document_id:str}", guards=[MayAct("delete")])
    async def delete_document(
        self, request: AnyRequest, collection: FromPath[str], document_id: FromPath[str]
    ) -> None:
        """Delete one document."""
        found = _collection(request, collection)
        only_parameters(request)
        await writing.delete(
            found,
            principal(request),
            ids.parse(found, document_id),
            preconditions.read_if_match(request.headers.get("if-match")),
        )


def _collection(request: AnyRequest, name: str) -> Collection:
    collection: Collection = request.app.state.registry.get(name)
    return collection


def _answer(
    collection: Collection, document: dict[str, Any], status_code: int = 200, **headers: str
) -> Response[bytes]:
    headers["ETag"] = preconditions.tag(document)
    content = encoding.document_bytes(collection, document)
    return json_response(content, status_code=status_code, headers=headers)


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
