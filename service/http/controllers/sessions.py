"""Keeping a session alive, ending it, and seeing where one is signed in."""

from datetime import datetime
from typing import Annotated, Literal

from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.params import FromPath
from pydantic import Field

from models.session import Session as StoredSession
from service.access.principals import Principal
from service.http import problems
from service.http.audit_context import audit_context, client_of
from service.http.bodies import Data, ResponseBody
from service.http.contract.operations import Answer, Operation, in_path, json_body, query
from service.http.controllers import signing_in
from service.http.guards import IGNORES_TOKEN, SignedIn, principal, signed_in
from service.http.requests import (
    AnyRequest,
    body_of,
    json_of,
    json_response,
    only_parameters,
)
from service.http.routing import delete, get, post
from service.http.services import Services, services_of
from service.identity.core.browsers import csrf_header
from service.identity.core.sessions import MAXIMUM_TOKEN_CHARACTERS
from service.kit import forms
from service.kit.errors import (
    CrossSite,
    Failure,
    Forbidden,
    ParameterInvalid,
    SessionEnded,
    SessionNotFound,
    TokenInvalid,
    TokenOutdated,
)
from service.kit.forms import Form

KEEP = "keep"
PRESENT = "present"


class RefreshForm(Form):
    """A refresh token, from a client that keeps its tokens by itself."""

    refresh_token: str = Field(max_length=MAXIMUM_TOKEN_CHARACTERS)


EXAMPLE = {
    "id": "pZ0bUoX9J8LrYk1oY2vFqA",
    "is_present": True,
    "mode": "bearer",
    "device": "Sheaf-App/3.1 (iPhone)",
    "address": "203.0.113.7",
    "created_at": "2026-11-22T12:00:00.000Z",
    "last_used_at": "2026-11-22T12:00:00.000Z",
    "expires_at": "2026-12-22T12:00:00.000Z",
}
_ENDED = Answer(204, "It is done.")
_TOKEN = json_body(RefreshForm, {"refresh_token": "pZ…"})


class Session(ResponseBody):
    """A sign-in on a device."""

    id: str
    is_present: Annotated[bool, Field(description="Whether it is the one that asks.")]
    mode: Literal["bearer", "cookie"]
    device: Annotated[str | None, Field(description="The `User-Agent` at the last use.")]
    address: Annotated[str | None, Field(description="The address at the last use.")]
    created_at: datetime
    last_used_at: Annotated[datetime, Field(description="When it was refreshed last.")]
    expires_at: Annotated[datetime, Field(description="When it ends unless it is refreshed.")]

    @classmethod
    def of(cls, stored: StoredSession, caller: Principal) -> "Session":
        """Return what its user sees of a session; its id is in its own access tokens, and no secret."""
        return cls.of_stored(stored, is_present=stored.id == caller.session_id)


