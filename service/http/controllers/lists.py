"""The documents of a collection together: listed, added to, changed by filter; code-first and runtime."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b, sha256
from typing import Any

from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.params import FromPath

from service.documents import (
    bulk,
    encoding,
    lists,
    rendering,
    saved_queries,
    visibility,
    write_policy,
    writing,
)
from service.documents.access import Access
from service.documents.bulk import MAXIMUM_DOCUMENTS
from service.documents.encoding import dump
from service.documents.expanding import References
from service.http import answers, bodies, idempotent
from service.http.answers import written_response
from service.http.contract.operations import Described
from service.http.controllers import changes
from service.http.guards import FOR_API_KEYS, MayAct, MayRead, access_of, wants_stream
from service.http.idempotent import once
from service.http.requests import (
    AnyRequest,
    expected_by,
    json_of,
    json_response,
    only_parameters,
    parameters_of,
    patch_of,
    tagged_response,
)
from service.http.responses import Ready
from service.http.routing import delete, get, patch, post
from service.http.services import Services
from service.kit.errors import ParameterInvalid
from service.query.parse import ChangeQuery, parse_change

TAG_DIGITS = 24
"""Of the digest that is a list's entity tag: processors have instructions for this one."""


class ListsController(Controller):
    """`/api/{collection}`."""

    path = "/api/{collection:str}"
    opt = {FOR_API_KEYS: True}

    @get(
        "/",
        guards=[MayRead("list")],
        operation=Described.PER_COLLECTION,
    )
    async def list_documents(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Return one page of documents, as `filter`, `q`, `sort`, `page` or `cursor` and the others say."""
        if wants_stream(request.scope):
            return await changes.watch_list(request, services)
        access = access_of(request)
        references = References(services.registry, access.principal)
        asked = services.list_cache.parse(access, references, request.scope["query_string"])
        plan = lists.plan(access, asked, services.cursors)
        page = await lists.execute(access, asked, plan, services.cursors)
        content = await rendering.page(services.renderings, access, references, asked, page)
        entity_tag = f'W/"{sha256(content).hexdigest()[:TAG_DIGITS]}"'
        return tagged_response(
            request, content, entity_tag, **bodies.links_around(request, asked.repeated, page)
        )

    @post("/", guards=[MayAct("create")], operation=Described.PER_COLLECTION)
    @once
    async def create_document(self, request: AnyRequest) -> Response[bytes]:
        """Create one document, or those of an array, all or none."""
        access = access_of(request)
        only_parameters(request)
        body = await json_of(request)
        if isinstance(body, list):
            return await create_many(request, access, body)
        written = await access.collection.store.write(writing.create(access, body))
        return written_response(request, access, written.document, is_new=True)

    @patch("/", guards=[MayAct("update")], operation=Described.PER_COLLECTION)
    @once
    async def change_documents(self, request: AnyRequest) -> Response[bytes]:
        """Change all documents that fulfil `filter`, `max_affected` at most."""
        return await update_many(request, access_of(request))

    @delete("/", guards=[MayAct("delete")], status_code=200, operation=Described.PER_COLLECTION)
    async def delete_documents(self, request: AnyRequest) -> Response[bytes]:
        """Delete all documents that fulfil `filter`, `max_affected` at most."""
        return await delete_many(request, access_of(request))


async def create_many(request: AnyRequest, access: Access, documents: list[Any]) -> Response[bytes]:
    """Create the documents of an array; answers with them, unless the client prefers less (RFC 7240)."""
    plan = await bulk.create(access, documents)
    written = await bulk.execute(access, plan)
    wanted = answers.preferred_return(request)
    headers = answers.preference_applied(wanted)
    if wanted == "minimal":
        return Ready(b"", status_code=201, headers=headers)
    return json_response(_data(access, written.documents), status_code=201, headers=headers)


async def update_many(request: AnyRequest, access: Access) -> Response[bytes]:
    """Apply a patch to all documents that fulfil a filter; answers how many, or with them if preferred."""
    query = _query(request, access)
    change = await patch_of(request)
    plan = bulk.update(access, query, change, expected_by(request))
    written = await bulk.execute(access, plan)
    wanted = answers.preferred_return(request)
    if wanted == "representation":
        return json_response(_data(access, written.documents), headers=answers.preference_applied(wanted))
    return _counted(len(written.documents), written.affected)


async def delete_many(request: AnyRequest, access: Access) -> Response[bytes]:
    """Delete all documents that fulfil a filter; answers how many."""
    query = _query(request, access)
    plan = bulk.delete(access, query, expected_by(request))
    written = await bulk.execute(access, plan)
    return _counted(written.affected, written.affected)


def _query(request: AnyRequest, access: Access) -> ChangeQuery:
    fields = visibility.fields_of(access.collection, access.permit("list"))
    return parse_change(parameters_of(request), fields, MAXIMUM_DOCUMENTS)


def _data(access: Access, documents: Iterable[dict[str, Any]]) -> bytes:
    return encoding.dump({"data": [write_policy.shown(access, document) for document in documents]})


def _counted(matched: int, changed: int) -> Response[bytes]:
    return json_response(encoding.dump({"data": {"matched": matched, "changed": changed}}))


class QueriesController(Controller):
    """`/api/{collection}/query`."""

    path = "/api/{collection:str}/query"
    opt = {FOR_API_KEYS: True}

    @post("/", guards=[MayAct("list")], status_code=200, operation=Described.PER_COLLECTION)
    @idempotent.takes_key
    async def query_documents(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Return one page of documents, as the list does; cursors lead to its neighbours, without links.

        It has no ETag, and is stored nowhere: what a POST answers is not what its address stands for, and
        without a Content-Location no cache may give it again (RFC 9110, 9.3.3).
        """
        access = access_of(request)
        references = References(services.registry, access.principal)
        only_parameters(request)
        asked = lists.parse_body(access, references, await json_of(request))
        with _by_pointers():
            plan = lists.plan(access, asked, services.cursors)
            page = await lists.execute(access, asked, plan, services.cursors)
            content = await rendering.page(services.renderings, access, references, asked, page)
        return json_response(content)


@contextmanager
def _by_pointers() -> Iterator[None]:
    """Have failures name the body's members, where the engine names a list's parameters."""
    try:
        yield
    except ParameterInvalid as failure:
        raise failure.by_pointers() from None


class SavedQueriesController(Controller):
    """`/api/{collection}/queries`."""

    path = "/api/{collection:str}/queries"
    opt = {FOR_API_KEYS: True}
    guards = [MayAct("list")]

    @get("/", operation=Described.PER_COLLECTION)
    async def list_queries(self, request: AnyRequest) -> Response[bytes]:
        """Return the name, description and parameters of every query."""
        only_parameters(request)
        collection = access_of(request).collection
        listed = [
            {"name": each.name, "description": each.description, "parameters": each.parameters.schemas}
            for each in collection.description.queries.values()
        ]
        return _tagged(request, dump({"data": listed}))

    @get("/{name:str}", operation=Described.PER_COLLECTION)
    async def run_query(
        self, request: AnyRequest, name: FromPath[str], services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Run one query with its parameters."""
        access = access_of(request)
        query = saved_queries.find(access.collection, name)
        plan = saved_queries.plan(services.registry, access, query, parameters_of(request))
        content = await saved_queries.execute(services.registry, access, plan)
        return _tagged(request, content)


def _tagged(request: AnyRequest, content: bytes) -> Response[bytes]:
    return tagged_response(request, content, f'W/"{blake2b(content, digest_size=12).hexdigest()}"')
