"""Making an account and signing in."""

from litestar import Controller, Response
from litestar.di import NamedDependency
from pydantic import Field

from service.http.audit_context import audit_context, client_network
from service.http.bodies import Data, Message
from service.http.contract.operations import Answer, Operation, json_body
from service.http.controllers import profile, signing_in
from service.http.controllers.passwords import MAXIMUM_TOKEN_CHARACTERS
from service.http.controllers.second_factor import MAXIMUM_CODE_CHARACTERS
from service.http.controllers.signing_in import NOT_STORED
from service.http.guards import IGNORES_TOKEN
from service.http.requests import AnyRequest, form_of, json_response
from service.http.routing import post
from service.http.services import Services
from service.identity.core.accounts import MAXIMUM_EMAIL_CHARACTERS, Email, Name, NewPassword
from service.identity.core.browsers import Mode
from service.identity.core.hashing import MAXIMUM_CHARACTERS
from service.kit.errors import (
    CodeWrong,
    CredentialsWrong,
    Duplicate,
    Locked,
    RegistrationClosed,
    SignInExpired,
)
from service.kit.forms import Form

ON_ITS_WAY = Message(message="A mail with the next step is on its way to the address.")
EXAMPLE = {"email": "ada@example.com", "password": "correct horse battery staple"}


class Registration(Form):
    """What somebody gives to get an account."""

    email: Email
    password: NewPassword
    name: Name | None = None


class Credentials(Form):
    """What somebody gives to sign in; any text, so that only the account decides."""

    email: str = Field(max_length=MAXIMUM_EMAIL_CHARACTERS)
    password: str = Field(max_length=MAXIMUM_CHARACTERS)
    mode: Mode = "bearer"


class SecondStep(Form):
    """The second step of a sign-in: the token of the first one, and a code of the app or for recovery."""

    token: str = Field(max_length=MAXIMUM_TOKEN_CHARACTERS)
    code: str = Field(max_length=MAXIMUM_CODE_CHARACTERS)


class AuthController(Controller):
    """`/api/auth`: how callers get an account and an access token."""

    path = "/api/auth"
    opt = {IGNORES_TOKEN: True}

    @post(
        "/register",
        operation=Operation(
            id="register",
            tag="Accounts",
            summary="Make an account",
            answers=(
                Answer(
                    201,
                    "The account.",
                    Data[profile.User],
                    ("Location",),
                    example={"data": profile.EXAMPLE},
                ),
                signing_in.MAILED,
            ),
            failures=(Duplicate, RegistrationClosed),
            bodies=json_body(Registration, {**EXAMPLE, "name": "Ada"}),
            access="anyone",
        ),
    )
    async def register(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Make an account without roles, for whoever asks."""
        form = await form_of(request, Registration)
        if not services.registration_open:
            raise RegistrationClosed("Registration is closed; ask an administrator for an account")
        audit, client = audit_context(request), client_network(request)
        if services.needs_verified_email:
            await services.registrations.request(audit, form.email, form.password, form.name, client)
            return json_response(Data.of(ON_ITS_WAY).to_json(), status_code=202, headers=NOT_STORED)
        user = await services.registrations.register(audit, form.email, form.password, form.name, client)
        headers = {"Location": "/api/profile", **NOT_STORED}
        body = Data.of(profile.User.of(user))
        return json_response(body.to_json(), status_code=201, headers=headers)

    @post(
        "/login",
        status_code=200,
        operation=Operation(
            id="login",
            tag="Accounts",
            summary="Sign in: get the tokens of a session",
            answers=(signing_in.GRANTED_OR_CHALLENGED,),
            failures=(CredentialsWrong, Locked),
            bodies=json_body(Credentials, EXAMPLE),
            access="anyone",
        ),
    )
    async def login(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Return tokens for an e-mail address and a password, or a challenge if a second factor is needed."""
        form = await form_of(request, Credentials)
        visitor = signing_in.visitor_of(request)
        outcome = await services.signing_in.by_password(form.email, form.password, form.mode, visitor)
        return signing_in.answered(request, outcome)

    @post(
        "/login/second-factor",
        status_code=200,
        operation=Operation(
            id="completeLogin",
            tag="Accounts",
            summary="Sign in, second step: get tokens for a code",
            description="The code is one of the authenticator app, or a recovery code.",
            answers=(signing_in.GRANTED,),
            failures=(SignInExpired, CodeWrong, Locked),
            bodies=json_body(SecondStep, {"token": "f2kcXIzF…", "code": "123456"}),
            access="anyone",
        ),
    )
    async def complete_login(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Return tokens for the token of a challenge and a code."""
        form = await form_of(request, SecondStep)
        visitor = signing_in.visitor_of(request)
        signed_in = await services.second_step.complete(form.token, form.code, visitor)
        return signing_in.answered(request, signed_in)
