"""A person who signs in."""

from datetime import datetime
from typing import Annotated, Any

from beanie import Document, Indexed
from pydantic import BaseModel, Field
from pymongo import IndexModel

from models.base import Stored

ADMIN = "admin"


class LinkedIdentity(BaseModel):
    """Somebody at an OpenID Connect provider, who signs in to the account there."""

    issuer: str
    subject: str
    linked_at: datetime


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
    keys_made: int = 0  # each new API key counts, so that of two at once one waits for the other
    sign_outs: int = 0  # how often all sessions were ended at once; see service/identity/core/sessions.py
    signed_in_at: datetime | None = None
    identities: list[LinkedIdentity] = Field(default_factory=list)  # at most one of each issuer

    class Settings:
        """Where it is stored."""

        name = "_users"
        indexes = [
            IndexModel(
                [("identities.issuer", 1), ("identities.subject", 1)],
                unique=True,
                partialFilterExpression={"identities.subject": {"$exists": True}},
            )
        ]
