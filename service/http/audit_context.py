"""Who asks and from where, for the audit log and for sessions."""

from service.audit import Actor, Trail
from service.http.guards import principal
from service.http.pipeline.client_address import limited_address
from service.http.requests import AnyRequest
from service.http.services import services_of
from service.identity.core.browsers import Mode
from service.identity.core.sessions import Client


def address_of(request: AnyRequest) -> str | None:
    """Give the client's address, which a trusted proxy may have told."""
    address: str | None = request.scope["state"].get("client_address")
    return address or (request.client.host if request.client else None)


def place_of(request: AnyRequest) -> str | None:
    """Give the address that the client's guesses are counted under, as its requests are: for IPv6 the /64."""
    address = address_of(request)
    return None if address is None else limited_address(address)


def client_of(request: AnyRequest, mode: Mode = "bearer") -> Client:
    """Give where somebody signs in from."""
    return Client(address=address_of(request), device=request.headers.get("user-agent"), mode=mode)


def trail_of(request: AnyRequest) -> Trail:
    """Give where what this request's caller does is noted."""
    caller = principal(request)
    actor = Actor(
        kind=caller.kind,
        id=caller.id,
        key_id=caller.key_id,
        address=address_of(request),
        request_id=request.scope["state"].get("request_id"),
    )
    return Trail(actor, services_of(request).audit_ttl_s)
