"""The JavaScript module by which pages follow changes, from a file of our own."""

from pathlib import Path

from litestar import Controller, Response

from service.http.contract.operations import Described
from service.http.contract.page import File
from service.http.controllers.openapi import REVALIDATED, file_response
from service.http.guards import IGNORES_TOKEN
from service.http.requests import AnyRequest, only_parameters
from service.http.routing import get

MODULE = File(Path(__file__).parent / "sheaf.js", "text/javascript")


class ClientController(Controller):
    """`/sheaf.js`."""

    path = "/sheaf.js"
    opt = {IGNORES_TOKEN: True}

    @get("/", operation=Described.NOWHERE)
    async def get_module(self, request: AnyRequest) -> Response[bytes]:
        """Return the module; pages on other origins may load it in whatever way."""
        only_parameters(request)
        answer = file_response(request, MODULE.read(), REVALIDATED)
        answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return answer
