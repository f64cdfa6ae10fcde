"""What the endpoints of accounts read: registering, signing in, changing one's own profile."""

from typing import Annotated

from pydantic import AfterValidator, Field

from service.identity.core.accounts import (
    MAXIMUM_EMAIL_CHARACTERS,
    MAXIMUM_NAME_CHARACTERS,
    normalised_email,
)
from service.identity.core.browsers import Mode
from service.identity.core.hashing import MAXIMUM_CHARACTERS, MINIMUM_CHARACTERS
from service.kit.forms import Form

Email = Annotated[str, Field(max_length=MAXIMUM_EMAIL_CHARACTERS), AfterValidator(normalised_email)]
NewPassword = Annotated[str, Field(min_length=MINIMUM_CHARACTERS, max_length=MAXIMUM_CHARACTERS)]
Name = Annotated[str, Field(min_length=1, max_length=MAXIMUM_NAME_CHARACTERS)]


class Registration(Form):
    """What somebody gives to get an account."""

    email: Email
    password: NewPassword
    name: Name | None = None


class Credentials(Form):
    """What somebody gives to sign in; any text, so that only the account decides."""

    email: str = Field(max_length=MAXIMUM_EMAIL_CHARACTERS)
    password: str = Field(max_length=MAXIMUM_CHARACTERS)
    mode: Mode = "bearer"


class ProfileChange(Form):
    """What somebody may change about the own account, as a merge patch: null removes."""

    name: Name | None = None
