"""Verifying one's e-mail address, and changing it."""

from litestar import Controller, Response
from litestar.di import NamedDependency
from pydantic import Field

from service.http.audit_context import audit_context, client_network
from service.http.bodies import Data, Message
from service.http.contract.operations import Answer, Operation, json_body
from service.http.controllers.passwords import CONFIRMED, MAXIMUM_TOKEN_CHARACTERS, session_of
from service.http.controllers.profile import account_in_use
from service.http.controllers.signing_in import MAILED, NOT_STORED
from service.http.guards import IGNORES_TOKEN, SignedIn, principal
from service.http.requests import AnyRequest, form_of, json_response, only_parameters
from service.http.routing import post
from service.http.services import Services
from service.identity.core.accounts import Email
from service.identity.core.hashing import MAXIMUM_CHARACTERS
from service.kit.errors import (
    Duplicate,
    EmailVerified,
    LinkInvalid,
    Locked,
    MailNotConfigured,
    PasswordAbsent,
    PasswordWrong,
)
from service.kit.forms import Form


class Verification(Form):
    """The token of a link that proves an address, and the account's password from who is not signed in."""

    token: str = Field(min_length=1, max_length=MAXIMUM_TOKEN_CHARACTERS)
    password: str | None = Field(default=None, max_length=MAXIMUM_CHARACTERS)


class EmailChange(Form):
    """The address that somebody wants to have from now on, and the present password."""

    email: Email
    password: str = Field(max_length=MAXIMUM_CHARACTERS)


ON_ITS_WAY = Message(message="A mail with a link is on its way to the address.")


class EmailController(Controller):
    """`/api/auth/email`."""

    path = "/api/auth/email"

    @post(
        "/",
        status_code=202,
        guards=[SignedIn()],
        operation=Operation(
            id="changeEmail",
            tag="Accounts",
            summary="Have a link mailed to another address, which then becomes the caller's",
            answers=(MAILED,),
            failures=(*CONFIRMED, MailNotConfigured),
            bodies=json_body(
                EmailChange, {"email": "ada@example.org", "password": "correct horse battery staple"}
            ),
        ),
    )
    async def change_email(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Mail a link to the address that the caller wants to have; it changes when the link is used."""
        form = await form_of(request, EmailChange)
        user_id, _ = session_of(request)
        with account_in_use():
            await services.addresses.ask_change(
                audit_context(request), user_id, form.email, form.password, client_network(request)
            )
        return _accepted()

    @post(
        "/verify",
        status_code=204,
        opt={IGNORES_TOKEN: True},
        operation=Operation(
            id="verifyEmail",
            tag="Accounts",
            summary="Verify or change an address by a mailed link, and the password or the session",
            answers=(Answer(204, "The address is the account's, and verified."),),
            failures=(LinkInvalid, Duplicate, PasswordWrong, PasswordAbsent, Locked),
            bodies=json_body(Verification, {"token": "b5mQ…", "password": "kitchen lamp seven"}),
            access="anyone",
        ),
    )
    async def verify_email(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[None]:
        """Verify or change an address by the token of a mailed link, and the password or the session."""
        form = await form_of(request, Verification)
        await services.addresses.verify(
            audit_context(request),
            form.token,
            form.password,
            caller_id=principal(request).id,
            client=client_network(request),
        )
        return Response(None, status_code=204, headers=NOT_STORED)

    @post(
        "/verify/resend",
        status_code=202,
        guards=[SignedIn()],
        operation=Operation(
            id="resendVerification",
            tag="Accounts",
            summary="Have the link that verifies the caller's address mailed once more",
            answers=(MAILED,),
            failures=(EmailVerified, MailNotConfigured),
        ),
    )
    async def resend_verification(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Mail the link that verifies the caller's address once more."""
        only_parameters(request)
        user_id, _ = session_of(request)
        with account_in_use():
            await services.addresses.resend(user_id, client_network(request))
        return _accepted()


def _accepted() -> Response[bytes]:
    return json_response(Data.of(ON_ITS_WAY).to_json(), status_code=202, headers=NOT_STORED)
