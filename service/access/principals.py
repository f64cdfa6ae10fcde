"""Who asks: nobody in particular, or a signed-in user."""

import re
from dataclasses import dataclass
from typing import Literal

ADMIN = "admin"
"""The role that every rule lets pass."""

ROLE_PATTERN = re.compile(r"[a-z][a-z0-9_-]{0,62}")
"""What a role may be called."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The one on whose behalf a request acts; `id` is the user's id, None for the anonymous caller."""

    kind: Literal["anonymous", "user"]
    id: str | None
    roles: frozenset[str]

    @property
    def is_signed_in(self) -> bool:
        """Tell whether the caller proved who it is."""
        return self.kind != "anonymous"

    @property
    def is_admin(self) -> bool:
        """Tell whether every rule lets this caller pass.

        >>> ANONYMOUS.is_admin, Principal("user", "1", frozenset({"admin"})).is_admin
        (False, True)
        """
        return ADMIN in self.roles


ANONYMOUS = Principal(kind="anonymous", id=None, roles=frozenset())

OPERATOR = Principal(kind="user", id=None, roles=frozenset({ADMIN}))
"""Whoever runs commands on the service's own machine: an administrator, but no account."""
