"""Who asks and from where, for the audit log and for sessions."""

from service.audit import Actor, AuditContext
from service.http.guards import principal
from service.http.pipeline.client_address import limited_address
from service.http.requests import AnyRequest
from service.http.services import services_of
from service.identity.core.browsers import Mode
from service.identity.core.sessions import Client


def address_of(request: AnyRequest) -> str | None:
    """Return the client's address, as a trusted proxy may have told it."""
    address: str | None = request.scope["state"].get("client_address")
    return address or (request.client.host if request.client else None)


def client_network(request: AnyRequest) -> str | None:
    """Return what the client's guesses are counted under: its address, for IPv6 its /64."""
    address = address_of(request)
    return None if address is None else limited_address(address)


def client_of(request: AnyRequest, mode: Mode = "bearer") -> Client:
    """Return the client that a session is opened for."""
    return Client(address=address_of(request), device=request.headers.get("user-agent"), mode=mode)


def audit_context(request: AnyRequest) -> AuditContext:
    """Return the context in which the audit log notes what this request's caller does."""
    caller = principal(request)
    actor = Actor(
        kind=caller.kind,
        id=caller.id,
        key_id=caller.key_id,
        address=address_of(request),
        request_id=request.scope["state"].get("request_id"),
    )
    return AuditContext(actor, services_of(request).audit_ttl_s)
