"""Operations on sign-in with OpenID Connect: the providers, the ways to and from them, linking."""

from typing import Any

from service.http.contract.forms import closed, of_form
from service.http.contract.identity import granted
from service.http.contract.names import reference
from service.http.contract.operations import JSON, Answer, Body, Operation, data
from service.identity.forms.oidc_bodies import CodeExchange, Linking
from service.kit.errors import (
    AccountExists,
    CrossSite,
    DocumentInvalid,
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
    SessionEnded,
    SignInRequired,
)

Schema = dict[str, Any]

_TAG = "Sessions"
_PATH = "/api/auth/oidc"
_NO_CONTENT = Answer(204, "It is done.")
_CODE = {"code": "Zt0…", "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"}
_PROVIDER = {
    "name": "google",
    "label": "Google",
    "start_url": "https://api.example.com/api/auth/oidc/google/start",
    "linked_at": None,
}
_NAMED: Schema = {
    "name": "provider",
    "in": "path",
    "required": True,
    "description": "The provider's name.",
    "schema": {"type": "string", "minLength": 1},
    "example": _PROVIDER["name"],
}


def schemas() -> dict[str, Schema]:
    """Give the schemas of these operations' bodies and answers."""
    provider: dict[str, Schema] = {
        "name": {"type": "string"},
        "label": {"type": "string", "description": "For a button."},
        "start_url": {"type": "string", "format": "uri", "description": "To be opened in the browser."},
        "linked_at": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "Since when the caller's account is linked with it.",
        },
    }
    return {
        "Provider": closed(provider, "An OpenID Connect provider to sign in at."),
        "CodeExchange": of_form(CodeExchange),
        "Linking": of_form(Linking),
    }


def operations() -> list[Operation]:
    """Give these operations."""
    return [_listed(), _started(), _called_back(), _exchanged(), *_links()]


def _listed() -> Operation:
    return Operation(
        method="get",
        path=_PATH,
        id="listProviders",
        tag=_TAG,
        summary="The providers to sign in at",
        answers=(
            Answer(
                200,
                "The providers; there may be none.",
                data({"type": "array", "items": reference("Provider")}),
                example={"data": [_PROVIDER]},
            ),
        ),
        failures=(ParameterInvalid, Forbidden),
        access="perhaps",
    )


def _started() -> Operation:
    mode: Schema = {"enum": ["cookie", "bearer", "link"], "default": "cookie"}
    return Operation(
        method="get",
        path=f"{_PATH}/{{provider}}/start",
        id="startSignIn",
        tag=_TAG,
        summary="Sign in at a provider: open this in the browser",
        answers=(Answer(302, "The way to the provider.", headers=("Location",)),),
        failures=(ParameterInvalid, ProviderNotFound, ProviderInvalid, ProviderUnavailable),
        parameters=(
            _NAMED,
            _parameter("return_to", "Where to return to: a listed address.", is_required=True),
            _parameter("mode", "What to return with: a session in cookies, or a code.", mode),
            _parameter("code_challenge", "With a code: the SHA-256 of the `code_verifier`, in base64url."),
        ),
        access="anyone",
    )


def _called_back() -> Operation:
    return Operation(
        method="get",
        path=f"{_PATH}/{{provider}}/callback",
        id="completeSignIn",
        tag=_TAG,
        summary="Where providers send browsers back to",
        description="What fails is told by `error`, a problem's code, at the address that is returned to; "
        "what a page needs to go on, behind a `#`: `csrf_token`, or `second_factor`.",
        answers=(Answer(302, "The way back.", headers=("Location",)),),
        failures=(FlowInvalid, ProviderNotFound),
        parameters=(
            _NAMED,
            *(
                _parameter(name, "Of the provider.")
                for name in ("state", "code", "iss", "error", "error_description")
            ),
        ),
        access="anyone",
    )


def _exchanged() -> Operation:
    failures: tuple[type[Failure], ...] = (
        *(DocumentInvalid, ParameterInvalid, FlowInvalid, AccountExists, RegistrationClosed),
        *(ProviderRefused, Forbidden, SessionEnded),
    )
    return Operation(
        method="post",
        path=f"{_PATH}/exchange",
        id="exchangeCode",
        tag=_TAG,
        summary="Get tokens for the code that a sign-in returned with",
        answers=(granted(or_challenged=True),),
        failures=failures,
        bodies={JSON: Body(reference("CodeExchange"), _CODE)},
        access="anyone",
    )


def _links() -> list[Operation]:
    shared = (SignInRequired, Forbidden, CrossSite, ParameterInvalid, ProviderNotFound)
    return [
        Operation(
            method="post",
            path=f"{_PATH}/{{provider}}/link",
            id="linkProvider",
            tag=_TAG,
            summary="Link the caller's account, by a code of `mode=link`",
            answers=(_NO_CONTENT,),
            failures=(
                *(*shared, DocumentInvalid, FlowInvalid, IdentityTaken),
                *(PasswordWrong, PasswordAbsent, Locked),
            ),
            parameters=(_NAMED,),
            bodies={JSON: Body(reference("Linking"), _CODE | {"password": "correct horse battery staple"})},
        ),
        Operation(
            method="delete",
            path=f"{_PATH}/{{provider}}",
            id="unlinkProvider",
            tag=_TAG,
            summary="Undo the link of the caller's account",
            answers=(_NO_CONTENT,),
            failures=(*shared, IdentityNotFound, LastSignIn),
            parameters=(_NAMED,),
        ),
    ]


def _parameter(
    name: str, description: str, schema: Schema | None = None, *, is_required: bool = False
) -> Schema:
    return {
        "name": name,
        "in": "query",
        "description": description,
        "required": is_required,
        "schema": schema or {"type": "string"},
    }
