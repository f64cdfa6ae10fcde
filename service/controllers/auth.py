"""Making an account and signing in."""

from litestar import Controller, Response, post

from service.access import bodies
from service.access.bodies import Credentials, Registration
from service.controllers import signing_in
from service.controllers.requests import AnyRequest, json_of, json_response, only_parameters
from service.controllers.signing_in import NOT_STORED
from service.documents.encoding import dump
from service.errors import RegistrationClosed
from service.guards import IGNORES_TOKEN
from service.identity import accounts


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
        return await signing_in.complete(request, user)
