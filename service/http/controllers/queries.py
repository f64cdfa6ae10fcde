"""Listing with the query as a body, for what does not fit a URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from litestar import Controller, Response
from litestar.di import NamedDependency

from service.documents import lists, rendering
from service.documents.expanding import References
from service.http import idempotent
from service.http.contract.operations import Described
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
        failure.errors = tuple(
            replace(each, parameter=None, pointer=f"/{each.parameter}") if each.parameter else each
            for each in failure.errors
        )
        raise
