"""Operations on the second factor, and the second step of signing in."""

from typing import Any

from service.http.contract.forms import closed, of_form
from service.http.contract.identity import TIME, granted
from service.http.contract.names import reference
from service.http.contract.operations import JSON, Answer, Body, Operation, data
from service.identity.forms.second_factor_bodies import Code, Confirmation, Enrolment, SecondStep
from service.kit.errors import (
    CodeWrong,
    DocumentInvalid,
    Forbidden,
    Locked,
    ParameterInvalid,
    PasswordAbsent,
    PasswordWrong,
    SecondFactorAbsent,
    SecondFactorPresent,
    SignInExpired,
    SignInRequired,
)

Schema = dict[str, Any]

_TAG = "Accounts"
_PATH = "/api/auth/second-factor"
_GUARDED = (SignInRequired, Forbidden, ParameterInvalid)
_TEXT: Schema = {"type": "string"}
_PASSWORD: Schema = {"password": "correct horse battery staple"}
_CODES = ["o745-ndrk-raq4-o2e7", "ycsl-6b36-cec4-m3te"]
_SEED = "TITWOCD4X65HSH3DMJMNKTHZ6SXZNN5J"


def schemas() -> dict[str, Schema]:
    """Give the schemas of these operations' bodies and answers."""
    state: dict[str, Schema] = {
        "is_enabled": {"type": "boolean"},
        "enabled_at": {"type": ["string", "null"], "format": "date-time"},
        "recovery_codes_left": {"type": "integer", "minimum": 0},
    }
    enrolment: dict[str, Schema] = {
        "secret": {"type": "string", "description": "The seed in base32, to be typed."},
        "uri": {"type": "string", "description": "The same as an `otpauth:` URI, to be shown as a QR code."},
    }
    codes: dict[str, Schema] = {
        "recovery_codes": {
            "type": "array",
            "items": _TEXT,
            "description": "Each for one use; shown only now.",
        }
    }
    return {
        "SecondFactor": closed(state, "Whether a second factor is in force."),
        "SecondFactorSeed": closed(enrolment, "What an authenticator app needs; not in force yet."),
        "RecoveryCodes": closed(codes, "Codes for when the app is lost."),
        "SecondStep": of_form(SecondStep),
        "SecondFactorEnrolment": of_form(Enrolment),
        "SecondFactorCode": of_form(Code),
        "SecondFactorConfirmation": of_form(Confirmation),
    }


def operations() -> list[Operation]:
    """Give these operations."""
    codes = data(reference("RecoveryCodes"))
    confirmation = {JSON: Body(reference("SecondFactorConfirmation"), {**_PASSWORD, "code": "123456"})}
    refusals = (*_GUARDED, DocumentInvalid, PasswordWrong, PasswordAbsent, CodeWrong, Locked)
    shown = {"is_enabled": True, "enabled_at": TIME, "recovery_codes_left": 10}
    seed = {"secret": _SEED, "uri": f"otpauth://totp/Sheaf:ada%40example.com?secret={_SEED}&issuer=Sheaf"}
    return [
        Operation(
            method="post",
            path="/api/auth/login/second-factor",
            id="completeLogin",
            tag=_TAG,
            summary="Sign in, second step: get tokens for a code",
            description="The code is one of the authenticator app, or a recovery code.",
            answers=(granted(),),
            failures=(DocumentInvalid, SignInExpired, CodeWrong, Locked, ParameterInvalid),
            bodies={JSON: Body(reference("SecondStep"), {"token": "f2kcXIzF…", "code": "123456"})},
            access="anyone",
        ),
        Operation(
            method="get",
            path=_PATH,
            id="getSecondFactor",
            tag=_TAG,
            summary="The second factor of the caller",
            answers=(Answer(200, "Its state.", data(reference("SecondFactor")), example={"data": shown}),),
            failures=_GUARDED,
        ),
        Operation(
            method="post",
            path=_PATH,
            id="beginSecondFactor",
            tag=_TAG,
            summary="Begin a second factor",
            description="Nothing is in force before it is confirmed, within an hour.",
            answers=(Answer(201, "The seed.", data(reference("SecondFactorSeed")), example={"data": seed}),),
            failures=(*_GUARDED, DocumentInvalid, PasswordWrong, PasswordAbsent, Locked, SecondFactorPresent),
            bodies={JSON: Body(reference("SecondFactorEnrolment"), _PASSWORD)},
        ),
        Operation(
            method="post",
            path=f"{_PATH}/confirm",
            id="confirmSecondFactor",
            tag=_TAG,
            summary="Put the second factor in force, and end all other sessions",
            answers=(Answer(200, "Recovery codes.", codes, example={"data": {"recovery_codes": _CODES}}),),
            failures=(*_GUARDED, DocumentInvalid, CodeWrong, Locked, SecondFactorAbsent, SecondFactorPresent),
            bodies={JSON: Body(reference("SecondFactorCode"), {"code": "123456"})},
        ),
        Operation(
            method="post",
            path=f"{_PATH}/recovery-codes",
            id="renewRecoveryCodes",
            tag=_TAG,
            summary="Get new recovery codes; the earlier ones are void",
            answers=(Answer(200, "Recovery codes.", codes, example={"data": {"recovery_codes": _CODES}}),),
            failures=(*refusals, SecondFactorAbsent),
            bodies=confirmation,
        ),
        Operation(
            method="post",
            path=f"{_PATH}/disable",
            id="disableSecondFactor",
            tag=_TAG,
            summary="Switch the second factor off",
            answers=(Answer(204, "It is off."),),
            failures=(*refusals, SecondFactorAbsent),
            bodies=confirmation,
        ),
    ]
