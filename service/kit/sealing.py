"""What only this service can read or have written: sealed text, and codes of authenticity; base64url."""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def base64url(content: bytes) -> str:
    """Write bytes without padding.

    >>> base64url(b"abc?")
    'YWJjPw'
    """
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes | None:
    """Read what `encoded` wrote; None for anything else, also for another spelling of the same bytes.

    >>> from_base64url("YWJjPw"), from_base64url("YWJjPx"), from_base64url("é")
    (b'abc?', None, None)
    """
    try:
        content = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:
        return None
    return content if base64url(content) == text else None


NONCE_BYTES = 12
KEY_BYTES = 32


class Sealer:
    """Seals under the first of some secrets, and opens what any of them sealed; a key for each purpose.

    What one purpose has made is nothing to another.
    """

    def __init__(self, secrets_: Sequence[str]) -> None:
        self._secrets = tuple(secrets_)
        self._keys: dict[str, tuple[bytes, ...]] = {}

    def code(self, purpose: str, *parts: bytes) -> bytes:
        """Return the code (HMAC-SHA256) that shows that parts were put together here."""
        return _code(self._keys_of(purpose)[0], parts)

    def is_ours(self, purpose: str, code: bytes, *parts: bytes) -> bool:
        """Return whether a code is that of these parts, under any of the secrets."""
        return any(hmac.compare_digest(_code(key, parts), code) for key in self._keys_of(purpose))

    def seal(self, purpose: str, content: bytes) -> str:
        """Encrypt (AES-256-GCM); returns text that is safe in URLs."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + AESGCM(self._keys_of(purpose)[0]).encrypt(nonce, content, purpose.encode())
        return urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def unseal(self, purpose: str, sealed: str) -> bytes | None:
        """Decrypt what was sealed for a purpose; None for anything else, whatever it is."""
        try:
            content = urlsafe_b64decode(sealed.encode("ascii") + b"=" * (-len(sealed) % 4))
        except ValueError:
            return None
        nonce, encrypted = content[:NONCE_BYTES], content[NONCE_BYTES:]
        for key in self._keys_of(purpose):
            try:
                return AESGCM(key).decrypt(nonce, encrypted, purpose.encode())
            except (InvalidTag, ValueError):
                continue
        return None

    def _keys_of(self, purpose: str) -> tuple[bytes, ...]:
        """Derive the purpose's keys (HKDF, RFC 5869), once; purposes are words of this program."""
        if purpose not in self._keys:
            self._keys[purpose] = tuple(_derived(each, purpose) for each in self._secrets)
        return self._keys[purpose]


def digest(token: str) -> str:
    """Return the hash under which a random token is stored; it has entropy enough for a quick one.

    >>> digest("abc")[:16]
    'ba7816bf8f01cfea'
    """
    return hashlib.sha256(token.encode()).hexdigest()


def _derived(secret: str, purpose: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"sheaf {purpose}".encode()).derive(secret.encode())


def _code(key: bytes, parts: Sequence[bytes]) -> bytes:
    """Hash parts with their lengths, so that no two lists of parts are alike."""
    code = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        code.update(len(part).to_bytes(8, "big"))
        code.update(part)
    return code.digest()
