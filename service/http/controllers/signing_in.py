"""The answer to whoever has proved to be somebody: a session and its tokens."""

from dataclasses import replace
from typing import Annotated, Literal, TypeVar

from litestar import Response
from litestar.datastructures import Cookie
from pydantic import Field

from models.user import User
from service.audit import AuditContext
from service.http.audit_context import audit_context, client_network, client_of
from service.http.bodies import Data, Message, ResponseBody
from service.http.contract.operations import Answer
from service.http.controllers import profile
from service.http.requests import AnyRequest, json_response
from service.http.services import services_of
from service.identity.core import challenges, credentials
from service.identity.core.browsers import SAFE_METHODS, Mode, SetCookie
from service.identity.core.proving import SIGN_IN, Prover
from service.identity.core.sessions import Opened
from service.kit.errors import EmailUnverified

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


async def begin(request: AnyRequest, user: User, mode: Mode = "bearer") -> Response[bytes]:
    """Answer somebody who has passed the first step: complete the sign-in, or demand the second factor."""
    check_page(request, mode)
    if await credentials.has_second_factor(str(user.id)):
        challenge = SecondFactorChallenge(**await challenges.give(user, mode))
        body = Data.of(SecondFactorNeeded(second_factor=challenge))
        return json_response(body.to_json(), headers=NOT_STORED)
    return await complete(request, user, mode)


async def complete(request: AnyRequest, user: User, mode: Mode = "bearer") -> Response[bytes]:
    """Open a session for a user, whose sign-in is complete, and answer with its tokens.

    In cookie mode they are in cookies alone. Raises CrossSite, SessionEnded.
    """
    check_page(request, mode)
    return granted(request, user, await open_session(request, user, mode), mode)


async def resume(request: AnyRequest, token: str, code: str) -> Response[bytes]:
    """Complete the sign-in of a challenge with a code, as above; raises SignInExpired, CodeWrong, Locked."""
    services = services_of(request)
    begun = await challenges.resume(token)
    check_page(request, begun.mode)
    prover = prover_of(request)

    async def use_up() -> None:
        method = await services.second_factors.use(str(begun.user.id), code)
        await challenges.complete(token)
        if method == "recovery_code":
            await prover.audit.note("second_factor.recovery_code_used", "user", str(begun.user.id))

    async with prover.code(begun.user, SIGN_IN):
        await services.database.transaction(use_up)
    return await complete(request, begun.user, begun.mode)


def check_page(request: AnyRequest, mode: Mode) -> None:
    """Raise CrossSite when a page of another site would sign a browser in; asked before anything is done.

    The visitor would go on in the account of somebody else (login CSRF). A GET, as a provider's redirect,
    is told by the state that began it.
    """
    if mode == "cookie" and request.method not in SAFE_METHODS:
        services_of(request).browsers.check_origin(request.scope["headers"], request.scope["scheme"])


async def open_session(request: AnyRequest, user: User, mode: Mode) -> Opened:
    """Open a session and note it, for answers that are not like `complete`'s.

    Raises SessionEnded, EmailUnverified.
    """
    services = services_of(request)
    if services.needs_verified_email and not user.is_email_verified:
        raise EmailUnverified(
            "Follow the link in the mail that was sent to this address",
            hint="If it is lost, ask for a new password: that verifies the address too.",
        )
    audit = audit_context(request)
    own = AuditContext(replace(audit.actor, kind="user", id=str(user.id), key_id=None), audit.ttl_s)

    async def open_and_note() -> Opened:
        opened = await services.sessions.open(user, client_of(request, mode))
        await own.note("session.opened", "session", opened.session_id, {"user": str(user.id), "mode": mode})
        for each in opened.displaced:
            details = {"user": str(user.id), "reason": "too many sessions"}
            await own.note("session.ended", "session", each, details)
        return opened

    opened = await services.database.transaction(open_and_note)
    await services.revocations.catch_up()
    await services.lockouts.remember(user.email_key, client_network(request))
    return opened


def prover_of(request: AnyRequest) -> Prover:
    """Give what verifies the passwords and codes that a client sends."""
    services = services_of(request)
    return Prover(services.passwords, services.lockouts, audit_context(request), client_network(request))


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
