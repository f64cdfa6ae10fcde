"""Keys as they are read from files, what they sign, and what may be published of them."""

import time
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jose import jwt

from service.access.principals import Principal
from service.identity.core import signing_keys
from service.identity.core.signing_keys import KeyRing, Kind, SigningKey
from service.identity.core.tokens import Tokens
from service.kit.errors import StartupFailure, TokenInvalid

SECRET = "the present secret, which is long enough"
ANN = Principal("user", "64b64b64b64b64b64b64b64b", frozenset({"editor"}), session_id="s1")
KINDS: tuple[Kind, ...] = ("ec", "rsa")
ALGORITHMS = {"ec": "ES256", "rsa": "RS256"}
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

EARLIER_EC = b"""-----BEGIN EC PARAMETERS-----
BggqhkjOPQMBBw==
-----END EC PARAMETERS-----
"""


@cache
def pair(kind: Kind) -> tuple[bytes, bytes]:
    return signing_keys.generate(kind)


def private(kind: Kind) -> SigningKey:
    return signing_keys.read_pem(pair(kind)[0])


def public(kind: Kind) -> SigningKey:
    return signing_keys.read_pem(pair(kind)[1])


def tokens(*keys: SigningKey, secret: str = SECRET, previous: tuple[str, ...] = ()) -> Tokens:
    return Tokens(secret, previous, issuer="sheaf", audience="clients", ttl_s=900, keys=keys)


@pytest.mark.parametrize("kind", KINDS)
def test_key_signs_by_the_algorithm_of_its_kind_under_its_thumbprint(kind: Kind) -> None:
    issuing = tokens(private(kind))
    token = issuing.issue(ANN)
    assert jwt.get_unverified_header(token) == {
        "alg": ALGORITHMS[kind],
        "kid": private(kind).id,
        "typ": "JWT",
    }
    assert issuing.read(token) == ANN
    assert tokens(public(kind)).read(token) == ANN


