"""The keys that sign and verify access tokens: HS256, RS256, ES256 (RFC 7518), each with a name."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from jose import jws
from jose.backends.base import Key
from jose.exceptions import JWKError
from jose.jwk import construct

from service.kit.errors import StartupFailure

Algorithm = Literal["HS256", "RS256", "ES256"]
Kind = Literal["ec", "rsa"]

VARIABLE = "SHEAF_JWT_KEYS"
MINIMUM_RSA_BITS = 2048
MAXIMUM_RSA_BITS = 8192
NEW_RSA_BITS = 3072
MAXIMUM_FILE_BYTES = 65_536
MAXIMUM_KEYS = 20

_PRIVATE = b"PRIVATE KEY-----"
_THUMBPRINT_MEMBERS = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y")}


class KeyUnfit(ValueError):
    """A PEM file is not a key that can sign or verify tokens here; says why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key with its one algorithm; `signer` is None when it only verifies.

    `public` is what may be published: a JSON Web Key (RFC 7517), None for a shared secret.
    """

    id: str
    algorithm: Algorithm
    verifier: Key = field(repr=False)
    signer: Key | None = field(default=None, repr=False)
    public: Mapping[str, str] | None = None


class KeyRing:
    """The keys that are held: the first of them that can sign signs, each verifies by its own algorithm."""

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        signers = [(key, key.signer) for key in keys if key.signer is not None]
        if not signers:
            raise ValueError("one of the keys must be able to sign")
        self.present, self._signer = signers[0]
        self._by_id = {key.id: key for key in keys}

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a JSON Web Token with these claims, signed by the present key."""
        payload = orjson.dumps(claims)  # UTF-8: escaped, letters beyond ASCII would take twice the room
        algorithm, headers = self.present.algorithm, {"kid": self.present.id}
        return jws.sign(payload, self._signer, headers=headers, algorithm=algorithm)

    def find(self, name: object) -> SigningKey | None:
        """Return the key of a name, which is only ever looked up among those that are held."""
        return self._by_id.get(name) if isinstance(name, str) else None

    def published(self) -> list[dict[str, str]]:
        """Return the public halves of the asymmetric keys as JSON Web Keys (RFC 7517), never more."""
        return [dict(key.public) for key in self._by_id.values() if key.public is not None]


def of_secret(secret: str) -> SigningKey:
    """Make the key of a secret that is shared by all who issue and read tokens: HS256.

    Raises StartupFailure for a key that belongs to another algorithm, of which a half may be known to others.
    """
    try:
        key = construct(secret.encode(), "HS256")
    except JWKError:
        raise StartupFailure(
            f"SHEAF_JWT_SECRET is a key in PEM or SSH format; name its file in {VARIABLE}, and make a secret."
        ) from None
    return SigningKey(key_id(secret), "HS256", verifier=key, signer=key)


def key_id(secret: str) -> str:
    """Name a secret by its JSON Web Key thumbprint (RFC 7638), shortened; it does not give the secret away.

    >>> key_id("an example secret of 32 bytes...")
    'cWxt9YBVCsc0bao5'
    """
    encoded = urlsafe_b64encode(secret.encode()).rstrip(b"=").decode()
    digest = hashlib.sha256(f'{{"k":"{encoded}","kty":"oct"}}'.encode()).digest()
    return urlsafe_b64encode(digest[:12]).decode()


def thumbprint(public: Mapping[str, str]) -> str:
    """Return the thumbprint of a public JSON Web Key (RFC 7638, 3), by which it is named."""
    members = {name: public[name] for name in _THUMBPRINT_MEMBERS[public["kty"]]}
    digest = hashlib.sha256(orjson.dumps(members, option=orjson.OPT_SORT_KEYS)).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def read_pem(content: bytes) -> SigningKey:
    """Read a private key, which signs, or a public one, which only verifies; raises KeyUnfit.

    RSA of 2048 to 8192 bits signs by RS256, P-256 by ES256: the key decides, never what a token says.
    """
    if len(content) > MAXIMUM_FILE_BYTES:
        raise KeyUnfit("is too large to be a key")
    is_private = _PRIVATE in content
    try:
        loaded: Any = load_pem_private_key(content, None) if is_private else load_pem_public_key(content)
    except TypeError:
        raise KeyUnfit("is encrypted; store it without a passphrase") from None
    except Exception:  # noqa: BLE001  # whatever the parser meets, nothing of the file may be told
        raise KeyUnfit("is not a private or public key in PEM format") from None
    public = loaded.public_key() if is_private else loaded
    algorithm = _algorithm_of(public)
    verifier = construct(public, algorithm)
    members = {name: str(value) for name, value in verifier.to_dict().items() if name != "alg"}
    name = thumbprint(members)
    return SigningKey(
        name,
        algorithm,
        verifier,
        signer=construct(loaded, algorithm) if is_private else None,
        public={**members, "use": "sig", "alg": algorithm, "kid": name},
    )


def read_files(paths: Iterable[Path]) -> list[SigningKey]:
    """Read the keys of PEM files; raises StartupFailure naming the setting and the file, never its content.

    Of a key that is there twice, as when its public half lies beside it, the one that can sign is kept.
    """
    keys: dict[str, SigningKey] = {}
    for path in paths:
        key = _read_file(path)
        known = keys.get(key.id)
        if known is None or known.signer is None:
            keys[key.id] = key
    if len(keys) > MAXIMUM_KEYS:
        raise StartupFailure(f"{VARIABLE} names {len(keys)} keys; {MAXIMUM_KEYS} are the most.")
    return list(keys.values())


def generate(kind: Kind) -> tuple[bytes, bytes]:
    """Make a new key; returns its private and its public half in PEM format."""
    made: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    made = (
        ec.generate_private_key(ec.SECP256R1())
        if kind == "ec"
        else rsa.generate_private_key(65537, NEW_RSA_BITS)
    )
    return (
        made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )


def _algorithm_of(public: Any) -> Algorithm:
    if isinstance(public, rsa.RSAPublicKey):
        if not MINIMUM_RSA_BITS <= public.key_size <= MAXIMUM_RSA_BITS:
            raise KeyUnfit(
                f"is an RSA key of {public.key_size} bits; it needs {MINIMUM_RSA_BITS} to {MAXIMUM_RSA_BITS}"
            )
        return "RS256"
    if isinstance(public, ec.EllipticCurvePublicKey):
        if not isinstance(public.curve, ec.SECP256R1):
            raise KeyUnfit(f"is on the curve {public.curve.name}; only P-256 signs here")
        return "ES256"
    raise KeyUnfit("is neither an RSA key nor one on the curve P-256")


def _read_file(path: Path) -> SigningKey:
    try:
        if not path.is_file():  # a device or a pipe might never end
            raise FileNotFoundError(2, "there is no such file")
        with path.open("rb") as file:
            content = file.read(MAXIMUM_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a path"
        raise StartupFailure(f"{VARIABLE} names {path}, which cannot be read: {reason.lower()}.") from None
    try:
        return read_pem(content)
    except KeyUnfit as fault:
        raise StartupFailure(f"{VARIABLE} names {path}, which {fault}.") from None
