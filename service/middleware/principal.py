"""Who asks: the principal of the request's bearer token or API key (RFC 6750), or of a browser's cookie."""

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send
from litestar.types.asgi_types import WebSocketReceiveMessage
from pymongo.errors import PyMongoError

from service import problems
from service.access import key_texts
from service.access.browsers import SAFE_METHODS, Browsers
from service.access.principals import ANONYMOUS, Principal
from service.access.tokens import Tokens
from service.errors import CrossSite, DatabaseUnavailable, Failure, TokenInvalid, TokenOutdated, Unavailable
from service.guards import IGNORES_TOKEN
from service.identity.key_bearers import KeyBearers
from service.identity.revocations import Revocations


class PrincipalMiddleware(ASGIMiddleware):
    """Puts `principal` into the request's state, and `token_failure` if a token was sent that is not valid.

    What begins with `sheaf_` is an API key. While the database is away, keys that are not known yet are 503;
    so are all tokens once it is not known for too long which of them have been revoked.
    The cookie counts without an Authorization header only. By cookie, whatever may change something has to
    show that a page of our own sends it; a WebSocket, which cannot, has no principal.

    Such a request goes on as an anonymous one, so that it is counted by its address; the guard TokenIsValid
    then answers it. What is revoked while the body comes in is not believed any more either.
    """

    scopes = (ScopeType.HTTP, ScopeType.WEBSOCKET)

    def __init__(
        self, tokens: Tokens, keys: KeyBearers, revocations: Revocations, browsers: Browsers
    ) -> None:
        self._tokens = tokens
        self._keys = keys
        self._revocations = revocations
        self._browsers = browsers

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Read the token and pass the request on."""
        state = scope.setdefault("state", {})
        state.pop("token_failure", None)
        try:
            state["principal"] = await self._principal(scope)
        except (TokenInvalid, CrossSite, Unavailable, PyMongoError) as error:
            state["principal"] = ANONYMOUS
            state["token_failure"] = _failure(error)
        is_watched = scope["type"] == ScopeType.HTTP and state["principal"].is_signed_in
        await next_app(scope, self._watched(scope, receive) if is_watched else receive, send)

    def _watched(self, scope: Scope, receive: Receive) -> Receive:
        """Give a `receive` that raises once what the caller sent is revoked: a body may take long to come."""
        state = scope["state"]

        async def receive_believed() -> HTTPReceiveMessage | WebSocketReceiveMessage:
            message = await receive()
            is_revoked = message["type"] == "http.request" and self._revocations.covers(state["principal"])
            if is_revoked and not _ignores_token(scope):
                state["principal"] = await self._principal(
                    scope
                )  # raises, but for a key whose owner has changed
            return message

        return receive_believed

    async def _principal(self, scope: Scope) -> Principal:
        values = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
        if not values:
            return self._of_cookie(scope)
        if len(values) > 1:
            raise TokenInvalid("Send one Authorization header, not several")
        scheme, _, token = values[0].decode("latin-1").strip().partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise TokenInvalid("The Authorization header must be `Bearer <access token>`")
        token = token.strip()
        if token.startswith(key_texts.PREFIX):
            return await self._keys.read(token, _address(scope))
        return self._of_token(token)

    def _of_token(self, token: str) -> Principal:
        found = self._tokens.read(token)
        if self._revocations.covers(found):
            raise TokenOutdated(found.session_id)
        if not self._revocations.is_current:
            raise DatabaseUnavailable("Whether the access token is still valid cannot be told for now")
        return found

    def _of_cookie(self, scope: Scope) -> Principal:
        headers = scope["headers"]
        token = self._browsers.access_token(headers) if scope["type"] == ScopeType.HTTP else None
        if not token:
            return ANONYMOUS
        found = self._of_token(token)
        if scope.get("method") not in SAFE_METHODS:
            self._browsers.check(headers, scope["scheme"], found.session_id or "")
        return found


def _ignores_token(scope: Scope) -> bool:
    handler = scope.get("route_handler")
    return handler is not None and bool(handler.opt.get(IGNORES_TOKEN))


def _address(scope: Scope) -> str | None:
    client = scope.get("client")
    address: str | None = scope["state"].get("client_address")
    return address or (client[0] if client else None)


def _failure(error: Exception) -> Failure:
    """Give the failure of a token; raises what is a fault of ours."""
    failure = problems.translate(error)
    if isinstance(failure, TokenInvalid | CrossSite | Unavailable):
        return failure
    raise error
