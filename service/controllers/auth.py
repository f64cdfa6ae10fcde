"""Making an account and signing in."""

from litestar import Controller, Response, post

from service import accounts
from service.access import bodies
from service.access.bodies import Credentials, Registration
from service.controllers.requests import AnyRequest, json_of, json_response, only_parameters
from service.documents.encoding import dump
from service.errors import RegistrationClosed
from service.guards import IGNORES_TOKEN

NOT_STORED = {"Cache-Control": "no-store"}


class AuthController(Controller):
    """`/api/auth`: how callers get an account and an access token."""

    path = "/api/auth"
    opt = {IGNORES_TOKEN: True}

    @post("/register")
    async def register(self, request: AnyRequest) -> Response[bytes]:
        """Make an account without roles, for whoever asks."""
        only_parameters(request)
        form = bodies.read(Registration, await json_of(request))
        state = request.app.state
        if not state.registration_open:
            raise RegistrationClosed("Registration is closed; ask an administrator for an account")
        user = await accounts.register(state.passwords, form.email, form.password, form.name)
        headers = {"Location": "/api/profile", **NOT_STORED}
        return json_response(dump({"data": accounts.view(user)}), status_code=201, headers=headers)

    @post("/login", status_code=200)
    async def login(self, request: AnyRequest) -> Response[bytes]:
        """Give an access token for an e-mail address and a password."""
        only_parameters(request)
        form = bodies.read(Credentials, await json_of(request))
        state = request.app.state
        user = await accounts.sign_in(state.passwords, form.email, form.password)
        granted = {
            "access_token": state.tokens.issue(str(user.id), user.roles),
            "token_type": "Bearer",
            "expires_in": state.tokens.ttl_s,
            "user": accounts.view(user),
        }
        return json_response(dump({"data": granted}), headers=NOT_STORED)
