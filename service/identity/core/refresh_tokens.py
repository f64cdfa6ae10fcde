"""Refresh tokens: opaque, random, and recognisable as ours, so that a made-up one can do no harm."""

import re
import secrets
from typing import NamedTuple

from service.kit.base64url import decoded, encoded
from service.kit.sealing import Sealer

ID_BYTES = 16
RANDOM_BYTES = 32
MAXIMUM_CHARACTERS = 128

_PURPOSE = "refresh token"
_SUCCESSOR = "refresh successor"
_FORM = re.compile(r"([A-Za-z0-9_-]{22})\.(0|[1-9][0-9]{0,9})\.([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})")


class Claim(NamedTuple):
    """What a token claims to be; `is_ours` tells whether the service has made it, under a secret in use."""

    session_id: str
    generation: int
    is_ours: bool


class RefreshTokens:
    """Makes and recognises refresh tokens: `<session>.<generation>.<256 random bits>.<code>`.

    Whether one is valid its stored hash decides. The code only shows that it was given out once, which is
    what a reuse is told by (RFC 9700, 4.14.2): who knows no more than a session's id cannot feign one. So
    tokens stay valid when the secret changes.
    """

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def issue(self, session_id: str, generation: int) -> str:
        """Make a session's token of a generation, counted from 0."""
        content = f"{session_id}.{generation}.{secrets.token_urlsafe(RANDOM_BYTES)}"
        return f"{content}.{encoded(self._sealer.code(_PURPOSE, content.encode()))}"

    def read(self, token: str) -> Claim | None:
        """Return what a token claims to be; None for what has not the form of one."""
        if len(token) > MAXIMUM_CHARACTERS:
            return None
        found = _FORM.fullmatch(token)
        if found is None:
            return None
        content, _, code = token.rpartition(".")
        given = decoded(code)
        is_ours = given is not None and self._sealer.is_ours(_PURPOSE, given, content.encode())
        return Claim(found[1], int(found[2]), is_ours)


def new_session_id() -> str:
    """Return an id for a session: 128 random bits."""
    return secrets.token_urlsafe(ID_BYTES)


def seal_successor(token: str, successor: str) -> str:
    """Seal a token's successor so that it takes the token itself to open it."""
    return Sealer((token,)).seal(_SUCCESSOR, successor.encode())


def open_successor(token: str, sealed: str) -> str | None:
    """Return a token's successor; None if something else was sealed, or for another token."""
    content = Sealer((token,)).unseal(_SUCCESSOR, sealed)
    return None if content is None else content.decode()
