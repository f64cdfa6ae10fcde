"""Access tokens: JSON Web Tokens signed by a key of the ring (RFC 7519, 8725), and their rotation."""

import re
import secrets
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from jose import jwt
from jose.exceptions import ExpiredSignatureError, JOSEError

from service.access.principals import Principal
from service.identity.core import signing_keys
from service.identity.core.signing_keys import KeyRing, SigningKey
from service.kit.errors import TokenInvalid

TOKEN_KIND = "access"  # noqa: S105  # a claim's value, not a secret
MAXIMUM_TOKEN_CHARACTERS = 8192
"""Twice what an account's claims come to at the most; the signature of a long RSA key takes its part."""

MAXIMUM_REMEMBERED = 4096
"""Verified tokens kept per worker, the least recently used leaving first; some 500 bytes each."""

MAXIMUM_CLOCK_SKEW_S = 60
"""How far in the future another worker's clock may have issued a token."""

REQUIRED_CLAIMS = ("iss", "aud", "sub", "exp", "iat", "jti", "sid")

HEADERS = frozenset({"alg", "kid", "typ"})
"""The header's members that we write; a token with another one, such as a key of its own, is not ours."""

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_OPTIONS = {f"require_{claim}": True for claim in REQUIRED_CLAIMS if claim != "sid"}


class _Verified(NamedTuple):
    principal: Principal
    expires_at: int


class Tokens:
    """Issues tokens and reads them, for `ttl_s` seconds each.

    The first of `keys` that can sign signs, else `secret`; what any of them signed is read, and what was
    signed under an earlier secret.
    """

    def __init__(
        self,
        secret: str,
        previous: Iterable[str],
        issuer: str,
        audience: str,
        ttl_s: int,
        *,
        keys: Sequence[SigningKey] = (),
    ) -> None:
        self.ttl_s = ttl_s
        self._issuer = issuer
        self._audience = audience
        self.ring = KeyRing([*keys, *(signing_keys.of_secret(each) for each in (secret, *previous))])
        # Verifying costs 30 to 100 µs, remembering a quarter of one; failures are not remembered.
        self._verified = lru_cache(MAXIMUM_REMEMBERED)(self._verify)

    def issue(self, principal: Principal) -> str:
        """Return a new token that speaks for a user of a session, valid from now on for `ttl_s` seconds."""
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": principal.id,
            "exp": now + self.ttl_s,
            "iat": now,
            "jti": secrets.token_urlsafe(16),
            "typ": TOKEN_KIND,
            "sid": principal.session_id,
            "epoch": principal.epoch,
            "roles": sorted(principal.roles),
            "email": principal.email,
            "email_verified": principal.is_email_verified,
            "name": principal.name,
            "attributes": dict(principal.attributes),
        }
        return self.ring.sign(claims)

    def read(self, token: str) -> Principal:
        """Return whom a token speaks for; raises TokenInvalid, which only tells expiry apart.

        The algorithm, the key's id, and each claim's presence, type and value are checked.
        """
        if len(token) > MAXIMUM_TOKEN_CHARACTERS:
            raise TokenInvalid
        verified = self._verified(token)
        if verified.expires_at <= time.time():
            raise _expired()
        return verified.principal

    def _verify(self, token: str) -> _Verified:
        if _COMPACT.fullmatch(token) is None:
            raise TokenInvalid
        try:
            key = self._key_of(token)
            claims = jwt.decode(
                token,
                key.verifier,
                algorithms=[key.algorithm],  # the key's own: what the token says only has to agree
                options=_OPTIONS,
                audience=self._audience,
                issuer=self._issuer,
            )
        except ExpiredSignatureError:
            raise _expired() from None
        except (JOSEError, ValueError, TypeError, RecursionError):
            raise TokenInvalid from None
        if not self._has_right_claims(claims):
            raise TokenInvalid
        # What was issued for longer, before the setting was lowered, would outlive what revokes it.
        expires_at = min(claims["exp"], claims["iat"] + self.ttl_s)
        return _Verified(_principal(claims, expires_at), expires_at)

    def _key_of(self, token: str) -> SigningKey:
        """Find the key by the header's `kid`, which is only ever looked up among the keys that we hold."""
        header = jwt.get_unverified_header(token)
        key = self.ring.find(header.get("kid")) if HEADERS.issuperset(header) else None
        if key is None:
            raise TokenInvalid
        return key

    def _has_right_claims(self, claims: dict[str, Any]) -> bool:
        """Check what the library does not: types, our kind of token, one audience, the time of issue."""
        roles = claims.get("roles")
        return (
            claims.get("typ") == TOKEN_KIND
            and claims["aud"] == self._audience
            and type(claims["exp"]) is int
            and type(claims["iat"]) is int
            and claims["iat"] <= time.time() + MAXIMUM_CLOCK_SKEW_S
            and bool(claims["sub"])
            and isinstance(claims.get("sid"), str)
            and bool(claims["sid"])
            and type(claims.get("epoch")) is int
            and isinstance(roles, list)
            and all(isinstance(role, str) for role in roles)
            and isinstance(claims.get("attributes"), dict)
        )


def _principal(claims: dict[str, Any], expires_at_s: float) -> Principal:
    return Principal(
        kind="user",
        id=claims["sub"],
        roles=frozenset(claims["roles"]),
        session_id=claims["sid"],
        epoch=claims["epoch"],
        email=claims.get("email"),
        is_email_verified=claims.get("email_verified") is True,
        name=claims.get("name"),
        attributes=MappingProxyType(claims["attributes"]),
        expires_at_s=expires_at_s,
    )


def _expired() -> TokenInvalid:
    return TokenInvalid("The access token has expired", hint="Sign in again to get a new one.")
