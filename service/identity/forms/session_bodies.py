"""What the endpoints of sessions read."""

from pydantic import Field

from service.identity.core.refresh_tokens import MAXIMUM_CHARACTERS
from service.kit.forms import Form


class RefreshForm(Form):
    """A refresh token, from a client that keeps its tokens by itself."""

    refresh_token: str = Field(max_length=MAXIMUM_CHARACTERS)
