"""What the endpoints of the second factor read."""

from pydantic import Field

from service.identity.core.hashing import MAXIMUM_CHARACTERS
from service.kit.forms import Form

MAXIMUM_CODE_CHARACTERS = 64
MAXIMUM_TOKEN_CHARACTERS = 200


class SecondStep(Form):
    """The second step of a sign-in: the token of the first one, and a code of the app or for recovery."""

    token: str = Field(max_length=MAXIMUM_TOKEN_CHARACTERS)
    code: str = Field(max_length=MAXIMUM_CODE_CHARACTERS)


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
