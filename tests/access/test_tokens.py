import time
from base64 import urlsafe_b64encode
from dataclasses import replace
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jose import jwt

from service.access.principals import Principal
from service.identity.core.signing_keys import key_id
from service.identity.core.tokens import MAXIMUM_TOKEN_CHARACTERS, Tokens
from service.kit.errors import TokenInvalid

SECRET = "the present secret, which is long enough"
PREVIOUS = "the earlier secret, which is long enough"
USER_ID = "64b64b64b64b64b64b64b64b"
ANN = Principal("user", USER_ID, frozenset(), session_id="s1")
EDITOR = replace(
    ANN,
    roles=frozenset({"editor", "admin"}),
    epoch=3,
    email="ed@example.com",
    is_email_verified=True,
    name="Ed",
    attributes={"team": "red"},
)
GENERIC = "The access token is not valid"
EXPIRED = "The access token has expired"


def tokens(secret: str = SECRET, previous: tuple[str, ...] = ()) -> Tokens:
    return Tokens(secret, previous, issuer="sheaf", audience="clients", ttl_s=900)


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    usual = {
        "iss": "sheaf",
        "aud": "clients",
        "sub": USER_ID,
        "exp": now + 60,
        "iat": now,
        "jti": "1",
        "typ": "access",
        "sid": "s1",
        "epoch": 0,
        "roles": [],
        "attributes": {},
    }
    return {name: value for name, value in (usual | changes).items() if value is not ...}


def forged(header: dict[str, Any] | None = None, secret: str = SECRET, **changes: Any) -> str:
    return jwt.encode(claims(**changes), secret, "HS256", headers={"kid": key_id(SECRET)} | (header or {}))


def unsigned(header: Any, payload: Any) -> str:
    parts = (urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=").decode() for part in (header, payload))
    return ".".join(parts) + "."


def refusal(token: str) -> str:
    with pytest.raises(TokenInvalid) as caught:
        tokens().read(token)
    return caught.value.detail


def test_token_is_read_as_its_principal() -> None:
    ring = tokens()
    for _ in range(2):
        assert ring.read(ring.issue(EDITOR)) == EDITOR


def test_token_has_every_claim_and_the_id_of_its_key() -> None:
    token = tokens().issue(EDITOR)
    stated = jwt.get_unverified_claims(token)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "kid": key_id(SECRET), "typ": "JWT"}
    assert stated == {
        "iss": "sheaf",
        "aud": "clients",
        "sub": USER_ID,
        "exp": stated["iat"] + 900,
        "iat": stated["iat"],
        "jti": stated["jti"],
        "typ": "access",
        "sid": "s1",
        "epoch": 3,
        "roles": ["admin", "editor"],
        "email": "ed@example.com",
        "email_verified": True,
        "name": "Ed",
        "attributes": {"team": "red"},
    }
    assert abs(stated["iat"] - time.time()) < 5
    assert stated["jti"] != jwt.get_unverified_claims(tokens().issue(ANN))["jti"]


def test_forged_token_with_nothing_wrong_is_read() -> None:
    assert tokens().read(forged()) == ANN


def test_rotation_reads_earlier_tokens_and_signs_with_the_new_secret() -> None:
    earlier = tokens(PREVIOUS).issue(ANN)
    rotated = tokens(SECRET, (PREVIOUS,))
    assert rotated.read(earlier) == ANN
    assert jwt.get_unverified_header(rotated.issue(ANN))["kid"] == key_id(SECRET)
    assert refusal(earlier) == GENERIC


