"""Changing one's password, and choosing a new one when it is forgotten."""

from litestar import Controller, Response
from litestar.di import NamedDependency
from pydantic import Field

from service.http.audit_context import audit_context, client_network
from service.http.bodies import Data, Message
from service.http.contract.operations import Answer, Operation, json_body
from service.http.controllers.profile import account_in_use
from service.http.controllers.signing_in import MAILED, NOT_STORED
from service.http.guards import IGNORES_TOKEN, SignedIn, signed_in
from service.http.requests import AnyRequest, form_of, json_response
from service.http.routing import post
from service.http.services import Services
from service.identity.core.accounts import Email, NewPassword
from service.identity.core.hashing import MAXIMUM_CHARACTERS
from service.kit.errors import (
    Contention,
    Forbidden,
    LinkInvalid,
    Locked,
    MailNotConfigured,
    PasswordAbsent,
    PasswordWrong,
)
from service.kit.forms import Form

MAXIMUM_TOKEN_CHARACTERS = 200


class PasswordChange(Form):
    """What somebody who is signed in gives to choose another password."""

    current_password: str = Field(max_length=MAXIMUM_CHARACTERS)
    new_password: NewPassword


class Forgotten(Form):
    """What somebody who cannot sign in gives to be sent a link."""

    email: Email


class PasswordReset(Form):
    """The token of a link, and the password that its owner chooses."""

    token: str = Field(min_length=1, max_length=MAXIMUM_TOKEN_CHARACTERS)
    password: NewPassword


ON_ITS_WAY = Message(message="If there is an account with this address, a mail is on its way.")

CONFIRMED = (PasswordWrong, PasswordAbsent, Locked)
"""The failures of what asks the caller for the present password."""

_OLD, _NEW = "correct horse battery staple", "kitchen lamp seven"


class PasswordController(Controller):
    """`/api/auth/password`."""

    path = "/api/auth/password"

    @post(
        "/",
        status_code=204,
        guards=[SignedIn()],
        operation=Operation(
            id="changePassword",
            tag="Accounts",
            summary="Change the caller's password and end all other sessions",
            answers=(Answer(204, "It is changed."),),
            failures=(*CONFIRMED, Contention),
            bodies=json_body(PasswordChange, {"current_password": _OLD, "new_password": _NEW}),
        ),
    )
    async def change_password(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[None]:
        """Change the caller's password and end all other sessions."""
        form = await form_of(request, PasswordChange)
        user_id, session_id = session_of(request)
        with account_in_use():
            await services.password_changes.change(
                audit_context(request),
                user_id,
                session_id,
                present=form.current_password,
                chosen=form.new_password,
                address=client_network(request),
            )
        return Response(None, status_code=204, headers=NOT_STORED)

    @post(
        "/forgot",
        status_code=202,
        opt={IGNORES_TOKEN: True},
        operation=Operation(
            id="forgotPassword",
            tag="Accounts",
            summary="Have a link mailed by which to choose a new password",
            answers=(MAILED,),
            failures=(MailNotConfigured,),
            bodies=json_body(Forgotten, {"email": "ada@example.com"}),
            access="anyone",
        ),
    )
    async def forgot_password(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Mail a link to the owner of an address; answers alike whether there is one."""
        form = await form_of(request, Forgotten)
        await services.password_changes.ask_reset(form.email, client_network(request))
        return json_response(Data.of(ON_ITS_WAY).to_json(), status_code=202, headers=NOT_STORED)

    @post(
        "/reset",
        status_code=204,
        opt={IGNORES_TOKEN: True},
        operation=Operation(
            id="resetPassword",
            tag="Accounts",
            summary="Choose a new password by a mailed link",
            answers=(Answer(204, "It is changed, and all sessions have ended."),),
            failures=(LinkInvalid,),
            bodies=json_body(PasswordReset, {"token": "b5mQ…", "password": _NEW}),
            access="anyone",
        ),
    )
    async def reset_password(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[None]:
        """Choose a new password by the token of a mailed link."""
        form = await form_of(request, PasswordReset)
        await services.password_changes.reset(
            audit_context(request), form.token, form.password, client_network(request)
        )
        return Response(None, status_code=204, headers=NOT_STORED)


def session_of(request: AnyRequest) -> tuple[str, str]:
    """Return the ids of the caller and of the session; raises Forbidden for an API key, which has none."""
    caller = signed_in(request)
    if caller.id is None or caller.session_id is None:
        raise Forbidden("An API key cannot do this", hint="Sign in, and use the access token.")
    return caller.id, caller.session_id
