"""Who asks: nobody in particular, a signed-in user, or a program with a user's API key."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

NONE: Mapping[str, Any] = MappingProxyType({})

ADMIN = "admin"
"""The role that every rule lets pass."""

ROLE_PATTERN = re.compile(r"[a-z][a-z0-9_-]{0,62}")
"""What a role may be called."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The one on whose behalf a request acts; `id` is the user's id, None for the anonymous caller.

    A token is of one session (`session_id`), an API key (`key_id`) acts as its user, within its `scopes`.
    `epoch` counts the changes of what an account may do: revocations tell tokens of earlier ones. `email`,
    `name` and `attributes` (flat, set by administrators) are what rules read as `$user.*`. What the caller
    showed is valid until `expires_at_s`, in seconds since 1970.
    """

    kind: Literal["anonymous", "user", "key"]
    id: str | None
    roles: frozenset[str]
    session_id: str | None = None
    epoch: int = 0
    key_id: str | None = None
    scopes: frozenset[str] | None = None
    email: str | None = None
    is_email_verified: bool = False
    name: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=lambda: NONE, hash=False)
    expires_at_s: float | None = field(default=None, compare=False)

    @property
    def is_signed_in(self) -> bool:
        """Return whether the caller proved who it is."""
        return self.kind != "anonymous"

    @property
    def is_admin(self) -> bool:
        """Return whether every rule lets this caller pass.

        >>> ANONYMOUS.is_admin, Principal("user", "1", frozenset({"admin"})).is_admin
        (False, True)
        """
        return ADMIN in self.roles


ANONYMOUS = Principal(kind="anonymous", id=None, roles=frozenset())

OPERATOR = Principal(kind="user", id=None, roles=frozenset({ADMIN}))
"""Whoever runs commands on the service's own machine: an administrator, but no account."""