@pytest.mark.parametrize(
    "changes",
    [
        *(
            {name: ...}
            for name in (
                "iss",
                "aud",
                "sub",
                "exp",
                "iat",
                "jti",
                "typ",
                "roles",
                "sid",
                "epoch",
                "attributes",
            )
        ),
        {"iss": "another"},
        {"iss": ["sheaf"]},
        {"aud": "another"},
        {"aud": ["clients", "another"]},
        {"typ": "refresh"},
        {"typ": ["access"]},
        {"sub": ""},
        {"sub": 7},
        {"sub": None},
        {"exp": "9999999999"},
        {"exp": 9999999999.5},
        {"exp": None},
        {"exp": [9999999999]},
        {"iat": 9999999999},
        {"iat": "1"},
        {"nbf": 9999999999},
        {"jti": 1},
        {"roles": "admin"},
        {"roles": [["admin"]]},
        {"roles": {"admin": 1}},
        {"sid": ""},
        {"sid": 1},
        {"epoch": "0"},
        {"attributes": []},
    ],
    ids=str,
)
def test_token_with_a_missing_or_wrong_claim_is_refused(changes: dict[str, Any]) -> None:
    assert refusal(forged(**changes)) == GENERIC


def test_expired_token_is_answered_as_expired() -> None:
    assert refusal(forged(exp=int(time.time()) - 1)) == EXPIRED


def test_token_issued_for_longer_than_the_setting_ends_earlier() -> None:
    now = int(time.time())
    assert refusal(forged(iat=now - 901, exp=now + 60)) == EXPIRED
    assert tokens().read(forged(iat=now - 800, exp=now + 86_400)).id == USER_ID


def test_remembered_token_still_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = tokens()
    token = ring.issue(ANN)
    assert ring.read(token).id == USER_ID
    later = time.time() + 900
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(TokenInvalid, match=EXPIRED):
        ring.read(token)


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "../../dev/null"},
        {"kid": key_id(PREVIOUS)},
        {"kid": ""},
        {"kid": None},
        {"kid": ["a"]},
        {"kid": {"a": 1}},
    ],
    ids=str,
)
def test_key_id_is_looked_up_among_held_keys_only(header: dict[str, Any]) -> None:
    assert refusal(forged(header)) == GENERIC
    assert refusal(forged(header, secret="")) == GENERIC


@pytest.mark.parametrize("algorithm", ["none", "None", "", None, "HS384", "RS256", ["HS256"], {"HS256": 1}])
def test_unsigned_token_is_refused_whatever_algorithm_it_names(algorithm: Any) -> None:
    header = {"alg": algorithm, "kid": key_id(SECRET), "typ": "JWT"}
    assert refusal(unsigned(header, claims())) == GENERIC
    assert refusal(unsigned(header, claims()) + "AAAA") == GENERIC


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_is_refused_even_with_the_right_secret(algorithm: str) -> None:
    assert refusal(jwt.encode(claims(), SECRET, algorithm, headers={"kid": key_id(SECRET)})) == GENERIC


def test_signature_with_a_public_key_as_secret_is_refused() -> None:
    public = rsa.generate_private_key(65537, 2048).public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    token = jwt.encode(claims(), der, "HS256", headers={"kid": key_id(SECRET)})
    assert refusal(token) == GENERIC


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "a.b",
        "a.b.c.d",
        "é.b.c",
        "\ud800.b.c",
        "YQ.YQ.YQ\n",
        unsigned(1, 1) + "AA",
        unsigned({"alg": "HS256"}, []) + "AA",
        urlsafe_b64encode(b"[" * 2900).decode() + ".e30.AA",
        urlsafe_b64encode(b'{"kid":' + b"[" * 2900).decode() + ".e30.AA",
    ],
)
def test_malformed_token_is_refused(token: str) -> None:
    assert refusal(token) == GENERIC


def test_changed_payload_is_refused() -> None:
    header, _, signature = tokens().issue(ANN).split(".")
    payload = urlsafe_b64encode(orjson.dumps(claims(roles=["admin"]))).rstrip(b"=").decode()
    assert refusal(f"{header}.{payload}.{signature}") == GENERIC


def test_token_beyond_the_limit_is_refused_unread() -> None:
    oversized = forged(roles=["x" * MAXIMUM_TOKEN_CHARACTERS])
    assert refusal(oversized) == GENERIC
    assert refusal("a" * 10_000_000) == GENERIC


def test_refused_token_is_not_remembered() -> None:
    ring = tokens()
    for number in range(10):
        with pytest.raises(TokenInvalid):
            ring.read(f"a.b.{number}")
    assert ring._verified.cache_info().currsize == 0
