"""What identity endpoints read: strict forms whose every fault becomes a violation with its pointer."""

from typing import Annotated, Any, TypeVar

from email_validator import validate_email
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from service.access.browsers import Mode
from service.access.passwords import MAXIMUM_CHARACTERS, MINIMUM_CHARACTERS
from service.errors import MAXIMUM_VIOLATIONS, DocumentInvalid, Violation, suggestion

MAXIMUM_EMAIL_CHARACTERS = 320
MAXIMUM_NAME_CHARACTERS = 200

CODES = {
    "missing": "required",
    "extra_forbidden": "additionalProperties",
    "string_too_short": "minLength",
    "string_too_long": "maxLength",
    "value_error": "format",
    "literal_error": "enum",
}
"""JSON Schema's keyword for each fault that pydantic finds; the others are of `type`."""


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


class Form(BaseModel):
    """A body with exactly these members, each of exactly its type."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


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


AnyForm = TypeVar("AnyForm", bound=Form)


def read(form: type[AnyForm], value: Any) -> AnyForm:
    """Read a JSON value as a form; raises DocumentInvalid with every violation, never showing the input.

    >>> read(Credentials, {"email": "ada@example.com", "password": "secret"}).email
    'ada@example.com'
    """
    try:
        return form.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
    if not isinstance(value, dict):
        raise DocumentInvalid("The body must be a JSON object")
    violations = [_violation(form, each) for each in found[:MAXIMUM_VIOLATIONS]]
    number = len(found)
    detail = "1 field is invalid" if number == 1 else f"{number} fields are invalid"
    raise DocumentInvalid(detail, errors=violations)


def _violation(form: type[Form], error: ErrorDetails) -> Violation:
    name = str(error["loc"][0])
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    code = CODES.get(error["type"], "type")
    if code == "required":
        return Violation(f"`{name}` is required", code, pointer)
    if code == "additionalProperties":
        detail = f"`{name[:80]}` cannot be given here"
        return Violation(detail, code, pointer, hint=suggestion(name[:80], form.model_fields))
    return Violation(error["msg"].removeprefix("Value error, "), code, pointer)
