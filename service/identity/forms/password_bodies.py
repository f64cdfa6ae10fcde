"""What the endpoints for passwords and addresses read."""

from pydantic import Field

from service.identity.core.hashing import MAXIMUM_CHARACTERS, MINIMUM_CHARACTERS
from service.identity.forms.account_bodies import Email
from service.kit.forms import Form

MAXIMUM_TOKEN_CHARACTERS = 200


class PasswordChange(Form):
    """What somebody who is signed in gives to choose another password."""

    current_password: str = Field(max_length=MAXIMUM_CHARACTERS)
    new_password: str = Field(min_length=MINIMUM_CHARACTERS, max_length=MAXIMUM_CHARACTERS)


class Forgotten(Form):
    """What somebody who cannot sign in gives to be sent a link."""

    email: Email


class PasswordReset(Form):
    """The token of a link, and the password that its owner chooses."""

    token: str = Field(min_length=1, max_length=MAXIMUM_TOKEN_CHARACTERS)
    password: str = Field(min_length=MINIMUM_CHARACTERS, max_length=MAXIMUM_CHARACTERS)


class Verification(Form):
    """The token of a link that proves an address, and the account's password from who is not signed in."""

    token: str = Field(min_length=1, max_length=MAXIMUM_TOKEN_CHARACTERS)
    password: str | None = Field(default=None, max_length=MAXIMUM_CHARACTERS)


class EmailChange(Form):
    """The address that somebody wants to have from now on, and the present password."""

    email: Email
    password: str = Field(max_length=MAXIMUM_CHARACTERS)
