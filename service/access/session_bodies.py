"""What the endpoints of sessions read."""

from pydantic import Field

from service.access.bodies import Form
from service.access.refresh_tokens import MAXIMUM_CHARACTERS


class RefreshForm(Form):
    """A refresh token, from a client that keeps its tokens by itself."""

    refresh_token: str = Field(max_length=MAXIMUM_CHARACTERS)
