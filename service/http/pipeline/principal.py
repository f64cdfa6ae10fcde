"""Who asks: the principal of the request's bearer token or API key (RFC 6750), or of a browser's cookie."""

from collections.abc import Awaitable
from typing import Any

from litestar.types import Receive, Scope

from service.access.principals import ANONYMOUS, Principal
from service.http import problems
from service.http.bearers import Bearers
from service.http.guards import IGNORES_TOKEN
from service.http.pipeline.step import Exchange, Received, Step
from service.http.websockets import OF_HTTP, token_of
from service.identity.api_keys import KeyBearers
from service.identity.core.browsers import SAFE_METHODS, Browsers
from service.identity.core.revocations import Revocations
from service.identity.core.tokens import Tokens
from service.kit.errors import (
    CrossSite,
    Failure,
    TokenInvalid,
    Unavailable,
)
from service.storage.errors import DatabaseError


class PrincipalMiddleware(Step):
    """Puts `principal` into the request's state, and `token_failure` if a token was sent that is not valid.

    What begins with `sheaf_` is an API key. While the database is away, keys that are not known yet are 503;
    so are all tokens once it is not known for too long which of them have been revoked.
    The cookie counts without an Authorization header only. By cookie, whatever may change something has to
    show that a page of our own sends it, and so has a WebSocket, over which anything may follow. That may
    bring its token as a subprotocol.

    Such a request goes on as an anonymous one, so that it is counted by its address; the guard TokenIsValid
    then answers it. What is revoked while the body comes in is not believed any more either.
    """

    kinds = ("http", "websocket")

    def __init__(
        self, tokens: Tokens, keys: KeyBearers, revocations: Revocations, browsers: Browsers
    ) -> None:
        self._bearers = Bearers(tokens, keys, revocations)
        self._revocations = revocations
        self._browsers = browsers

    def enter(self, exchange: Exchange) -> Awaitable[None] | None:
        """Read the token."""
        state = exchange.state
        state.pop("token_failure", None)
        try:
            found = self._principal(exchange)
        except (TokenInvalid, CrossSite, Unavailable) as error:
            _note_failure(state, error)
            return None
        if isinstance(found, Principal):
            state["principal"] = found
            return None
        return self._read_key(state, found)

    def receiving(self, exchange: Exchange, receive: Receive) -> Receive:
        """Raise once what the caller sent is revoked: a body may take long to come."""
        state = exchange.state

        async def receive_believed() -> Received:
            message = await receive()
            is_revoked = message["type"] == "http.request" and self._revocations.covers(state["principal"])
            if is_revoked and not _ignores_token(exchange.scope):
                found = self._principal(exchange)  # raises, but for a key whose owner has changed
                state["principal"] = found if isinstance(found, Principal) else await found
            return message

        is_http = exchange.kind == "http"
        return receive_believed if is_http and state["principal"].is_signed_in else receive

    async def _read_key(self, state: dict[str, Any], reading: Awaitable[Principal]) -> None:
        try:
            state["principal"] = await reading
        except (TokenInvalid, Unavailable, DatabaseError) as error:
            _note_failure(state, error)

    def _principal(self, exchange: Exchange) -> Principal | Awaitable[Principal]:
        """Return who asks; for an API key, an awaitable of it."""
        if exchange.header(b"authorization") is None:
            offered = None if exchange.kind == "http" else token_of(exchange.scope)
            if offered is not None:
                return self._bearers.read(offered, _address(exchange))
            return self._of_cookie(exchange)
        values = [value for name, value in exchange.scope["headers"] if name == b"authorization"]
        if len(values) > 1:
            raise TokenInvalid("Send one Authorization header, not several")
        scheme, _, token = values[0].decode("latin-1").strip().partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise TokenInvalid("The Authorization header must be `Bearer <access token>`")
        return self._bearers.read(token.strip(), _address(exchange))

    def _of_cookie(self, exchange: Exchange) -> Principal:
        if exchange.header(b"cookie") is None:
            return ANONYMOUS
        headers = exchange.scope["headers"]
        token = self._browsers.access_token(headers)
        if not token:
            return ANONYMOUS
        if exchange.kind != "http":
            self._browsers.check_origin(headers, OF_HTTP.get(exchange.scope["scheme"], "http"))
            return self._bearers.read_token(token)
        found = self._bearers.read_token(token)
        if exchange.method not in SAFE_METHODS:
            self._browsers.check(headers, exchange.scope["scheme"], found.session_id or "")
        return found


def _ignores_token(scope: Scope) -> bool:
    handler = scope.get("route_handler")
    return handler is not None and bool(handler.opt.get(IGNORES_TOKEN))


def _address(exchange: Exchange) -> str | None:
    client = exchange.scope.get("client")
    address: str | None = exchange.state.get("client_address")
    return address or (client[0] if client else None)


def _note_failure(state: dict[str, Any], error: Exception) -> None:
    state["principal"] = ANONYMOUS
    state["token_failure"] = _failure(error)


def _failure(error: Exception) -> Failure:
    """Return the failure of a token; raises what is a fault of ours."""
    failure = problems.translate(error)
    if isinstance(failure, TokenInvalid | CrossSite | Unavailable):
        return failure
    raise error