class RefreshController(Controller):
    """`/api/auth/refresh`: new tokens for a refresh token."""

    path = "/api/auth/refresh"
    opt = {IGNORES_TOKEN: True}

    @post(
        "/",
        status_code=200,
        operation=Operation(
            id="refresh",
            tag="Sessions",
            summary="Get new tokens for a refresh token",
            description="Without a body the token is that of the browser's cookie.",
            answers=(
                Answer(
                    200,
                    "The new tokens; the old ones are used up.",
                    Data[signing_in.Grant | signing_in.BrowserGrant],
                    example=signing_in.EXAMPLE,
                ),
            ),
            failures=(SessionEnded, CrossSite),
            bodies=_TOKEN,
            needs_body=False,
            access="anyone",
        ),
    )
    async def refresh(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Exchange the refresh token of the body, or without a body that of the browser's cookie."""
        only_parameters(request)
        audit = audit_context(request)
        presented = await _presented(request)
        if presented is not None:
            user, opened = await services.refreshing.refresh(presented, client_of(request), audit)
            return signing_in.granted(request, user, opened, "bearer")
        headers = request.scope["headers"]
        browsers = services.browsers
        browsers.check_origin(headers, request.scope["scheme"])
        try:
            kept = browsers.refresh_token(headers) or ""
            client = client_of(request, "cookie")
            user, opened = await services.refreshing.refresh(kept, client, audit, csrf_header(headers))
        except SessionEnded as failure:
            return signing_in.forget(request, problems.response(request, failure))
        return signing_in.granted(request, user, opened, "cookie")


class LogoutController(Controller):
    """`/api/auth/logout`: the end of a session."""

    path = "/api/auth/logout"
    opt = {IGNORES_TOKEN: True}

    @post(
        "/",
        status_code=204,
        operation=Operation(
            id="logout",
            tag="Sessions",
            summary="Sign out",
            description="Of the session of the body's refresh token, of the access token, or of the cookies.",
            answers=(Answer(204, "The session has ended, if there was one."),),
            failures=(TokenInvalid, CrossSite, Forbidden),
            bodies=_TOKEN,
            needs_body=False,
            access="optional",
        ),
    )
    async def logout(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[None]:
        """End the session of the refresh token, the access token or the cookies; again, nothing happens."""
        only_parameters(request)
        session_id = await _session_to_end(request)
        if session_id is not None:
            await services.signing_out.end(audit_context(request), session_id)
        return signing_in.forget(request, Response(None, status_code=204))


class SessionsController(Controller):
    """`/api/auth/sessions`: where the caller is signed in."""

    path = "/api/auth/sessions"
    guards = [SignedIn()]

    @get(
        "/",
        operation=Operation(
            id="listSessions",
            tag="Sessions",
            summary="Where the caller is signed in",
            answers=(
                Answer(
                    200,
                    "The sessions, last used first.",
                    Data[list[Session]],
                    example={"data": [EXAMPLE]},
                ),
            ),
            failures=(Forbidden,),
        ),
    )
    async def list_sessions(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Return the caller's sessions, that which was used last first."""
        only_parameters(request)
        caller = _with_session(request)
        found = await services.sessions.of_user(str(caller.id))
        body = Data.of([Session.of(each, caller) for each in found])
        return json_response(body.to_json(), headers=signing_in.NOT_STORED)

    @delete(
        "/",
        status_code=204,
        operation=Operation(
            id="endSessions",
            tag="Sessions",
            summary="Sign out everywhere",
            answers=(_ENDED,),
            failures=(Forbidden,),
            parameters=(
                query(
                    KEEP,
                    "`present` spares the session that asks.",
                    {"enum": [PRESENT]},
                    required=False,
                ),
            ),
        ),
    )
    async def end_sessions(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[None]:
        """End all sessions of the caller; `keep=present` spares the one that asks."""
        kept = only_parameters(request, (KEEP,)).get(KEEP)
        if kept not in {None, PRESENT}:
            raise ParameterInvalid(f"`{KEEP}` can only be `{PRESENT}`")
        caller = _with_session(request)
        await services.signing_out.end_all(audit_context(request), caller, keeps_present=kept is not None)
        answer: Response[None] = Response(None, status_code=204)
        return answer if kept else signing_in.forget(request, answer)


class SessionController(Controller):
    """`/api/auth/sessions/{id}`: one of the caller's sessions."""

    path = "/api/auth/sessions/{session_id:str}"
    guards = [SignedIn()]

    @delete(
        "/",
        status_code=204,
        operation=Operation(
            id="endSession",
            tag="Sessions",
            summary="Sign out one device",
            answers=(_ENDED,),
            failures=(Forbidden, SessionNotFound),
            parameters=(in_path("session_id", "The session's id.", EXAMPLE["id"]),),
        ),
    )
    async def end_session(
        self, request: AnyRequest, session_id: FromPath[str], services: NamedDependency[Services]
    ) -> Response[None]:
        """End one of the caller's sessions; somebody else's is one that is not there."""
        only_parameters(request)
        caller = _with_session(request)
        if not await services.signing_out.end(audit_context(request), session_id, str(caller.id)):
            raise SessionNotFound
        answer: Response[None] = Response(None, status_code=204)
        return signing_in.forget(request, answer) if session_id == caller.session_id else answer


async def _presented(request: AnyRequest) -> str | None:
    """Return the refresh token of the body; None without a body. Raises DocumentInvalid and its kin."""
    if not await body_of(request):
        return None
    return forms.read(RefreshForm, await json_of(request)).refresh_token


async def _session_to_end(request: AnyRequest) -> str | None:
    """Find the session that a request is to end, by whatever shows that it is the caller's.

    A refresh token that is not valid shows nothing (RFC 7009, 2.2), an access token that was revoked does.
    Raises TokenInvalid for one that has expired, since the client has to know that nothing ended; CrossSite.
    """
    refreshing = services_of(request).refreshing
    presented = await _presented(request)
    if presented is not None:
        return await refreshing.session_of(presented)
    headers, scheme = request.scope["headers"], request.scope["scheme"]
    browsers = services_of(request).browsers
    if "authorization" not in request.headers and browsers.are_with(headers):
        browsers.check_origin(headers, scheme)
        kept = browsers.refresh_token(headers)
        shown = None if kept is None else await refreshing.session_of(kept)
        if shown is not None:
            browsers.check(headers, scheme, shown)
            return shown
    failure: Failure | None = request.scope["state"].get("token_failure")
    if isinstance(failure, TokenOutdated):
        return failure.session_id
    caller = _with_session(request) if "authorization" in request.headers else principal(request)
    return caller.session_id


def _with_session(request: AnyRequest) -> Principal:
    """Return the caller, who must be in a session; raises SignInRequired, TokenInvalid, Forbidden."""
    caller = signed_in(request)
    if caller.session_id is None:
        raise Forbidden("This is for those who signed in; an API key has no session")
    return caller
