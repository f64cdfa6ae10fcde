"""Forged tokens, against a service that signs with P-256, still reads RSA, and has a secret beside."""

import hashlib
import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from bson import ObjectId
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from jose import jwt

from service.app import create_app
from service.http.services import Services
from service.identity.api_keys.keys import compose
from service.identity.core import one_time, signing_keys
from tests.conftest import SECRET, connect, opened, settings_of
from tests.scenarios.identity import ANN, INVALID_TOKEN
from tests.services import services_of


def short_rsa_pair() -> tuple[bytes, bytes]:
    """Make a key of the least length, which takes a moment only."""
    key = rsa.generate_private_key(65537, signing_keys.MINIMUM_RSA_BITS)
    return (
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )


EC_PAIR, RSA_PAIR = signing_keys.generate("ec"), short_rsa_pair()
OURS = EC_PAIR[0].decode()
EC_ID, RSA_ID = signing_keys.read_pem(EC_PAIR[1]).id, signing_keys.read_pem(RSA_PAIR[1]).id
SECRET_ID = signing_keys.key_id(SECRET)
NAMES = {"ec": EC_ID, "rsa": RSA_ID, "secret": SECRET_ID}
STRANGER = signing_keys.generate("ec")[0]
HEADERS: dict[str, Any] = {
    "jku": "https://evil.example/keys.json",
    "x5u": "https://evil.example/cert.pem",
    "x5c": ["MIIB"],
    "jwk": {"kty": "oct", "k": "AA"},
    "crit": ["exp"],
}
PLACES = ("/api/profile", "/api/products", "/api/collections")


@dataclass(frozen=True)
class RunningService:
    """A service, and what is stored behind it."""

    client: httpx.AsyncClient
    services: Services

    async def counts(self) -> dict[str, int]:
        names = await self.services.database.motor.list_collection_names()
        return {name: await self.services.database.motor[name].count_documents({}) for name in names}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running_service(
    mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory, drop: Callable[[str], object]
) -> AsyncIterator[RunningService]:
    directory: Path = tmp_path_factory.mktemp("keys")
    paths = (directory / "present.pem", directory / "earlier.public.pem")
    for path, content in zip(paths, (EC_PAIR[0], RSA_PAIR[1]), strict=True):
        path.write_bytes(content)
    settings = settings_of(mongodb_uri, directory).model_copy(update={"jwt_keys": paths})
    app = create_app(settings)
    async with opened(app), connect(app) as client:
        yield RunningService(client, services_of(app))
    drop(settings.database)


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    usual = {
        "iss": "sheaf",
        "aud": "sheaf",
        "sub": str(ObjectId()),
        "exp": now + 60,
        "iat": now,
        "jti": "1",
        "typ": "access",
        "sid": "1",
        "epoch": 0,
        "roles": ["admin"],
        "attributes": {},
    }
    return usual | changes


def encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def assembled(header: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """Put a token together with a signature that no library would make."""
    start = f"{encoded(orjson.dumps(header))}.{encoded(orjson.dumps(claims()))}"
    return f"{start}.{encoded(sign(start.encode()))}"


def hashed(name: str, secret: bytes) -> str:
    header = {"alg": "HS256", "kid": name, "typ": "JWT"}
    return assembled(header, lambda content: hmac.digest(secret, content, hashlib.sha256))


def der(pem: bytes) -> bytes:
    return load_pem_public_key(pem).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def json_key(pem: bytes) -> bytes:
    return orjson.dumps(dict(signing_keys.read_pem(pem).public or {}))


def in_der(content: bytes) -> bytes:
    key: Any = load_pem_private_key(EC_PAIR[0], None)
    signature: bytes = key.sign(content, ec.ECDSA(hashes.SHA256()))
    return signature


def signed(key: str = OURS, algorithm: str = "ES256", name: Any = EC_ID, **header: Any) -> str:
    return jwt.encode(claims(), key, algorithm, headers={"kid": name, **header})


def unsigned(_: bytes) -> bytes:
    return b""


def stating(**changes: Any) -> str:
    return jwt.encode(claims(**changes), OURS, "ES256", headers={"kid": EC_ID})


FORGED: dict[str, Callable[[], str]] = {
    **{
        f"unsigned, {whose}": partial(assembled, {"alg": "none", "kid": name}, unsigned)
        for whose, name in NAMES.items()
    },
    **{
        f"the public key of {kind} as the secret, {form.__name__}, {whose}": partial(
            hashed, NAMES[whose], form(pem)
        )
        for kind, pem in (("ec", EC_PAIR[1]), ("rsa", RSA_PAIR[1]))
        for form in (bytes, bytes.strip, der, json_key)
        for whose in (kind, "secret")
    },
    "another kind's algorithm, rsa by ec": lambda: signed(RSA_PAIR[0].decode(), "RS256", EC_ID),
    "another kind's algorithm, ec by rsa": lambda: signed(OURS, "ES256", RSA_ID),
    "another kind's algorithm, a secret by ec": lambda: signed(SECRET, "HS256", EC_ID),
    "another hash, rsa": lambda: signed(RSA_PAIR[0].decode(), "RS384", RSA_ID),
    "another hash, secret": lambda: signed(SECRET, "HS512", SECRET_ID),
    "a stranger's key": lambda: signed(STRANGER.decode()),
    "a stranger's key in the header": lambda: signed(
        STRANGER.decode(), name=EC_ID, jwk=dict(signing_keys.read_pem(STRANGER).public or {})
    ),
    "a stranger's key by its own name": lambda: signed(
        STRANGER.decode(),
        name=signing_keys.read_pem(STRANGER).id,
        jwk=dict(signing_keys.read_pem(STRANGER).public or {}),
    ),
    **{
        f"the right key and {member}": partial(signed, **{member: value}) for member, value in HEADERS.items()
    },
    "no signature at all": lambda: assembled({"alg": "ES256", "kid": EC_ID}, unsigned),
    "a signature of zeros": lambda: assembled({"alg": "ES256", "kid": EC_ID}, lambda _: bytes(64)),
    "a signature in DER": lambda: assembled({"alg": "ES256", "kid": EC_ID}, in_der),
    "a path for a name": lambda: hashed("../../dev/null", b""),
    "a file for a name": lambda: hashed("/proc/sys/kernel/randomize_va_space", b"2\n"),
    "a query for a name": lambda: hashed("' UNION SELECT 'x", b"x"),
    "a list for a name": lambda: signed(name=[EC_ID]),
    "no name": lambda: jwt.encode(claims(), OURS, "ES256"),
    "another audience": lambda: stating(aud="another"),
    "several audiences": lambda: stating(aud=["sheaf", "another"]),
    "another issuer": lambda: stating(iss="https://accounts.example"),
    "a refresh token by its type": lambda: stating(typ="refresh"),
    "an identity token": lambda: stating(typ="id_token"),
    "out of date": lambda: stating(exp=int(time.time()) - 1),
    "an API key's form": lambda: compose().text,
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
async def test_a29_forged_token_returns_401_on_every_endpoint(
    running_service: RunningService, forge: Callable[[], str]
) -> None:
    headers = {"Authorization": f"Bearer {forge()}"}
    before = await running_service.counts()
    for path in PLACES:
        answer = await running_service.client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.token_invalid")
        assert answer.headers["www-authenticate"] == INVALID_TOKEN
    written = await running_service.client.post(
        "/api/products", json={"name": "x", "price": 1}, headers=headers
    )
    assert written.status_code == 401
    assert await running_service.counts() == before


@pytest.mark.parametrize(
    "issue",
    [
        signed,
        lambda: signed(RSA_PAIR[0].decode(), "RS256", RSA_ID),
        lambda: signed(SECRET, "HS256", SECRET_ID),
    ],
    ids=["ec", "rsa", "secret"],
)
async def test_a29_valid_token_of_every_key_is_accepted(
    running_service: RunningService, issue: Callable[[], str]
) -> None:
    answer = await running_service.client.get(
        "/api/collections", headers={"Authorization": f"Bearer {issue()}"}
    )
    assert answer.status_code == 200


async def test_a29_other_secrets_and_ids_are_refused_as_access_token(running_service: RunningService) -> None:
    await running_service.client.post("/api/auth/register", json=ANN)
    granted = await running_service.client.post(
        "/api/auth/login", json={name: ANN[name] for name in ("email", "password")}
    )
    tokens = granted.json()["data"]
    user_id = tokens["user"]["id"]
    stated = jwt.get_unverified_claims(tokens["access_token"])
    others = [
        tokens["refresh_token"],
        await one_time.give("password_reset", 60, user_id),
        stated["sid"],
        stated["jti"],
        user_id,
        SECRET,
    ]
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    body = {"name": "x", "scopes": ["*:*"]}
    key = (await running_service.client.post("/api/keys", json=body, headers=bearer)).json()["data"]
    stored = await running_service.services.database.motor["_api_keys"].find_one({"_id": key["id"]})
    assert stored is not None
    others += [key["id"], stored["hash"], f"sheaf_{key['id']}_{stored['hash']}"]
    for other in others:
        for path in PLACES:
            answer = await running_service.client.get(path, headers={"Authorization": f"Bearer {other}"})
            assert (answer.status_code, answer.json()["code"]) == (401, "auth.token_invalid"), other
    assert (await running_service.client.get("/api/profile", headers=bearer)).status_code == 200


async def test_api_key_is_refused_as_refresh_or_one_time_token(running_service: RunningService) -> None:
    user_id = ObjectId()
    await running_service.services.database.motor["_users"].insert_one(
        {
            "_id": user_id,
            "email": "k@x.io",
            "email_key": "k@x.io",
            "roles": [],
            "is_disabled": False,
            "epoch": 0,
        }
    )
    issued = jwt.encode(claims(sub=str(user_id)), SECRET, "HS256", headers={"kid": SECRET_ID})
    made = await running_service.client.post(
        "/api/keys", json={"name": "x", "scopes": ["*:*"]}, headers={"Authorization": f"Bearer {issued}"}
    )
    key = made.json()["data"]["key"]
    for path, body in (
        ("/api/auth/refresh", {"refresh_token": key}),
        ("/api/auth/password/reset", {"token": key, "password": "x9!kLmQ2#vB7@zTp"}),
        ("/api/auth/email/verify", {"token": key}),
    ):
        answer = await running_service.client.post(path, json=body)
        assert answer.status_code in {400, 401}, path


# --- what is published


async def test_jwks_contains_only_complete_public_keys(running_service: RunningService) -> None:
    answer = await running_service.client.get("/.well-known/jwks.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    keys = answer.json()["keys"]
    assert [set(key) for key in keys] == [
        {"kty", "crv", "x", "y", "use", "alg", "kid"},
        {"kty", "n", "e", "use", "alg", "kid"},
    ]
    assert [(key["kid"], key["alg"], key["use"]) for key in keys] == [
        (EC_ID, "ES256", "sig"),
        (RSA_ID, "RS256", "sig"),
    ]
    token = running_service.services.tokens.ring.sign(claims())
    assert jwt.decode(token, answer.json(), audience="sheaf", algorithms=["ES256"])["roles"] == ["admin"]
    again = {"If-None-Match": answer.headers["etag"], "Authorization": "Bearer nonsense"}
    assert (await running_service.client.get("/.well-known/jwks.json", headers=again)).status_code == 304
    head = await running_service.client.head("/.well-known/jwks.json")
    assert (head.status_code, head.content) == (200, b"")
    for method, path, status in (
        ("POST", "/.well-known/jwks.json", 405),
        ("GET", "/.well-known/jwks.json?x=1", 400),
        ("GET", "/.well-known/present.pem", 404),
    ):
        assert (await running_service.client.request(method, path)).status_code == status
