"""A person who signs in."""

from typing import Annotated, Any

from beanie import Document, Indexed
from pydantic import Field

from models.base import Stored

ADMIN = "admin"


class User(Stored, Document):
    """An account; nothing secret of it ever leaves the service.

    `epoch` grows whenever what its tokens say is no longer so: roles, address, attributes, disabled. Without
    a `password_hash` it signs in through a provider only.
    """

    email: str = Field(max_length=320)
    email_key: Annotated[str, Indexed(unique=True)]  # the address as accounts are told apart: casefolded
    is_email_verified: bool = False
    password_hash: str | None = None
    name: str | None = Field(default=None, max_length=200)
    roles: list[str] = Field(default_factory=list)
    attributes: dict[str, Any] = Field(default_factory=dict)  # flat; set by administrators, read by rules
    is_disabled: bool = False
    epoch: int = 0

    class Settings:
        """Where it is stored."""

        name = "_users"
