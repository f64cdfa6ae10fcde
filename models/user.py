"""A person who signs in with an e-mail address and a password."""

from typing import Annotated

from beanie import Document, Indexed
from pydantic import Field

from models.base import Stored

ADMIN = "admin"


class User(Stored, Document):
    """An account; its hash never leaves the service."""

    email: str = Field(max_length=320)
    email_key: Annotated[str, Indexed(unique=True)]  # the address as accounts are told apart: casefolded
    password_hash: str
    name: str | None = Field(default=None, max_length=200)
    roles: list[str] = Field(default_factory=list)
    is_disabled: bool = False

    class Settings:
        """Where it is stored."""

        name = "_users"
