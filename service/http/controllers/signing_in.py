"""Who signs in, read from a request; and the answers: a session and its tokens, or a challenge."""

from functools import partial
from typing import Annotated, Literal, TypeVar

from litestar import Response
from litestar.datastructures import Cookie
from pydantic import Field

from models.user import User
from service.http.audit_context import address_of, audit_context, client_network
from service.http.bodies import Data, Message, ResponseBody
from service.http.contract.operations import Answer
from service.http.controllers import profile
from service.http.requests import AnyRequest, json_response
from service.http.services import services_of
from service.identity.core.browsers import SAFE_METHODS, Mode, SetCookie
from service.identity.core.challenges import Challenge
from service.identity.core.sessions import Opened
from service.identity.core.signing_in import SignedIn, Visitor

NOT_STORED = {"Cache-Control": "no-store"}

ExpiresIn = Annotated[int, Field(description="Seconds until the access token expires.")]


class Grant(ResponseBody):
    """The tokens of a session, and whose it is."""

    access_token: Annotated[str, Field(description="For `Authorization: Bearer …`.")]
    token_type: Literal["Bearer"]
    refresh_token: Annotated[str, Field(description="For `POST /api/auth/refresh`, once.")]
    expires_in: ExpiresIn
    user: profile.User


class BrowserGrant(ResponseBody):
    """A session whose tokens are in cookies, and whose it is."""

    csrf_token: Annotated[str, Field(description="For the header `X-CSRF-Token`.")]
    expires_in: ExpiresIn
    user: profile.User


class SecondFactorChallenge(ResponseBody):
    """A challenge."""

    token: Annotated[str, Field(description="For `POST /api/auth/login/second-factor`.")]
    methods: list[Literal["totp", "recovery_code"]]
    expires_in: Annotated[int, Field(description="Seconds.")]


class SecondFactorNeeded(ResponseBody):
    """The password is right; a code is needed too."""

    second_factor: SecondFactorChallenge


EXAMPLE = {
    "data": {
        "access_token": "eyJ…",
        "token_type": "Bearer",
        "refresh_token": "pZ…",
        "expires_in": 900,
        "user": profile.EXAMPLE,
    }
}

GRANTED = Answer(
    200,
    "The tokens; the access token is to be sent as `Authorization: Bearer …`.",
    Data[Grant | BrowserGrant],
    example=EXAMPLE,
)
GRANTED_OR_CHALLENGED = Answer(
    200,
    "The tokens, as of `/api/auth/refresh`; or what the second step needs.",
    Data[Grant | BrowserGrant | SecondFactorNeeded],
    example=EXAMPLE,
)
"""The answers to the last step of a sign-in, and to the first."""

MAILED = Answer(
    202,
    "A mail is on its way.",
    Data[Message],
    example={"data": {"message": "If there is an account with this address, a mail is on its way."}},
)
"""The answer to what sends a mail, or would if there were somebody to have it."""

AnyContent = TypeVar("AnyContent")


def visitor_of(request: AnyRequest) -> Visitor:
    """Return whoever sends a request that signs in, or proves who somebody is."""
    return Visitor(
        address=address_of(request),
        network=client_network(request),
        device=request.headers.get("user-agent"),
        audit=audit_context(request),
        check_page=partial(_check_page, request),
    )


def _check_page(request: AnyRequest, mode: Mode) -> None:
    """Raise CrossSite when a page of another site would sign a browser in.

    A GET, as a provider's redirect, is told by the state that began it.
    """
    if mode == "cookie" and request.method not in SAFE_METHODS:
        services_of(request).browsers.check_origin(request.scope["headers"], request.scope["scheme"])


def answered(request: AnyRequest, outcome: SignedIn | Challenge) -> Response[bytes]:
    """Answer a step of a sign-in: with a session's tokens, or with what the second step needs."""
    if isinstance(outcome, SignedIn):
        return granted(request, outcome.user, outcome.session, outcome.mode)
    challenge = SecondFactorChallenge(
        token=outcome.token, methods=["totp", "recovery_code"], expires_in=outcome.expires_in
    )
    body = Data.of(SecondFactorNeeded(second_factor=challenge))
    return json_response(body.to_json(), headers=NOT_STORED)


def granted(request: AnyRequest, user: User, opened: Opened, mode: Mode) -> Response[bytes]:
    """Answer with a session's tokens, in the body or in cookies."""
    expires_in, shown = services_of(request).tokens.ttl_s, profile.User.of(user)
    if mode == "bearer":
        grant = Grant(
            access_token=opened.access_token,
            token_type="Bearer",  # noqa: S106  # how it is used, not a secret
            refresh_token=opened.refresh_token,
            expires_in=expires_in,
            user=shown,
        )
        return json_response(Data.of(grant).to_json(), headers=NOT_STORED)
    kept = BrowserGrant(csrf_token=opened.csrf_token, expires_in=expires_in, user=shown)
    return keep(request, json_response(Data.of(kept).to_json(), headers=NOT_STORED), opened)


def keep(request: AnyRequest, answer: Response[AnyContent], opened: Opened) -> Response[AnyContent]:
    """Have the browser that gets an answer keep a session's tokens."""
    tokens = (opened.access_token, opened.refresh_token, opened.csrf_token)
    return _with(answer, services_of(request).browsers.kept(*tokens, opened.lifetime_s))


def forget(request: AnyRequest, answer: Response[AnyContent]) -> Response[AnyContent]:
    """Have the browser that gets an answer forget its session; says nothing to other clients."""
    browsers = services_of(request).browsers
    return _with(answer, browsers.forgotten()) if browsers.are_with(request.scope["headers"]) else answer


def _with(answer: Response[AnyContent], cookies: list[SetCookie]) -> Response[AnyContent]:
    for each in cookies:
        cookie = Cookie(
            key=each.name,
            value=each.value,
            path=each.path,
            max_age=each.lifetime_s,
            secure=each.is_secure,
            httponly=not each.is_readable,
            samesite=each.same_site,
        )
        answer.set_cookie(cookie)
    return answer
