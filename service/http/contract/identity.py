"""Operations on accounts, on the signed-in user, and on the service's health."""

from typing import Any

from service.http.contract.forms import closed, of_form
from service.http.contract.names import reference
from service.http.contract.operations import JSON, Answer, Body, Operation, data
from service.http.contract.passwords import accepted
from service.http.contract.sessions import GRANT, GRANTED, USER
from service.identity.forms.account_bodies import Credentials, ProfileChange, Registration
from service.kit.errors import (
    CredentialsWrong,
    DocumentInvalid,
    Duplicate,
    Locked,
    ParameterInvalid,
    PatchInvalid,
    RegistrationClosed,
    SignInRequired,
    Stale,
)
from service.kit.forms import Form

Schema = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
TIME = "2026-11-22T12:00:00.000Z"
_TEXT: Schema = {"type": "string"}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_SIGN_IN = {"email": "ada@example.com", "password": "correct horse battery staple"}
_FORMS: dict[str, type[Form]] = {
    "Registration": Registration,
    "Credentials": Credentials,
    "ProfileChange": ProfileChange,
}


def schemas() -> dict[str, Schema]:
    """Give the schemas of these operations' bodies and answers."""
    members: dict[str, Schema] = {
        "id": _TEXT,
        "email": _TEXT,
        "is_email_verified": {"type": "boolean"},
        "name": {"type": ["string", "null"]},
        "roles": {"type": "array", "items": _TEXT},
        "_version": {"type": "integer", "minimum": 1},
        "_created_at": _MOMENT,
        "_updated_at": _MOMENT,
    }
    health: dict[str, Schema] = {"status": {"const": "ok"}, "timestamp": _MOMENT}
    challenge: dict[str, Schema] = {
        "token": {"type": "string", "description": "For `POST /api/auth/login/second-factor`."},
        "methods": {"type": "array", "items": {"enum": ["totp", "recovery_code"]}},
        "expires_in": {"type": "integer", "description": "Seconds."},
    }
    needed = {"second_factor": closed(challenge, "A challenge.")}
    return {
        "SecondFactorNeeded": closed(needed, "The password is right; a code is needed too."),
        "User": closed(members, "An account."),
        "Health": closed(health, "The service can work."),
        **{name: of_form(form) for name, form in _FORMS.items()},
    }


def operations() -> list[Operation]:
    """Give these operations."""
    return [*_accounts(), *_profile(), *_health()]


def _accounts() -> list[Operation]:
    user = data(reference("User"))
    return [
        Operation(
            method="post",
            path="/api/auth/register",
            id="register",
            tag="Accounts",
            summary="Make an account",
            answers=(Answer(201, "The account.", user, ("Location",), example={"data": USER}), accepted()),
            failures=(DocumentInvalid, Duplicate, RegistrationClosed, ParameterInvalid),
            bodies={JSON: Body(reference("Registration"), {**_SIGN_IN, "name": "Ada"})},
            access="anyone",
        ),
        Operation(
            method="post",
            path="/api/auth/login",
            id="login",
            tag="Accounts",
            summary="Sign in: get the tokens of a session",
            answers=(granted(or_challenged=True),),
            failures=(DocumentInvalid, CredentialsWrong, Locked, ParameterInvalid),
            bodies={JSON: Body(reference("Credentials"), _SIGN_IN)},
            access="anyone",
        ),
    ]


def granted(*, or_challenged: bool = False) -> Answer:
    """Give the answer to whoever has signed in, or needs a second factor to."""
    if not or_challenged:
        told = "The tokens; the access token is to be sent as `Authorization: Bearer …`."
        return Answer(200, told, data({"anyOf": GRANTED}), example={"data": GRANT})
    told = "The tokens, as of `/api/auth/refresh`; or what the second step needs."
    either: Schema = {"anyOf": [*GRANTED, reference("SecondFactorNeeded")]}
    return Answer(200, told, data(either), example={"data": GRANT})


def _profile() -> list[Operation]:
    answer = Answer(200, "The account.", data(reference("User")), ("ETag",), example={"data": USER})
    change = Body(reference("ProfileChange"), {"name": "Ada"})
    return [
        Operation(
            method="get",
            path="/api/profile",
            id="getProfile",
            tag="Accounts",
            summary="The account of the caller",
            answers=(answer, NOT_MODIFIED),
            failures=(SignInRequired, ParameterInvalid),
            parameters=("If-None-Match",),
        ),
        Operation(
            method="patch",
            path="/api/profile",
            id="updateProfile",
            tag="Accounts",
            summary="Change the account of the caller",
            answers=(answer,),
            failures=(SignInRequired, DocumentInvalid, PatchInvalid, Stale, ParameterInvalid),
            parameters=("If-Match",),
            bodies={MERGE_PATCH: change, JSON: change},
        ),
    ]


NOT_MODIFIED = Answer(304, "The client has this answer already.", headers=("ETag",))


def _health() -> list[Operation]:
    answer = Answer(200, "All is well.", reference("Health"), example={"status": "ok", "timestamp": TIME})
    told = {
        "": ("checkHealth", "Can the service work?"),
        "/live": ("checkLiveness", "Does the process live?"),
        "/ready": ("checkReadiness", "Is new work welcome?"),
    }
    return [
        Operation(
            method="get",
            path=f"/api/health{path}",
            id=name,
            tag="Health",
            summary=summary,
            answers=(answer,),
            access="anyone",
            is_limited=False,
        )
        for path, (name, summary) in told.items()
    ]
