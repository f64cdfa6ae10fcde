"""The audit log, for administrators; it can only be read."""

from litestar import Controller, Response
from litestar.enums import HttpMethod

from service.documents import encoding
from service.http import links
from service.http.controllers import audit_listing
from service.http.guards import FOR_API_KEYS, HasRole
from service.http.requests import AnyRequest, json_response, parameters_of
from service.http.routing import route
from service.query.parameters import repeated


class AuditController(Controller):
    """`/api/audit`."""

    path = "/api/audit"
    opt = {FOR_API_KEYS: "audit"}
    guards = [HasRole("admin")]

    @route("/", http_method=[HttpMethod.GET, HttpMethod.HEAD])
    async def list_events(self, request: AnyRequest) -> Response[bytes]:
        """Give one page of events, newest first unless `sort` says otherwise."""
        parameters = parameters_of(request)
        page = await audit_listing.LISTING.page(parameters, request.app.state.cursors)
        content = encoding.list_bytes(map(audit_listing.view, page.documents), page)
        return json_response(content, headers=links.around(request, repeated(parameters), page))
