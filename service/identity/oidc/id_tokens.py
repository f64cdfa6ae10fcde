"""ID tokens: verified by their provider's keys (OpenID Connect Core, 3.1.3.7), and who they speak for."""

import hmac
import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jose import jwt
from jose.backends.base import Key
from jose.exceptions import JOSEError
from jose.jwk import construct

from service.identity.core.accounts import MAXIMUM_NAME_CHARACTERS, normalised_email
from service.kit.errors import ProviderInvalid

MAXIMUM_CHARACTERS = 16_384
CLOCK_SKEW_S = 60
"""How far a provider's clock may be from ours."""

MAXIMUM_AGE_S = 600
"""How long ago a token may have been issued, which was asked for a moment ago."""

_SUBJECT = re.compile(r"[ -~]{1,255}")  # OpenID Connect Core, 2: ASCII, at most so long
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_REQUIRED = ("iss", "aud", "exp", "iat", "sub")
_OPTIONS = {"leeway": CLOCK_SKEW_S, **{f"require_{each}": True for each in _REQUIRED}}

TTL_S = 3600.0
PAUSE_S = 10.0
"""How long after an unknown key's id the keys are not read again for another one."""

MAXIMUM_KEYS = 100

KINDS = {"RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "ES256": "EC", "ES384": "EC", "ES512": "EC"}
"""The signature algorithms that are accepted, and the kind of key each takes; all are asymmetric."""


class Keys:
    """The public keys of one provider (RFC 7517), read by `fetch`.

    They are remembered for a while, and read again for a token with a new one.
    """

    def __init__(self, fetch: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
        self._fetch = fetch
        self._known: list[Mapping[str, Any]] = []
        self._read_at_s = float("-inf")
        self._missed_at_s = float("-inf")

    async def find(self, key_id: str | None, algorithm: str) -> Key:
        """Return the key for a token's header; raises ProviderInvalid, ProviderUnavailable.

        Whatever ids are presented, at most one reading in PAUSE_S is due to keys that are not known.
        """
        if time.monotonic() - self._read_at_s >= TTL_S:
            await self._read()
        found = self._fitting(key_id, algorithm)
        if found is None and time.monotonic() - self._missed_at_s >= PAUSE_S:
            self._missed_at_s = time.monotonic()
            await self._read()
            found = self._fitting(key_id, algorithm)
        if found is None:
            raise ProviderInvalid("The provider has signed with a key that it does not publish")
        try:
            return construct(dict(found), algorithm)
        except (JOSEError, ValueError, TypeError, KeyError):
            raise ProviderInvalid("The provider publishes a key that cannot be read") from None

    def _fitting(self, key_id: str | None, algorithm: str) -> Mapping[str, Any] | None:
        """Find the one key for a header; a header may leave the id out only where there is no choice."""
        fitting = [
            key
            for key in self._known
            if key.get("kty") == KINDS[algorithm]
            and key.get("use", "sig") == "sig"
            and key.get("alg", algorithm) == algorithm
            and (key_id is None or key.get("kid") == key_id)
        ]
        return fitting[0] if len(fitting) == 1 else None

    async def _read(self) -> None:
        keys = (await self._fetch()).get("keys")
        if not isinstance(keys, list) or len(keys) > MAXIMUM_KEYS:
            raise ProviderInvalid("The provider's keys cannot be read")
        self._known = [key for key in keys if isinstance(key, dict)]
        self._read_at_s = time.monotonic()


async def verify(
    token: object, keys: Keys, *, issuer: str, client_id: str, nonce: str, access_token: str | None
) -> dict[str, Any]:
    """Verify an ID token and return its claims; raises ProviderInvalid, ProviderUnavailable.

    The algorithm is one of an asymmetric few, whatever the header says: with `HS256` whoever knows the
    client's secret could sign, with `none` anybody.
    """
    if not isinstance(token, str) or len(token) > MAXIMUM_CHARACTERS or not _COMPACT.fullmatch(token):
        raise _untrue("is not a signed token")
    algorithm, key_id = _header(token)
    key = await keys.find(key_id, algorithm)
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            options=_OPTIONS,
            audience=client_id,
            issuer=issuer,
            access_token=access_token,
        )
    except (JOSEError, ValueError, TypeError, RecursionError, OverflowError):
        raise _untrue("does not hold") from None
    _check(claims, client_id, nonce)
    return claims


def _header(token: str) -> tuple[str, str | None]:
    try:
        header = jwt.get_unverified_header(token)
    except (JOSEError, RecursionError):
        raise _untrue("cannot be read") from None
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in KINDS:
        raise _untrue("is signed in a way that is not accepted")
    if "crit" in header or not (key_id is None or isinstance(key_id, str)):
        raise _untrue("has a header that is not understood")
    return algorithm, key_id


def _check(claims: dict[str, Any], client_id: str, nonce: str) -> None:
    """Check what the library does not: one audience, whom it was issued to, when, nonce, subject."""
    if claims["aud"] not in (client_id, [client_id]) or claims.get("azp", client_id) != client_id:
        raise _untrue("is meant for somebody else")
    issued_at = claims["iat"]
    if not isinstance(issued_at, int | float) or isinstance(issued_at, bool) or not math.isfinite(issued_at):
        raise _untrue("does not say when it was issued")
    if not -CLOCK_SKEW_S <= time.time() - issued_at <= MAXIMUM_AGE_S:
        raise _untrue("was issued at another time")
    claimed = claims.get("nonce")
    if not isinstance(claimed, str) or not hmac.compare_digest(
        claimed.encode(errors="replace"), nonce.encode()
    ):
        raise _untrue("belongs to another sign-in")
    subject = claims["sub"]
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise _untrue("names nobody")


def _untrue(why: str) -> ProviderInvalid:
    return ProviderInvalid(f"The provider's ID token {why}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody at a provider; `issuer` and `subject` together name one person for good, the address does not.

    `is_email_verified` only where the provider itself says so.
    """

    provider: str
    issuer: str
    subject: str
    email: str | None
    is_email_verified: bool
    name: str | None


def identity_of(provider: str, issuer: str, claims: Mapping[str, Any]) -> Identity:
    """Read the claims of a verified ID token (OpenID Connect Core, 5.1); a text `"true"` verifies nothing."""
    email = _email(claims.get("email"))
    return Identity(
        provider=provider,
        issuer=issuer,
        subject=claims["sub"],
        email=email,
        is_email_verified=email is not None and claims.get("email_verified") is True,
        name=_name(claims.get("name")),
    )


def _email(claimed: object) -> str | None:
    try:
        return normalised_email(claimed) if isinstance(claimed, str) else None
    except ValueError:
        return None


def _name(claimed: object) -> str | None:
    is_usable = isinstance(claimed, str) and claimed.strip() and claimed.isprintable()
    return str(claimed)[:MAXIMUM_NAME_CHARACTERS] if is_usable else None
