"""Signing in at OpenID Connect providers, and linking accounts with them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, cast

import structlog
from litestar import Controller, Response
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath
from pydantic import Field

from service.http.audit_context import audit_context
from service.http.bodies import Data, ResponseBody
from service.http.contract.operations import Answer, Operation, in_path, json_body, query
from service.http.controllers import signing_in
from service.http.controllers.passwords import session_of
from service.http.controllers.profile import account_in_use
from service.http.controllers.signing_in import NOT_STORED
from service.http.guards import IGNORES_TOKEN, SignedIn, principal
from service.http.requests import (
    AnyRequest,
    form_of,
    json_of,
    json_response,
    only_parameters,
    parameters_of,
)
from service.http.responses import Ready
from service.http.routing import delete, get, post
from service.http.services import Services, services_of
from service.identity.core.challenges import Challenge
from service.identity.core.hashing import MAXIMUM_CHARACTERS
from service.identity.oidc import (
    CHALLENGE,
    Identity,
    Intent,
    Mode,
    Providers,
    extended,
    flows,
    linked_accounts,
)
from service.identity.oidc import Provider as OpenedProvider
from service.kit import forms
from service.kit.errors import (
    AccountExists,
    CrossSite,
    Failure,
    FlowInvalid,
    Forbidden,
    IdentityNotFound,
    IdentityTaken,
    LastSignIn,
    Locked,
    ParameterInvalid,
    PasswordAbsent,
    PasswordWrong,
    ProviderInvalid,
    ProviderNotFound,
    ProviderRefused,
    ProviderUnavailable,
    RegistrationClosed,
    RequestInvalid,
    SessionEnded,
    Violation,
)
from service.kit.forms import Form

TRANSIENT_ERRORS = {"server_error", "temporarily_unavailable"}
"""Errors of a provider that time may mend (RFC 6749, 4.1.2.1)."""

MAXIMUM_CODE_CHARACTERS = 4096
MAXIMUM_SHOWN_CHARACTERS = 60

log = structlog.get_logger("sheaf.oidc")


MAXIMUM_APP_CODE_CHARACTERS = 200
VERIFIER_PATTERN = r"^[A-Za-z0-9._~-]{43,128}$"


class CodeExchange(Form):
    """The code that a sign-in returned with, and the verifier of the challenge it began with (RFC 7636)."""

    code: str = Field(max_length=MAXIMUM_APP_CODE_CHARACTERS)
    code_verifier: str = Field(pattern=VERIFIER_PATTERN)


class Linking(CodeExchange):
    """The same, and the present password, unless the account has none: a link is a key to the account."""

    password: str | None = Field(default=None, max_length=MAXIMUM_CHARACTERS)


class Provider(ResponseBody):
    """An OpenID Connect provider to sign in at."""

    name: str
    label: Annotated[str, Field(description="For a button.")]
    start_url: Annotated[
        str,
        Field(description="To be opened in the browser.", json_schema_extra={"format": "uri"}),
    ]
    linked_at: Annotated[
        datetime | None, Field(description="Since when the caller's account is linked with it.")
    ]


EXAMPLE = {
    "name": "google",
    "label": "Google",
    "start_url": "https://api.example.com/api/auth/oidc/google/start",
    "linked_at": None,
}
_CODE = {"code": "Zt0…", "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"}
_NAMED = in_path("provider", "The provider's name.", EXAMPLE["name"])
_LINKING = (Forbidden, CrossSite, ProviderNotFound)


class OidcController(Controller):
    """`/api/auth/oidc`: which providers there are, and the ways to and from them."""

    path = "/api/auth/oidc"

    @get(
        "/",
        operation=Operation(
            id="listProviders",
            tag="Sessions",
            summary="The providers to sign in at",
            answers=(
                Answer(
                    200,
                    "The providers; there may be none.",
                    Data[list[Provider]],
                    example={"data": [EXAMPLE]},
                ),
            ),
            failures=(Forbidden,),
            access="optional",
        ),
    )
    async def list_providers(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Return the providers, for buttons, and to signed-in callers since when each is linked."""
        only_parameters(request)
        caller = principal(request)
        linked = await linked_accounts.linked(caller.id) if caller.id is not None else {}
        listed = [
            Provider(
                name=each.name,
                label=each.label,
                start_url=each.redirect_uri.removesuffix("callback") + "start",
                linked_at=linked.get(each.issuer),
            )
            for each in services.providers
        ]
        return json_response(Data.of(listed).to_json())

    @get(
        "/{provider:str}/start",
        opt={IGNORES_TOKEN: True},
        operation=Operation(
            id="startSignIn",
            tag="Sessions",
            summary="Sign in at a provider: open this in the browser",
            answers=(Answer(302, "The way to the provider.", headers=("Location",)),),
            failures=(ProviderNotFound, ProviderInvalid, ProviderUnavailable),
            parameters=(
                _NAMED,
                query("return_to", "Where to return to: a listed address.", required=True),
                query(
                    "mode",
                    "What to return with: a session in cookies, or a code.",
                    {"enum": ["cookie", "bearer", "link"], "default": "cookie"},
                    required=False,
                ),
                query(
                    "code_challenge",
                    "With a code: the SHA-256 of the `code_verifier`, in base64url.",
                    required=False,
                ),
            ),
            access="anyone",
        ),
    )
    async def start(
        self, request: AnyRequest, provider: FromPath[str], services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Send a browser to a provider, with the promise of where it will return to."""
        intent = _intent(request)
        chosen = services.providers.get(provider)
        browser = flows.browser_secret(request.cookies.get(services.providers.cookie_name))
        state, secrets = await flows.begin(services.sealer, provider, intent, browser)
        answer = _redirect(await chosen.address(state, secrets))
        answer.set_cookie(_cookie(services.providers, browser))
        return answer

    @get(
        "/{provider:str}/callback",
        opt={IGNORES_TOKEN: True},
        operation=Operation(
            id="completeSignIn",
            tag="Sessions",
            summary="Where providers send browsers back to",
            description=(
                "What fails is told by `error`, a problem's code, at the address that is returned to; "
                "what a page needs to go on, behind a `#`: `csrf_token`, or `second_factor`."
            ),
            answers=(Answer(302, "The way back.", headers=("Location",)),),
            failures=(FlowInvalid, ProviderNotFound),
            parameters=(
                _NAMED,
                *(
                    query(name, "Of the provider.", required=False)
                    for name in ("state", "code", "iss", "error", "error_description")
                ),
            ),
            access="anyone",
        ),
    )
    async def call_back(
        self, request: AnyRequest, provider: FromPath[str], services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Take a provider's answer from the browser that was sent there, and send it where it wants to be.

        Whatever fails once the browser is known is told there by `error`, the code of the failure.
        """
        given = _parameters(request)
        chosen = services.providers.get(provider)
        browser = request.cookies.get(services.providers.cookie_name)
        sealer = services.sealer
        intent, secrets = await flows.end(sealer, provider, given.get("state", ""), browser)
        try:
            identity = await chosen.identify(_code(given, chosen), given.get("iss"), secrets)
            return await _returned(request, intent, identity)
        except Failure as failure:
            log.info("oidc.not_completed", provider=provider, code=failure.code, reason=failure.detail)
            return _redirect(extended(intent.return_to, error=failure.code))

    @post(
        "/exchange",
        status_code=200,
        opt={IGNORES_TOKEN: True},
        operation=Operation(
            id="exchangeCode",
            tag="Sessions",
            summary="Get tokens for the code that a sign-in returned with",
            answers=(signing_in.GRANTED_OR_CHALLENGED,),
            failures=(
                *(FlowInvalid, AccountExists, RegistrationClosed, SessionEnded),
                *(ProviderRefused, Forbidden),
            ),
            bodies=json_body(CodeExchange, _CODE),
            access="anyone",
        ),
    )
    async def exchange(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Return an app, for the code that it was returned to with, what signing in by password gives."""
        form = await form_of(request, CodeExchange)
        visitor = signing_in.visitor_of(request)
        outcome = await services.provider_sign_in.by_code(form.code, form.code_verifier, visitor)
        return signing_in.answered(request, outcome)

    @post(
        "/{provider:str}/link",
        status_code=204,
        guards=[SignedIn()],
        operation=Operation(
            id="linkProvider",
            tag="Sessions",
            summary="Link the caller's account, by a code of `mode=link`",
            answers=(Answer(204, "It is done."),),
            failures=(*_LINKING, FlowInvalid, IdentityTaken, PasswordWrong, PasswordAbsent, Locked),
            parameters=(_NAMED,),
            bodies=json_body(Linking, _CODE | {"password": "correct horse battery staple"}),
        ),
    )
    async def link(
        self, request: AnyRequest, provider: FromPath[str], services: NamedDependency[Services]
    ) -> None:
        """Link the caller's account with whom the code speaks for."""
        only_parameters(request)
        services.providers.get(provider)
        form = forms.read(Linking, await json_of(request))
        user_id, _ = session_of(request)
        visitor = signing_in.visitor_of(request)
        with account_in_use():
            await services.provider_sign_in.link(
                user_id,
                provider,
                form.password,
                code=form.code,
                verifier=form.code_verifier,
                visitor=visitor,
            )

    @delete(
        "/{provider:str}",
        status_code=204,
        guards=[SignedIn()],
        operation=Operation(
            id="unlinkProvider",
            tag="Sessions",
            summary="Undo the link of the caller's account",
            answers=(Answer(204, "It is done."),),
            failures=(*_LINKING, IdentityNotFound, LastSignIn),
            parameters=(_NAMED,),
        ),
    )
    async def unlink(
        self, request: AnyRequest, provider: FromPath[str], services: NamedDependency[Services]
    ) -> None:
        """Undo the link of the caller's account with a provider, unless it is the last way to sign in."""
        only_parameters(request)
        issuer = services.providers.get(provider).registration.issuer
        others = [each.issuer for each in services.providers]
        (user_id, _), audit = session_of(request), audit_context(request)
        if not await linked_accounts.unlink(services.database, user_id, issuer, others, audit):
            raise IdentityNotFound


def _intent(request: AnyRequest) -> Intent:
    """Read what is asked for at the beginning; raises ParameterInvalid."""
    given = only_parameters(request, ("return_to", "mode", "code_challenge"))
    mode, challenge = given.get("mode", "cookie"), given.get("code_challenge")
    if mode not in ("cookie", "bearer", "link"):
        raise _wrong("mode", "enum", "`mode` is `cookie`, `bearer` or `link`")
    if "return_to" not in given:
        raise _wrong("return_to", "required", "`return_to` is required: the address to return to")
    if mode == "cookie" and challenge is not None:
        raise _wrong("code_challenge", "form", "`code_challenge` goes with `mode=bearer` and `mode=link`")
    if mode != "cookie" and not CHALLENGE.fullmatch(challenge or ""):
        detail = "`code_challenge` is required here: the SHA-256 of a secret of the app's, in base64url"
        raise _wrong("code_challenge", "form", detail)
    return Intent(cast("Mode", mode), services_of(request).return_urls.check(given["return_to"]), challenge)


def _parameters(request: AnyRequest) -> Mapping[str, str]:
    """Read what the provider says; what it says besides is not ours to refuse. Raises RequestInvalid."""
    pairs = [each for each in parameters_of(request) if each[0] in {"code", "state", "iss", "error"}]
    given = dict(pairs)
    if len(given) != len(pairs):
        raise RequestInvalid("The provider's answer says something twice")
    return given


def _code(given: Mapping[str, str], provider: OpenedProvider) -> str:
    """Return the code of the provider's answer; raises the failure that it tells instead."""
    if "error" in given:
        reason = given["error"][:MAXIMUM_SHOWN_CHARACTERS]
        log.info("oidc.not_signed_in", provider=provider.registration.name, reason=reason)
        raise ProviderUnavailable if reason in TRANSIENT_ERRORS else ProviderRefused
    code = given.get("code", "")
    if not 0 < len(code) <= MAXIMUM_CODE_CHARACTERS:
        raise ProviderInvalid("The provider's answer has no code")
    return code


async def _returned(request: AnyRequest, intent: Intent, identity: Identity) -> Response[bytes]:
    """Send the browser back: with a code for its app, signed in, or with the token of the second step.

    That token stands behind a `#`: it reaches the page, and no server's log. So does the CSRF token of a
    session, for a page on another origin cannot read it from the cookie.
    """
    if intent.mode != "cookie":
        return _redirect(extended(intent.return_to, code=await flows.give_code(intent, identity)))
    visitor = signing_in.visitor_of(request)
    outcome = await services_of(request).provider_sign_in.by_identity(identity, "cookie", visitor)
    if isinstance(outcome, Challenge):
        return _redirect(f"{intent.return_to}#second_factor={outcome.token}")
    answer = _redirect(f"{intent.return_to}#csrf_token={outcome.session.csrf_token}")
    return signing_in.keep(request, answer, outcome.session)


def _redirect(url: str) -> Response[Any]:
    return Ready(b"", status_code=302, headers={"Location": url, **NOT_STORED}, media_type="text/plain")


def _cookie(providers: Providers, browser: str) -> Cookie:
    """Keep the browser's secret; sent along when the provider sends the browser back, hence `lax`."""
    return Cookie(
        key=providers.cookie_name,
        value=browser,
        path="/",
        max_age=flows.STATE_TTL_S,
        secure=providers.is_secure,
        httponly=True,
        samesite="lax",
    )


def _wrong(parameter: str, code: str, detail: str) -> ParameterInvalid:
    return ParameterInvalid(detail, errors=[Violation(detail, code, parameter=parameter)])
