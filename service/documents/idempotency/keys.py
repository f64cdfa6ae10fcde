"""The keys that clients give their requests, and what tells one request from another."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

from service.access.principals import Principal
from service.kit.errors import RequestInvalid

MAXIMUM_KEY_LENGTH = 255

MINIMUM_ANONYMOUS_KEY_LENGTH = 20
"""Callers without an account are told apart by their keys alone, which nobody may guess; a UUID has 36."""

_STRING = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')  # RFC 9651, 3.3.3
_BARE = re.compile(r"[!#-+\--~]*")  # visible ASCII without `"` and `,`
_ESCAPE = re.compile(r"\\(.)")
_DIGEST_BYTES = 24


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request under a key: `slot` hashes caller and key, `fingerprint` what makes the request this one."""

    slot: str
    fingerprint: str
    owner: str | None

    @classmethod
    def of(cls, principal: Principal, key: str, parts: Sequence[bytes]) -> Self:
        """Make it from who asks, the key and the request's parts; raises RequestInvalid.

        The same key of another user, or of another API key, is another key. Those who are not signed in share
        one name, so that theirs must be too long to be met by chance: their addresses are shared by whole
        offices, and change between a request and its repeat. The key, which is not stored, is also in the
        fingerprint: a body may hold a password, which nobody shall guess by a hash of the rest.
        """
        if principal.id is None and len(key) < MINIMUM_ANONYMOUS_KEY_LENGTH:
            least = MINIMUM_ANONYMOUS_KEY_LENGTH
            raise RequestInvalid(
                f"Without signing in, an Idempotency-Key has at least {least} characters",
                hint="Make a random one for each request, such as a UUID.",
            )
        caller = f"{principal.kind} {principal.id or ''}"
        if principal.key_id is not None:
            caller += f" {principal.key_id}"
        return cls(_hash(caller.encode(), key.encode()), _hash(key.encode(), *parts), principal.id)


def read(values: Sequence[str]) -> str | None:
    r"""Read the key of an `Idempotency-Key` header, None without one; raises RequestInvalid.

    It is a string of structured fields (draft-ietf-httpapi-idempotency-key-header-07); without the quotes,
    as most clients send it, it is the same key.

    >>> read(['"8e03978e"']), read(["8e03978e"]), read([])
    ('8e03978e', '8e03978e', None)
    >>> read([r'"a \"b\" c"'])
    'a "b" c'
    """
    if not values:
        return None
    if len(values) > 1:
        raise RequestInvalid("Send one Idempotency-Key header, not several")
    text = values[0].strip(" \t")
    if quoted := _STRING.fullmatch(text):
        key = _ESCAPE.sub(r"\1", quoted[1])
    elif _BARE.fullmatch(text):
        key = text
    else:
        raise RequestInvalid(
            "An Idempotency-Key is one string of visible ASCII characters, in quotes when spaces or commas "
            "are in it"
        )
    if not 0 < len(key) <= MAXIMUM_KEY_LENGTH:
        raise RequestInvalid(f"An Idempotency-Key has 1 to {MAXIMUM_KEY_LENGTH} characters")
    return key


def _hash(*parts: bytes) -> str:
    """Hash parts so that no two lists of them meet.

    >>> _hash(b"a", b"bc") == _hash(b"ab", b"c")
    False
    """
    digest = blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
