"""What apps send to end a sign-in at a provider."""

from pydantic import Field

from service.identity.core.hashing import MAXIMUM_CHARACTERS
from service.kit.forms import Form

MAXIMUM_CODE_CHARACTERS = 200
VERIFIER_PATTERN = r"^[A-Za-z0-9._~-]{43,128}$"


class CodeExchange(Form):
    """The code that a sign-in returned with, and the verifier of the challenge it began with (RFC 7636)."""

    code: str = Field(max_length=MAXIMUM_CODE_CHARACTERS)
    code_verifier: str = Field(pattern=VERIFIER_PATTERN)


class Linking(CodeExchange):
    """The same, and the present password, unless the account has none: a link is a key to the account."""

    password: str | None = Field(default=None, max_length=MAXIMUM_CHARACTERS)