def test_thumbprint_is_that_of_the_rfc() -> None:
    modulus = (  # RFC 7638, 3.1
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRX"
        "jBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs"
        "8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_"
        "xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    key = {"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert signing_keys.thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize("kind", KINDS)
def test_published_keys_have_the_public_half_only(kind: Kind) -> None:
    ring = KeyRing([private(kind), signing_keys.of_secret(SECRET)])
    [key] = ring.published()
    assert not PRIVATE_MEMBERS & set(key)
    assert key == {
        "use": "sig",
        "alg": ALGORITHMS[kind],
        "kid": private(kind).id,
        **(
            {"kty": "EC", "crv": "P-256", "x": key.get("x"), "y": key.get("y")}
            if kind == "ec"
            else {"kty": "RSA", "n": key.get("n"), "e": "AQAB"}
        ),
    }
    before = int(time.time())
    token = tokens(private(kind)).issue(ANN)
    after = time.time()
    stated = jwt.decode(token, key, algorithms=[ALGORITHMS[kind]], audience="clients", issuer="sheaf")
    assert stated["sub"] == ANN.id
    assert before <= stated["exp"] - 900 <= after


def test_shared_secrets_are_not_published() -> None:
    assert KeyRing([signing_keys.of_secret(SECRET)]).published() == []


# --- rotation: at each step, tokens from the steps before and after are read


ROTATIONS: dict[str, Callable[[], list[Tokens]]] = {
    "from a secret to a key": lambda: [tokens(), tokens(public("ec")), tokens(private("ec"))],
    "from a key to another": lambda: [
        tokens(private("ec")),
        tokens(private("ec"), public("rsa")),
        tokens(private("rsa"), public("ec")),
    ],
    "with private keys alone": lambda: [
        tokens(private("ec")),
        tokens(private("ec"), private("rsa")),
        tokens(private("rsa"), private("ec")),
    ],
    "from a secret to another": lambda: [
        tokens(),
        tokens(previous=("another secret, which is long enough",)),
        tokens(secret="another secret, which is long enough", previous=(SECRET,)),
    ],
}


@pytest.mark.parametrize("steps", ROTATIONS.values(), ids=ROTATIONS)
def test_tokens_are_read_by_every_machine_during_a_rotation(
    steps: Callable[[], list[Tokens]],
) -> None:
    for before, after in pairwise(steps()):
        assert after.read(before.issue(ANN)) == ANN
        assert before.read(after.issue(ANN)) == ANN


def test_removed_key_reads_nothing() -> None:
    with pytest.raises(TokenInvalid):
        tokens(private("rsa")).read(tokens(private("ec")).issue(ANN))


def test_first_private_key_signs_and_public_ones_never() -> None:
    assert tokens(public("rsa"), private("ec"), private("rsa")).ring.present.id == private("ec").id
    assert tokens(public("rsa"), public("ec")).ring.present.algorithm == "HS256"


# --- files


def rsa_pem(bits: int, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return rsa.generate_private_key(65537, bits).private_bytes(Encoding.PEM, form, NoEncryption())


def ec_pem(curve: ec.EllipticCurve, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return ec.generate_private_key(curve).private_bytes(Encoding.PEM, form, NoEncryption())


def test_pem_forms_of_openssl_are_read() -> None:
    traditional = PrivateFormat.TraditionalOpenSSL
    assert signing_keys.read_pem(rsa_pem(2048, traditional)).algorithm == "RS256"
    assert signing_keys.read_pem(EARLIER_EC + ec_pem(ec.SECP256R1(), traditional)).algorithm == "ES256"


def encrypted() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))


def edwards() -> bytes:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


UNFIT = {
    "too short": (rsa_pem(1024), "is an RSA key of 1024 bits; it needs 2048 to 8192"),
    "another curve": (ec_pem(ec.SECP384R1()), "is on the curve secp384r1; only P-256 signs here"),
    "another kind": (edwards(), "is neither an RSA key nor one on the curve P-256"),
    "encrypted": (encrypted(), "is encrypted; store it without a passphrase"),
    "empty": (b"", "is not a private or public key in PEM format"),
    "no PEM": (b"a secret that must not be told", "is not a private or public key in PEM format"),
    "cut off": (pair("ec")[0][:90], "is not a private or public key in PEM format"),
    "public in name only": (
        pair("ec")[0].replace(b"PRIVATE", b"PUBLIC"),
        "is not a private or public key in PEM format",
    ),
    "large": (b"x" * 70_000, "is too large to be a key"),
}


@pytest.mark.parametrize(("content", "problem"), UNFIT.values(), ids=UNFIT)
def test_unfit_key_file_is_refused_in_one_sentence(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(StartupFailure) as caught:
        signing_keys.read_files([path])
    assert str(caught.value) == f"SHEAF_JWT_KEYS names {path}, which {problem}."


@pytest.mark.parametrize("name", ["absent.pem", ".", "a\0b", "/dev/zero"])
def test_unreadable_key_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(StartupFailure, match=r"SHEAF_JWT_KEYS names .*, which cannot be read: "):
        signing_keys.read_files([tmp_path / name])


def test_repeated_key_keeps_the_private_half(tmp_path: Path) -> None:
    for name, content in zip(("a", "b"), pair("ec"), strict=True):
        (tmp_path / name).write_bytes(content)
    for names in ("ab", "ba"):
        [key] = signing_keys.read_files([tmp_path / name for name in names])
        assert key.signer is not None


def test_representation_hides_the_key() -> None:
    shown: Any = repr(private("ec"))
    assert "signer" not in shown
    assert "private" not in shown.lower()


@pytest.mark.parametrize("begin", ["-----BEGIN PUBLIC KEY-----", "ssh-rsa AAAA"])
def test_pem_key_as_secret_is_refused(begin: str) -> None:
    with pytest.raises(StartupFailure, match="SHEAF_JWT_SECRET is a key in PEM or SSH format") as caught:
        tokens(secret=f"{begin} {SECRET}")
    assert SECRET not in str(caught.value)
