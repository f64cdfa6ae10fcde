"""A provider that says and signs whatever a test wants, in a thread of its own."""

import hmac
import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jose import jwk, jws, jwt

CLIENT_ID = "sheaf-at-own"
CLIENT_SECRET = "a secret that the client shares with the provider"


@dataclass
class Key:
    """A P-256 key with a name."""

    name: str
    pem: str = ""

    def __post_init__(self) -> None:
        made = ec.generate_private_key(ec.SECP256R1())
        self.pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def public(self) -> dict[str, Any]:
        public = jwk.construct(self.pem, "ES256").public_key().to_dict()
        return {**{name: text(value) for name, value in public.items()}, "kid": self.name, "use": "sig"}


def text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


@dataclass
class OwnProvider:
    """What the provider is told to say; `reset` makes it honest again."""

    issuer: str = ""
    key: Key = field(default_factory=lambda: Key("first"))
    published: list[Key] = field(default_factory=list)
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    described: dict[str, Any] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    raw: dict[str, tuple[int, bytes, dict[str, str]]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, list[str]], str | None]] = field(default_factory=list)
    nonce: str = ""
    algorithm: str = "ES256"

    def __post_init__(self) -> None:
        self.first = self.key

    def reset(self) -> None:
        """Be honest from now on, with the key that was published first."""
        for each in (self.claims, self.header, self.described, self.told, self.userinfo, self.raw):
            each.clear()
        self.calls.clear()
        self.algorithm = "ES256"
        self.key, self.published = self.first, []

    def called(self, path: str) -> int:
        return sum(call[0] == path for call in self.calls)

    def answer(self, path: str, form: dict[str, list[str]], authorization: str | None) -> Any:
        self.calls.append((path, form, authorization))
        if path in self.raw:
            return self.raw[path]
        found: dict[str, Any] = {
            "/.well-known/openid-configuration": self._metadata,
            "/keys": self._keys,
            "/token": self._tokens,
            "/userinfo": lambda: self.userinfo,
        }
        return 200, json.dumps(found[path]()).encode(), {}

    def _metadata(self) -> dict[str, Any]:
        described = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize?tenant=a",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }
        return without_none({**described, **self.described})

    def _keys(self) -> dict[str, Any]:
        return {"keys": [each.public() for each in (self.published or [self.key])]}

    def _tokens(self) -> dict[str, Any]:
        access_token = "an-access-token-of-the-provider"
        return without_none({"access_token": access_token, "id_token": self.id_token(), **self.told})

    def id_token(self) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": "s-1",
            "exp": now + 300,
            "iat": now,
            "nonce": self.nonce,
            "email": "ann@example.com",
            "email_verified": True,
            "name": "Ann",
        }
        claims = without_none({**claims, **self.claims})
        header = without_none({"kid": self.key.name, **self.header})
        if self.algorithm == "PUBLIC":  # as a library signs that takes any key for a secret
            return self._signed_with_public_key(header, claims)
        if self.algorithm in {"none", "None"}:
            signature = "" if self.algorithm == "none" else "AAAA"
            return f"{encoded({**header, 'alg': self.algorithm})}.{encoded(claims)}.{signature}"
        secret = CLIENT_SECRET if self.algorithm.startswith("HS") else self.key.pem
        return str(jwt.encode(claims, secret, self.algorithm, headers=header))

    def _signed_with_public_key(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        public = jwk.construct(self.key.pem, "ES256").public_key().to_pem()
        content = f"{encoded({**header, 'alg': 'HS256'})}.{encoded(claims)}"
        code = hmac.new(public, content.encode(), "sha256").digest()
        return f"{content}.{urlsafe_b64encode(code).rstrip(b'=').decode()}"

    def nested(self, depth: int) -> str:
        """Return a token whose claims are lists within lists."""
        claims = b"[" * depth + b"]" * depth
        return str(jws.sign(claims, self.key.pem, {"kid": self.key.name}, "ES256"))


def encoded(value: Any) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


@contextmanager
def running() -> Iterator[OwnProvider]:
    """Serve a provider on a free port."""
    provider = OwnProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(parse_qs(body.decode()))

        def _answer(self, form: dict[str, list[str]]) -> None:
            found = provider.answer(self.path, form, self.headers["Authorization"])
            status, body, headers = found
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
