"""The answer to whoever has proved to be somebody: a session and its tokens."""

from litestar import Response

from models.user import User
from service.controllers.requests import AnyRequest, json_response
from service.controllers.trails import client_of
from service.documents.encoding import dump
from service.identity import accounts

NOT_STORED = {"Cache-Control": "no-store"}


async def complete(request: AnyRequest, user: User) -> Response[bytes]:
    """Open a session for a user, whose sign-in is complete, and answer with its tokens."""
    state = request.app.state
    opened = await state.sessions.open(user, client_of(request))
    granted = {
        "access_token": opened.access_token,
        "token_type": "Bearer",
        "expires_in": state.tokens.ttl_s,
        "user": accounts.view(user),
    }
    return json_response(dump({"data": granted}), headers=NOT_STORED)
