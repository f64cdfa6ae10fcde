"""The pages that links in mails lead to where there is no front end; to open one changes nothing.

The link's token is in its fragment, which browsers send to no server: it is in no log and no `Referer`. A
script of ours takes it from there and sends it by POST, when the visitor says so: programs that open links,
as mail scanners do, use none up.
"""

from collections.abc import Mapping
from pathlib import Path

from litestar import Controller, Response
from litestar.params import FromPath

from service.http.contract.operations import Described
from service.http.contract.page import File
from service.http.controllers.openapi import REVALIDATED, file_response
from service.http.guards import IGNORES_TOKEN
from service.http.requests import AnyRequest
from service.http.routing import get
from service.kit.errors import RouteNotFound

OWN = Path(__file__).parent

FILES: Mapping[str, File] = {
    "reset-password": File(OWN / "reset-password.html", "text/html"),
    "verify-email": File(OWN / "verify-email.html", "text/html"),
    "page.css": File(OWN / "page.css", "text/css"),
    "page.js": File(OWN / "page.js", "text/javascript"),
}
"""The files by the names that they have under `/auth/`."""


class MailPagesController(Controller):
    """`/auth/reset-password` and `/auth/verify-email`, from files of our own."""

    path = "/auth"
    opt = {IGNORES_TOKEN: True}

    @get("/{name:str}", operation=Described.NOWHERE)
    async def show(self, request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
        """Return a page, or a file that it needs; whatever a mail program has put behind the path."""
        if name not in FILES:
            raise RouteNotFound
        return file_response(request, FILES[name].read(), REVALIDATED)
