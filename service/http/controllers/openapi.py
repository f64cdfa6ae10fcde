"""The live contract, and the page that shows it."""

from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from litestar.params import FromPath

from service.documents import preconditions
from service.http.contract.operations import NOT_MODIFIED, Answer, Described, Operation
from service.http.contract.page import ASSETS, Asset, index
from service.http.guards import FOR_API_KEYS, IGNORES_TOKEN, principal
from service.http.requests import AnyRequest, only_parameters, tagged_response
from service.http.responses import Ready
from service.http.routing import get
from service.http.services import Services
from service.kit.errors import RouteNotFound

FOREVER = "public, max-age=31536000, immutable"
REVALIDATED = "public, no-cache"


class ContractController(Controller):
    """`/api/openapi.json`."""

    path = "/api/openapi.json"
    opt = {FOR_API_KEYS: True}

    @get(
        "/",
        operation=Operation(
            id="getContract",
            tag="Contract",
            summary="This contract, as far as the caller may use it",
            answers=(Answer(200, "OpenAPI 3.1.", {"type": "object"}, ("ETag",)), NOT_MODIFIED),
            parameters=("If-None-Match",),
            access="optional",
        ),
    )
    async def get_contract(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Return the contract of what the caller may do, as OpenAPI 3.1."""
        only_parameters(request)
        contracts = services.contracts
        contract = await contracts.get(services.registry.all(), principal(request))
        return tagged_response(request, contract.content, contract.entity_tag)


class DocsController(Controller):
    """`/docs`: the contract for people, from files of our own."""

    path = "/docs"
    opt = {IGNORES_TOKEN: True}

    @get("/", operation=Described.NOWHERE)
    async def show_page(self, request: AnyRequest) -> Response[bytes]:
        """Return the page."""
        only_parameters(request)
        return file_response(request, index(), REVALIDATED)

    @get("/{name:str}", operation=Described.NOWHERE)
    async def get_asset(self, request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
        """Return a file that the page needs; under the address that the page has for it, for ever."""
        version = only_parameters(request, ("v",)).get("v")
        if name not in ASSETS:
            raise RouteNotFound
        asset = ASSETS[name].read()
        return file_response(request, asset, FOREVER if version == asset.version else REVALIDATED)


def file_response(request: AnyRequest, asset: Asset, caching: str) -> Response[bytes]:
    """Return a file of ours, or 304 when the client has it."""
    headers = {"ETag": f'"{asset.version}"', "Cache-Control": caching}
    if preconditions.is_known(request.headers.get("if-none-match"), headers["ETag"]):
        return Ready(b"", status_code=304, headers=headers)
    if request.scope["method"] == HttpMethod.HEAD:
        headers["Content-Length"] = str(len(asset.content))
        return Ready(b"", headers=headers, media_type=asset.media_type)
    return Ready(asset.content, headers=headers, media_type=asset.media_type)
