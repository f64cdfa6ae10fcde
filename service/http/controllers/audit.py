"""The audit log, for administrators; it can only be read."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from litestar import Controller, Response
from litestar.di import NamedDependency
from pydantic import Field

from models.audit_event import AuditEvent as StoredEvent
from service.documents.listing import Listing
from service.http import bodies
from service.http.bodies import Page, ResponseBody
from service.http.contract.operations import FILTER, Answer, Operation
from service.http.guards import FOR_API_KEYS, HasRole
from service.http.requests import AnyRequest, json_response, parameters_of
from service.http.routing import get
from service.http.services import Services
from service.kit.errors import Forbidden
from service.query import SortKey
from service.query.parameters import repeated

_TEXT = {"type": "string"}
_OPTIONAL = {"type": ["string", "null"]}
_TARGET = {"kind": _TEXT, "id": _OPTIONAL}

LISTING = Listing.of(
    StoredEvent,
    {
        "at": {"type": "string", "format": "date-time"},
        "action": _TEXT,
        "actor": {
            "type": "object",
            "properties": {**_TARGET, "key_id": _OPTIONAL},
            "additionalProperties": False,
        },
        "target": {"type": "object", "properties": _TARGET, "additionalProperties": False},
        "address": _OPTIONAL,
        "request_id": _OPTIONAL,
    },
    order=(SortKey(("at",), is_descending=True),),
)
"""What events may be filtered and sorted by; the newest first, unless a request says otherwise."""


class AuditActor(ResponseBody):
    """Who did it."""

    kind: str
    id: str | None
    key_id: str | None


class AuditTarget(ResponseBody):
    """To what."""

    kind: str
    id: str | None


class AuditEvent(ResponseBody):
    """Something that was done."""

    id: str
    at: datetime
    action: Annotated[str, Field(description="What was done, such as `user.disabled`.")]
    actor: AuditActor
    target: AuditTarget
    details: dict[str, Any]
    address: str | None
    request_id: str | None

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> "AuditEvent":
        """Return what administrators see of a stored event."""
        return cls(
            id=str(event["_id"]),
            at=event["at"],
            action=event["action"],
            actor=event["actor"],
            target=event["target"],
            details=event["details"],
            address=event.get("address"),
            request_id=event.get("request_id"),
        )


class AuditEventPage(Page[AuditEvent]):
    """One page of events."""


class AuditController(Controller):
    """`/api/audit`."""

    path = "/api/audit"
    opt = {FOR_API_KEYS: "audit"}
    guards = [HasRole("admin")]

    @get(
        "/",
        operation=Operation(
            id="listAuditEvents",
            tag="Administration",
            summary="One page of the audit log, newest first",
            answers=(Answer(200, "One page.", AuditEventPage, optional_headers=("Link",)),),
            failures=(Forbidden,),
            parameters=(FILTER, "sort", "page", "limit", "cursor", "count"),
        ),
    )
    async def list_events(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Return one page of events, newest first unless `sort` says otherwise."""
        parameters = parameters_of(request)
        page = await LISTING.page(parameters, services.cursors)
        body = AuditEventPage.of(page, map(AuditEvent.of, page.documents))
        return json_response(body.to_json(), headers=bodies.links_around(request, repeated(parameters), page))
