"""Operations on sessions: keeping one alive, ending it, listing them."""

from typing import Any

from service.http.contract.forms import closed, of_form
from service.http.contract.names import reference
from service.http.contract.operations import JSON, Answer, Body, Operation, data
from service.identity.forms.session_bodies import RefreshForm
from service.kit.errors import (
    CrossSite,
    DocumentInvalid,
    Forbidden,
    ParameterInvalid,
    SessionEnded,
    SessionNotFound,
    SignInRequired,
    TokenInvalid,
)

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_NULLABLE: Schema = {"type": ["string", "null"]}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_NO_CONTENT = Answer(204, "It is done.")

GRANTED = [reference("Grant"), reference("BrowserGrant")]
"""What signing in and refreshing are answered with, by the way in which the client keeps its tokens."""

USER = {
    "id": "5eb7cf5a86d9755df3a6c593",
    "email": "ada@example.com",
    "is_email_verified": True,
    "name": "Ada",
    "roles": ["editor"],
    "_version": 1,
    "_created_at": "2026-11-22T12:00:00.000Z",
    "_updated_at": "2026-11-22T12:00:00.000Z",
}
GRANT = {
    "access_token": "eyJ…",
    "token_type": "Bearer",
    "refresh_token": "pZ…",
    "expires_in": 900,
    "user": USER,
}
_SESSION = {
    "id": "pZ0bUoX9J8LrYk1oY2vFqA",
    "is_present": True,
    "mode": "bearer",
    "device": "Sheaf-App/3.1 (iPhone)",
    "address": "203.0.113.7",
    "created_at": "2026-11-22T12:00:00.000Z",
    "last_used_at": "2026-11-22T12:00:00.000Z",
    "expires_at": "2026-12-22T12:00:00.000Z",
}


def schemas() -> dict[str, Schema]:
    """Give the schemas of these operations' bodies and answers."""
    expires_in: Schema = {"type": "integer", "description": "Seconds until the access token expires."}
    grant: dict[str, Schema] = {
        "access_token": {"type": "string", "description": "For `Authorization: Bearer …`."},
        "token_type": {"const": "Bearer"},
        "refresh_token": {"type": "string", "description": "For `POST /api/auth/refresh`, once."},
        "expires_in": expires_in,
        "user": reference("User"),
    }
    browser: dict[str, Schema] = {
        "csrf_token": {"type": "string", "description": "For the header `X-CSRF-Token`."},
        "expires_in": expires_in,
        "user": reference("User"),
    }
    session: dict[str, Schema] = {
        "id": _TEXT,
        "is_present": {"type": "boolean", "description": "Whether it is the one that asks."},
        "mode": {"enum": ["bearer", "cookie"]},
        "device": _NULLABLE | {"description": "The `User-Agent` at the last use."},
        "address": _NULLABLE | {"description": "The address at the last use."},
        "created_at": _MOMENT,
        "last_used_at": _MOMENT | {"description": "When it was refreshed last."},
        "expires_at": _MOMENT | {"description": "When it ends unless it is refreshed."},
    }
    return {
        "Grant": closed(grant, "The tokens of a session, and whose it is."),
        "BrowserGrant": closed(browser, "A session whose tokens are in cookies, and whose it is."),
        "Session": closed(session, "A sign-in on a device."),
        "RefreshForm": of_form(RefreshForm),
    }


def operations() -> list[Operation]:
    """Give these operations."""
    return [_refresh(), _logout(), *_listed()]


def _refresh() -> Operation:
    return Operation(
        method="post",
        path="/api/auth/refresh",
        id="refresh",
        tag="Sessions",
        summary="Get new tokens for a refresh token",
        description="Without a body the token is that of the browser's cookie.",
        answers=(
            Answer(
                200,
                "The new tokens; the old ones are used up.",
                data({"anyOf": GRANTED}),
                example={"data": GRANT},
            ),
        ),
        failures=(DocumentInvalid, SessionEnded, CrossSite, ParameterInvalid),
        bodies={JSON: Body(reference("RefreshForm"), {"refresh_token": "pZ…"})},
        needs_body=False,
        access="anyone",
    )


def _logout() -> Operation:
    return Operation(
        method="post",
        path="/api/auth/logout",
        id="logout",
        tag="Sessions",
        summary="Sign out",
        description="Of the session of the body's refresh token, of the access token, or of the cookies.",
        answers=(Answer(204, "The session has ended, if there was one."),),
        failures=(DocumentInvalid, TokenInvalid, CrossSite, Forbidden, ParameterInvalid),
        bodies={JSON: Body(reference("RefreshForm"), {"refresh_token": "pZ…"})},
        needs_body=False,
        access="perhaps",
    )


def _listed() -> list[Operation]:
    sessions = data({"type": "array", "items": reference("Session")})
    return [
        Operation(
            method="get",
            path="/api/auth/sessions",
            id="listSessions",
            tag="Sessions",
            summary="Where the caller is signed in",
            answers=(Answer(200, "The sessions, last used first.", sessions, example={"data": [_SESSION]}),),
            failures=(SignInRequired, Forbidden, ParameterInvalid),
        ),
        Operation(
            method="delete",
            path="/api/auth/sessions",
            id="endSessions",
            tag="Sessions",
            summary="Sign out everywhere",
            answers=(_NO_CONTENT,),
            failures=(SignInRequired, Forbidden, ParameterInvalid),
            parameters=(
                {
                    "name": "keep",
                    "in": "query",
                    "description": "`present` spares the session that asks.",
                    "required": False,
                    "schema": {"enum": ["present"]},
                },
            ),
        ),
        Operation(
            method="delete",
            path="/api/auth/sessions/{session_id}",
            id="endSession",
            tag="Sessions",
            summary="Sign out one device",
            answers=(_NO_CONTENT,),
            failures=(SignInRequired, Forbidden, SessionNotFound, ParameterInvalid),
            parameters=(
                {
                    "name": "session_id",
                    "in": "path",
                    "required": True,
                    "description": "The session's id.",
                    "schema": {"type": "string", "minLength": 1},
                    "example": _SESSION["id"],
                },
            ),
        ),
    ]
