"""Making an account and signing in."""

from litestar import Controller, Response
from litestar.di import NamedDependency

from service.http.audit_context import audit_context, client_network
from service.http.bodies import Data, Message
from service.http.contract.operations import Answer, Operation, json_body
from service.http.controllers import profile, signing_in
from service.http.controllers.signing_in import NOT_STORED
from service.http.guards import IGNORES_TOKEN
from service.http.requests import AnyRequest, json_of, json_response, only_parameters
from service.http.routing import post
from service.http.services import Services
from service.identity.forms.account_bodies import Credentials, Registration
from service.identity.forms.second_factor_bodies import SecondStep
from service.kit import forms
from service.kit.errors import (
    CodeWrong,
    CredentialsWrong,
    DocumentInvalid,
    Duplicate,
    Locked,
    ParameterInvalid,
    RegistrationClosed,
    SignInExpired,
)

ON_ITS_WAY = Message(message="A mail with the next step is on its way to the address.")
EXAMPLE = {"email": "ada@example.com", "password": "correct horse battery staple"}


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
            failures=(DocumentInvalid, Duplicate, RegistrationClosed, ParameterInvalid),
            bodies=json_body(Registration, {**EXAMPLE, "name": "Ada"}),
            access="anyone",
        ),
    )
    async def register(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Make an account without roles, for whoever asks."""
        only_parameters(request)
        form = forms.read(Registration, await json_of(request))
        if not services.registration_open:
            raise RegistrationClosed("Registration is closed; ask an administrator for an account")
        if services.needs_verified_email:
            await services.registrations.request(audit_context(request), form, client_network(request))
            return json_response(Data.of(ON_ITS_WAY).to_json(), status_code=202, headers=NOT_STORED)
        user = await services.registrations.register(audit_context(request), form, client_network(request))
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
            failures=(DocumentInvalid, CredentialsWrong, Locked, ParameterInvalid),
            bodies=json_body(Credentials, EXAMPLE),
            access="anyone",
        ),
    )
    async def login(self, request: AnyRequest) -> Response[bytes]:
        """Give tokens for an e-mail address and a password, or a challenge if a second factor is needed."""
        only_parameters(request)
        form = forms.read(Credentials, await json_of(request))
        signing_in.check_page(request, form.mode)
        user = await signing_in.prover_of(request).sign_in(form.email, form.password)
        return await signing_in.begin(request, user, form.mode)

    @post(
        "/login/second-factor",
        status_code=200,
        operation=Operation(
            id="completeLogin",
            tag="Accounts",
            summary="Sign in, second step: get tokens for a code",
            description="The code is one of the authenticator app, or a recovery code.",
            answers=(signing_in.GRANTED,),
            failures=(DocumentInvalid, SignInExpired, CodeWrong, Locked, ParameterInvalid),
            bodies=json_body(SecondStep, {"token": "f2kcXIzF…", "code": "123456"}),
            access="anyone",
        ),
    )
    async def complete_login(self, request: AnyRequest) -> Response[bytes]:
        """Give tokens for the token of a challenge and a code."""
        only_parameters(request)
        form = forms.read(SecondStep, await json_of(request))
        return await signing_in.resume(request, form.token, form.code)
