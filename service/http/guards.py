"""Guards: whether a caller may use an endpoint at all, asked before its handler runs."""

import re
from abc import ABC, abstractmethod
from typing import Any, Literal

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Scope

from service.access import scopes
from service.access.principals import ANONYMOUS, Principal
from service.access.rules import Verb
from service.documents.access import Access
from service.http.pipeline.headers import FIRST_VALUES, text_of
from service.http.services import services_of
from service.kit.errors import Failure, Forbidden, RequestInvalid, SignInRequired

IGNORES_TOKEN = "ignores_token"  # noqa: S105  # the name of a handler's option, not a secret
"""Handlers with this option, such as signing in, take who has a bad token, or an API key, for nobody."""

TAKES_KEY = "takes_key"
"""Handlers' functions with this attribute heed an `Idempotency-Key`, or have nothing to do twice."""

FOR_API_KEYS = "for_api_keys"
"""Handlers with this option may be called with an API key; without it they are for people's sessions alone.

True where all that they do asks the rules, and with them the key's scopes; else the name of the area that the
key's scopes must name (`scopes.AREAS`).
"""

ACCESS = "access"
"""The name in a request's state of the caller's `Access` to the path's collection, which `MayAct` makes."""

READING = frozenset({"GET", "HEAD"})

KEYED_METHODS = frozenset({"POST", "PATCH"})
"""The methods that repeat their effect when repeated (RFC 9110, 9.2.2; RFC 5789)."""

Connection = ASGIConnection[Any, Any, Any, Any]


class Guard(ABC):
    """Asks whether a caller may use an endpoint; none has to wait for that.

    Litestar takes coroutines for guards, and runs others in a thread, which costs more than all that they do;
    our own routes ask by `check`.
    """

    @abstractmethod
    def check(self, connection: Connection, handler: BaseRouteHandler) -> None:
        """Raise the failure that refuses the caller."""

    async def __call__(self, connection: Connection, handler: BaseRouteHandler) -> None:
        """Raise what `check` raises."""
        self.check(connection, handler)


class TokenIsValid(Guard):
    """Refuses a bad token on every endpoint, also where none is needed: silence would hide the mistake."""

    def check(self, connection: Connection, handler: BaseRouteHandler) -> None:
        """Raise the failure of the request's token, if there was one and the handler does not ignore it."""
        failure: Failure | None = connection.scope["state"].get("token_failure")
        if failure is not None and not handler.opt.get(IGNORES_TOKEN):
            raise failure


class KeyHasEffect(Guard):
    """Refuses an `Idempotency-Key` where it would be ignored: the client would repeat what it must not."""

    def check(self, connection: Connection, handler: BaseRouteHandler) -> None:
        """Raise RequestInvalid for a key on a POST or PATCH that does not heed it."""
        scope = connection.scope
        if scope.get("method") not in KEYED_METHODS or text_of(scope, b"idempotency-key") is None:
            return
        if not getattr(getattr(handler.fn, "func", handler.fn), TAKES_KEY, False):
            raise RequestInvalid(
                "Idempotency-Key is not heeded at this address",
                hint="Leave it out, and look before you repeat the request.",
            )


class KeyMayCall(Guard):
    """Refuses API keys wherever nothing says that they may call: what is new is closed to them."""

    def check(self, connection: Connection, handler: BaseRouteHandler) -> None:
        """Raise Forbidden for an API key on an endpoint that is not for keys, or not in its scopes."""
        caller = principal(connection)
        if caller.kind != "key":
            return
        if handler.opt.get(IGNORES_TOKEN):
            connection.scope["state"]["principal"] = ANONYMOUS
            return
        area = handler.opt.get(FOR_API_KEYS)
        if area is None:
            raise Forbidden("An API key cannot be used here", hint="Sign in, and use the access token.")
        use: Literal["read", "write"] = "read" if connection.scope.get("method") in READING else "write"
        if area is not True and not scopes.cover_area(caller, area, use):
            raise scopes.lacking(f"{area}:{use}")


class MayEnter(Guard):
    """Asks what is asked on every endpoint, as one guard: for each, Litestar copies the handler anew."""

    _guards = (TokenIsValid(), KeyMayCall(), KeyHasEffect())

    def check(self, connection: Connection, handler: BaseRouteHandler) -> None:
        """Raise what the guards raise."""
        for guard in self._guards:
            guard.check(connection, handler)


class SignedIn(Guard):
    """Lets signed-in callers pass."""

    def check(self, connection: Connection, _: BaseRouteHandler) -> None:
        """Raise SignInRequired, or the failure of the token that was sent."""
        signed_in(connection)


class HasRole(Guard):
    """Lets callers with a role pass, and administrators."""

    def __init__(self, role: str) -> None:
        self._role = role

    def check(self, connection: Connection, _: BaseRouteHandler) -> None:
        """Raise Forbidden for other signed-in callers, SignInRequired for anonymous ones."""
        principal = signed_in(connection)
        if self._role not in principal.roles and not principal.is_admin:
            raise Forbidden(f"This needs the role `{self._role}`")


class MayAct(Guard):
    """Lets callers pass whom the rules of the path's collection allow a verb, if only on some documents."""

    def __init__(self, verb: Verb) -> None:
        self._verb = verb

    def check(self, connection: Connection, _: BaseRouteHandler) -> None:
        """Raise CollectionNotFound, Forbidden, or SignInRequired when signing in might help."""
        scope = connection.scope
        collection = services_of(connection).registry.get(scope["path_params"]["collection"])
        access = Access(collection, principal(connection))
        access.permit(self._verb)
        scope["state"][ACCESS] = access


class MayRead(MayAct):
    """Lets callers pass as `MayAct` does, by the rule for `watch` where a request is for a stream."""

    def check(self, connection: Connection, handler: BaseRouteHandler) -> None:
        """Raise what `MayAct` raises."""
        if wants_stream(connection.scope):
            WATCHING.check(connection, handler)
        else:
            super().check(connection, handler)


WATCHING = MayAct("watch")


def wants_stream(scope: Scope) -> bool:
    """Return whether a request is for a stream of events: one of the types that it accepts, by its name."""
    accepted: bytes | None = scope["state"][FIRST_VALUES].get(b"accept")
    return accepted is not None and b"event-stream" in accepted.lower() and accepts_stream(accepted)


def accepts_stream(accepted: bytes) -> bool:
    """Return whether `Accept` names streams of events, and does not refuse them.

    >>> accepts_stream(b"application/json, Text/Event-Stream;q=0.5"), accepts_stream(b"*/*")
    (True, False)
    >>> accepts_stream(b"text/event-stream;q=0.0")
    False
    """
    for each in accepted.lower().split(b","):
        name, *parameters = [part.strip() for part in each.split(b";")]
        if name == b"text/event-stream":
            return not any(_REFUSED.fullmatch(parameter) for parameter in parameters)
    return False


_REFUSED = re.compile(rb"q\s*=\s*0(\.0*)?")


def access_of(connection: Connection) -> Access:
    """Return the caller's access to the path's collection, on endpoints that `MayAct` guards."""
    access: Access = connection.scope["state"][ACCESS]
    return access


def principal(connection: Connection) -> Principal:
    """Return the principal of a request."""
    found: Principal = connection.scope["state"].get("principal", ANONYMOUS)
    return found


def signed_in(connection: Connection) -> Principal:
    """Return the signed-in caller; raises SignInRequired, or the failure of the token that was sent."""
    failure: Failure | None = connection.scope["state"].get("token_failure")
    if failure is not None:
        raise failure
    caller = principal(connection)
    if not caller.is_signed_in:
        raise SignInRequired
    return caller
