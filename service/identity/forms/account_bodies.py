"""What the endpoints of accounts read: registering, signing in, changing one's own profile."""

from typing import Annotated

from email_validator import validate_email
from pydantic import AfterValidator, Field

from service.identity.core.browsers import Mode
from service.identity.core.passwords import MAXIMUM_CHARACTERS, MINIMUM_CHARACTERS
from service.kit.forms import Form

MAXIMUM_EMAIL_CHARACTERS = 320
MAXIMUM_NAME_CHARACTERS = 200


def normalised_email(address: str) -> str:
    """Give the one spelling of an e-mail address (RFC 5321, 6531); raises ValueError, saying what is wrong.

    Whether mail would arrive is not asked: that needs the network. Domains under `.test` are for trying out.

    >>> normalised_email("Ada@EXAMPLE.com")
    'Ada@example.com'
    """
    return validate_email(address, check_deliverability=False, test_environment=True).normalized


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
