"""Operations on passwords, and on the e-mail addresses that mails about them go to."""

from typing import Any

from service.http.contract.forms import closed, of_form
from service.http.contract.names import reference
from service.http.contract.operations import JSON, Answer, Body, Operation, data
from service.identity.forms.password_bodies import (
    EmailChange,
    Forgotten,
    PasswordChange,
    PasswordReset,
    Verification,
)
from service.kit.errors import (
    Contention,
    DocumentInvalid,
    Duplicate,
    EmailVerified,
    LinkInvalid,
    Locked,
    MailNotConfigured,
    ParameterInvalid,
    PasswordAbsent,
    PasswordWrong,
    SignInRequired,
)

Schema = dict[str, Any]

_TOKEN = "b5mQ…"  # noqa: S105 - an example
_PASSWORD = "kitchen lamp seven"  # noqa: S105 - an example
_MESSAGE = {"message": "If there is an account with this address, a mail is on its way."}
_CONFIRMED = (SignInRequired, DocumentInvalid, PasswordWrong, PasswordAbsent, Locked, ParameterInvalid)


def schemas() -> dict[str, Schema]:
    """Give the schemas of these operations' bodies and answers."""
    forms = (PasswordChange, Forgotten, PasswordReset, Verification, EmailChange)
    message = closed({"message": {"type": "string"}}, "What happens next.")
    return {"Message": message, **{form.__name__: of_form(form) for form in forms}}


def accepted() -> Answer:
    """Give the answer to what sends a mail, or would if there were somebody to have it."""
    return Answer(202, "A mail is on its way.", data(reference("Message")), example={"data": _MESSAGE})


def operations() -> list[Operation]:
    """Give these operations."""
    return [*_passwords(), *_addresses()]


def _passwords() -> list[Operation]:
    change = {"current_password": "correct horse battery staple", "new_password": _PASSWORD}
    return [
        _operation(
            "/password",
            "changePassword",
            "Change the caller's password and end all other sessions",
            Answer(204, "It is changed."),
            (*_CONFIRMED, Contention),
            body=Body(reference("PasswordChange"), change),
        ),
        _operation(
            "/password/forgot",
            "forgotPassword",
            "Have a link mailed by which to choose a new password",
            accepted(),
            (DocumentInvalid, MailNotConfigured, ParameterInvalid),
            body=Body(reference("Forgotten"), {"email": "ada@example.com"}),
            is_public=True,
        ),
        _operation(
            "/password/reset",
            "resetPassword",
            "Choose a new password by a mailed link",
            Answer(204, "It is changed, and all sessions have ended."),
            (DocumentInvalid, LinkInvalid, ParameterInvalid),
            body=Body(reference("PasswordReset"), {"token": _TOKEN, "password": _PASSWORD}),
            is_public=True,
        ),
    ]


def _addresses() -> list[Operation]:
    wanted = {"email": "ada@example.org", "password": "correct horse battery staple"}
    return [
        _operation(
            "/email",
            "changeEmail",
            "Have a link mailed to another address, which then becomes the caller's",
            accepted(),
            (*_CONFIRMED, MailNotConfigured),
            body=Body(reference("EmailChange"), wanted),
        ),
        _operation(
            "/email/verify",
            "verifyEmail",
            "Verify or change an address by a mailed link, and the password or the session",
            Answer(204, "The address is the account's, and verified."),
            (
                DocumentInvalid,
                LinkInvalid,
                Duplicate,
                PasswordWrong,
                PasswordAbsent,
                Locked,
                ParameterInvalid,
            ),
            body=Body(reference("Verification"), {"token": _TOKEN, "password": _PASSWORD}),
            is_public=True,
        ),
        _operation(
            "/email/verify/resend",
            "resendVerification",
            "Have the link that verifies the caller's address mailed once more",
            accepted(),
            (SignInRequired, EmailVerified, MailNotConfigured, ParameterInvalid),
        ),
    ]


def _operation(
    path: str,
    name: str,
    summary: str,
    answer: Answer,
    failures: tuple[Any, ...],
    *,
    body: Body | None = None,
    is_public: bool = False,
) -> Operation:
    return Operation(
        method="post",
        path=f"/api/auth{path}",
        id=name,
        tag="Accounts",
        summary=summary,
        answers=(answer,),
        failures=failures,
        bodies=None if body is None else {JSON: body},
        access="anyone" if is_public else "signed in",
    )
