"""The second factor of the signed-in user: begin one, put it in force, change it, switch it off."""

from datetime import datetime
from typing import Annotated, TypeVar

from litestar import Controller, Response
from litestar.di import NamedDependency
from pydantic import Field

from service.http.bodies import Count, Data, ResponseBody
from service.http.contract.operations import Answer, Operation, json_body
from service.http.controllers.passwords import session_of
from service.http.controllers.profile import account_in_use
from service.http.controllers.signing_in import NOT_STORED, visitor_of
from service.http.guards import SignedIn, signed_in
from service.http.requests import AnyRequest, form_of, json_response, only_parameters
from service.http.routing import get, post
from service.http.services import Services
from service.identity import second_factor
from service.identity.core.hashing import MAXIMUM_CHARACTERS
from service.kit.errors import (
    CodeWrong,
    Forbidden,
    Locked,
    PasswordAbsent,
    PasswordWrong,
    SecondFactorAbsent,
    SecondFactorPresent,
)
from service.kit.forms import Form

MAXIMUM_CODE_CHARACTERS = 64


class SecondFactorEnrolment(Form):
    """What begins a second factor: the present password, unless the account has none."""

    password: str | None = Field(default=None, max_length=MAXIMUM_CHARACTERS)


class SecondFactorCode(Form):
    """What puts a second factor in force: the first code of the app."""

    code: str = Field(max_length=MAXIMUM_CODE_CHARACTERS)


class SecondFactorConfirmation(Form):
    """What changes a second factor: the present password, unless the account has none, and a code."""

    password: str | None = Field(default=None, max_length=MAXIMUM_CHARACTERS)
    code: str = Field(max_length=MAXIMUM_CODE_CHARACTERS)


class SecondFactor(ResponseBody):
    """Whether a second factor is in force."""

    is_enabled: bool
    enabled_at: datetime | None
    recovery_codes_left: Count


class SecondFactorSeed(ResponseBody):
    """What an authenticator app needs; not in force yet."""

    secret: Annotated[str, Field(description="The seed in base32, to be typed.")]
    uri: Annotated[str, Field(description="The same as an `otpauth:` URI, to be shown as a QR code.")]


class RecoveryCodes(ResponseBody):
    """Codes for when the app is lost."""

    recovery_codes: Annotated[list[str], Field(description="Each for one use; shown only now.")]


_PASSWORD = {"password": "correct horse battery staple"}
_SEED = "TITWOCD4X65HSH3DMJMNKTHZ6SXZNN5J"
_SHOWN = {"is_enabled": True, "enabled_at": "2026-11-22T12:00:00.000Z", "recovery_codes_left": 10}
_BEGUN = {"secret": _SEED, "uri": f"otpauth://totp/Sheaf:ada%40example.com?secret={_SEED}&issuer=Sheaf"}
_CODES = {"recovery_codes": ["o745-ndrk-raq4-o2e7", "ycsl-6b36-cec4-m3te"]}
_RECOVERY_CODES = Answer(200, "Recovery codes.", Data[RecoveryCodes], example={"data": _CODES})
_CONFIRMATION = json_body(SecondFactorConfirmation, {**_PASSWORD, "code": "123456"})
_PASSWORD_REFUSED = (PasswordWrong, PasswordAbsent, Locked)
_CONFIRMED = (Forbidden, *_PASSWORD_REFUSED, CodeWrong, SecondFactorAbsent)

Result = TypeVar("Result")


class SecondFactorController(Controller):
    """`/api/auth/second-factor`; what it changes, it asks the password for."""

    path = "/api/auth/second-factor"
    guards = [SignedIn()]

    @get(
        "/",
        operation=Operation(
            id="getSecondFactor",
            tag="Accounts",
            summary="The second factor of the caller",
            answers=(Answer(200, "Its state.", Data[SecondFactor], example={"data": _SHOWN}),),
            failures=(Forbidden,),
        ),
    )
    async def get_second_factor(self, request: AnyRequest) -> Response[bytes]:
        """Return whether a second factor is in force, since when, and how many recovery codes are left."""
        only_parameters(request)
        user_id, _ = session_of(request)
        return _answer(SecondFactor(**await second_factor.view(user_id)))

    @post(
        "/",
        status_code=201,
        operation=Operation(
            id="beginSecondFactor",
            tag="Accounts",
            summary="Begin a second factor",
            description="Nothing is in force before it is confirmed, within an hour.",
            answers=(Answer(201, "The seed.", Data[SecondFactorSeed], example={"data": _BEGUN}),),
            failures=(Forbidden, *_PASSWORD_REFUSED, SecondFactorPresent),
            bodies=json_body(SecondFactorEnrolment, _PASSWORD),
        ),
    )
    async def begin_second_factor(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Return the seed for an authenticator app; nothing is in force yet."""
        form = await form_of(request, SecondFactorEnrolment)
        user_id, _ = session_of(request)
        with account_in_use():
            begun = await services.second_factor_changes.begin(user_id, form.password, visitor_of(request))
        return _answer(SecondFactorSeed(secret=begun.secret, uri=begun.uri), 201)

    @post(
        "/confirm",
        status_code=200,
        operation=Operation(
            id="confirmSecondFactor",
            tag="Accounts",
            summary="Put the second factor in force, and end all other sessions",
            answers=(_RECOVERY_CODES,),
            failures=(Forbidden, CodeWrong, Locked, SecondFactorAbsent, SecondFactorPresent),
            bodies=json_body(SecondFactorCode, {"code": "123456"}),
        ),
    )
    async def confirm_second_factor(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Put the second factor in force by its first code, end all other sessions, give recovery codes."""
        form = await form_of(request, SecondFactorCode)
        session_of(request)
        with account_in_use():
            codes = await services.second_factor_changes.confirm(
                signed_in(request), form.code, visitor_of(request)
            )
        return _answer(RecoveryCodes(recovery_codes=codes))

    @post(
        "/recovery-codes",
        status_code=200,
        operation=Operation(
            id="renewRecoveryCodes",
            tag="Accounts",
            summary="Get new recovery codes; the earlier ones are void",
            answers=(_RECOVERY_CODES,),
            failures=_CONFIRMED,
            bodies=_CONFIRMATION,
        ),
    )
    async def renew_recovery_codes(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Return new recovery codes; the earlier ones are void."""
        form = await form_of(request, SecondFactorConfirmation)
        user_id, _ = session_of(request)
        with account_in_use():
            codes = await services.second_factor_changes.renew(
                user_id, form.password, form.code, visitor_of(request)
            )
        return _answer(RecoveryCodes(recovery_codes=codes))

    @post(
        "/disable",
        status_code=204,
        operation=Operation(
            id="disableSecondFactor",
            tag="Accounts",
            summary="Switch the second factor off",
            answers=(Answer(204, "It is off."),),
            failures=_CONFIRMED,
            bodies=_CONFIRMATION,
        ),
    )
    async def disable_second_factor(
        self, request: AnyRequest, services: NamedDependency[Services]
    ) -> Response[None]:
        """Switch the second factor off."""
        form = await form_of(request, SecondFactorConfirmation)
        user_id, _ = session_of(request)
        with account_in_use():
            await services.second_factor_changes.disable(
                user_id, form.password, form.code, visitor_of(request)
            )
        return Response(None, status_code=204, headers=NOT_STORED)


def _answer(content: ResponseBody, status_code: int = 200) -> Response[bytes]:
    return json_response(Data.of(content).to_json(), status_code=status_code, headers=NOT_STORED)
