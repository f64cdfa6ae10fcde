"""ID tokens: whether one is what the provider says to us of this sign-in (OpenID Connect Core, 3.1.3.7)."""

import hmac
import math
import re
import time
from typing import Any

from jose import jwt
from jose.exceptions import JOSEError

from service.identity.oidc.keys import KINDS, Keys
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


async def verify(
    token: object, keys: Keys, *, issuer: str, client_id: str, nonce: str, access_token: str | None
) -> dict[str, Any]:
    """Give an ID token's claims once all of it holds; raises ProviderInvalid, ProviderUnavailable.

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
    told = claims.get("nonce")
    if not isinstance(told, str) or not hmac.compare_digest(told.encode(errors="replace"), nonce.encode()):
        raise _untrue("belongs to another sign-in")
    subject = claims["sub"]
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise _untrue("names nobody")


def _untrue(why: str) -> ProviderInvalid:
    return ProviderInvalid(f"The provider's ID token {why}")
