"""Who asks: the principal of the request's bearer token (RFC 6750)."""

from collections.abc import Iterable

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from service.access.principals import ANONYMOUS, Principal
from service.access.tokens import Tokens
from service.errors import TokenInvalid
from service.identity.revocations import Revocations


class PrincipalMiddleware(ASGIMiddleware):
    """Puts `principal` into the request's state, and `token_failure` if a token was sent that is not valid.

    Such a request goes on as an anonymous one, so that it is counted by its address; the guard TokenIsValid
    then answers it.
    """

    scopes = (ScopeType.HTTP, ScopeType.WEBSOCKET)

    def __init__(self, tokens: Tokens, revocations: Revocations) -> None:
        self._tokens = tokens
        self._revocations = revocations

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Read the token and pass the request on."""
        state = scope.setdefault("state", {})
        state.pop("token_failure", None)
        try:
            state["principal"] = self._principal(scope["headers"])
        except TokenInvalid as failure:
            state["principal"] = ANONYMOUS
            state["token_failure"] = failure
        await next_app(scope, receive, send)

    def _principal(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal:
        values = [value for name, value in headers if name.lower() == b"authorization"]
        if not values:
            return ANONYMOUS
        if len(values) > 1:
            raise TokenInvalid("Send one Authorization header, not several")
        scheme, _, token = values[0].decode("latin-1").strip().partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise TokenInvalid("The Authorization header must be `Bearer <access token>`")
        found = self._tokens.read(token.strip())
        if self._revocations.covers(found):
            raise TokenInvalid("The access token is no longer valid", hint="Sign in again to get a new one.")
        return found
