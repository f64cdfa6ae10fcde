"""The saved queries of any collection: which there are, and running one."""

from hashlib import blake2b

from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.params import FromPath

from service.documents import saved_queries
from service.documents.encoding import dump
from service.http.contract.operations import Described
from service.http.guards import FOR_API_KEYS, MayAct, access_of
from service.http.requests import (
    AnyRequest,
    only_parameters,
    parameters_of,
    tagged_response,
)
from service.http.routing import get
from service.http.services import Services


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
