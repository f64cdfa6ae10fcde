"""Listing with the query as a body, for what does not fit a URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from litestar import Controller, Response
from litestar.di import NamedDependency

from service.documents import expanding, narrowing, reading
from service.documents.targets import Targets
from service.http import idempotent
from service.http.guards import FOR_API_KEYS, MayAct, access_of
from service.http.requests import (
    AnyRequest,
    json_of,
    json_response,
    only_parameters,
)
from service.http.routing import post
from service.http.services import Services
from service.kit.errors import ParameterInvalid
from service.query import parse_query


class QueriesController(Controller):
    """`/api/{collection}/query`."""

    path = "/api/{collection:str}/query"
    opt = {FOR_API_KEYS: True}

    @post("/", guards=[MayAct("list")], status_code=200)
    @idempotent.takes_key
    async def query_documents(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Give one page of documents, as the list does; its neighbours are told by cursors, without links.

        It has no ETag, and is stored nowhere: what a POST answers is not what its address stands for, and
        without a Content-Location no cache may give it again (RFC 9110, 9.3.3).
        """
        access = access_of(request)
        found, decision = access.collection, access.permit("list")
        only_parameters(request)
        targets = Targets(services.registry, access.principal)
        query = parse_query(await json_of(request), narrowing.root(found, decision), targets.fields_of)
        with _by_pointers():
            to_read = expanding.to_read(targets, found, decision, query)
            page = await reading.find_under(found, decision, to_read, services.cursors)
            content = await expanding.page(
                targets, found, decision, page, query, renderings=services.renderings
            )
        return json_response(content)


@contextmanager
def _by_pointers() -> Iterator[None]:
    """Have failures name the body's members, where the engine names a list's parameters."""
    try:
        yield
    except ParameterInvalid as failure:
        failure.errors = tuple(
            replace(each, parameter=None, pointer=f"/{each.parameter}") if each.parameter else each
            for each in failure.errors
        )
        raise
