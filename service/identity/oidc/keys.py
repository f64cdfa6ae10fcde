"""A provider's public keys (RFC 7517), remembered for a while, and read again for a token with a new one."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from jose.backends.base import Key
from jose.exceptions import JOSEError
from jose.jwk import construct

from service.kit.errors import ProviderInvalid

TTL_S = 3600.0
PAUSE_S = 10.0
"""How long after an unknown key's id the keys are not read again for another one."""

MAXIMUM_KEYS = 100

KINDS = {"RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "ES256": "EC", "ES384": "EC", "ES512": "EC"}
"""The signature algorithms that are accepted, and the kind of key each takes; all are asymmetric."""


class Keys:
    """The keys of one provider, which `fetch` reads."""

    def __init__(self, fetch: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
        self._fetch = fetch
        self._known: list[Mapping[str, Any]] = []
        self._read_at_s = float("-inf")
        self._missed_at_s = float("-inf")

    async def find(self, key_id: str | None, algorithm: str) -> Key:
        """Give the key for a token's header; raises ProviderInvalid, ProviderUnavailable.

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
