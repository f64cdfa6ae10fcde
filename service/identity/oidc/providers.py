"""OpenID Connect providers: what is known of each, and the steps of a sign-in that are taken with it."""

import asyncio
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx

from service.identity.oidc import id_tokens, outbound
from service.identity.oidc.flows import FlowSecrets
from service.identity.oidc.id_tokens import Identity, Keys
from service.kit.errors import ProviderInvalid, ProviderNotFound, ProviderUnavailable
from service.runtime.provider_settings import ProviderSettings, is_issuer

WELL_KNOWN = "/.well-known/openid-configuration"
MAXIMUM_URL_CHARACTERS = 2000

METADATA_TTL_S = 3600.0
FAILURE_PAUSE_S = 1.0
"""How long a provider that could not be read is not asked again: a flood of visitors costs one call."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What the operator has set: the provider's issuer, and what the provider knows this service by."""

    name: str
    label: str
    issuer: str
    client_id: str
    client_secret: str | None = field(repr=False)
    scopes: str
    redirect_uri: str


def registrations(settings: Mapping[str, ProviderSettings], public_url: str | None) -> list[Registration]:
    """Return the registrations that are set, whose providers send people back below the public URL."""
    return [
        Registration(
            name=name,
            label=each.label or name.replace("_", " ").title(),
            issuer=each.issuer,
            client_id=each.client_id,
            client_secret=None if each.client_secret is None else each.client_secret.get_secret_value(),
            scopes=each.scopes,
            redirect_uri=f"{(public_url or '').rstrip('/')}/api/auth/oidc/{name}/callback",
        )
        for name, each in settings.items()
    ]


@dataclass(frozen=True, slots=True)
class Metadata:
    """Where a provider's endpoints are, and the few of its habits that matter here."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    takes_basic: bool
    tells_issuer: bool


class Provider:
    """One provider; its discovery document and keys are read when first needed, and again after an hour."""

    def __init__(self, registration: Registration, http: httpx.AsyncClient) -> None:
        self.registration = registration
        self._http = http
        self._keys = Keys(self._fetch_keys)
        self._reading = asyncio.Lock()
        self._metadata: Metadata | None = None
        self._read_at_s = float("-inf")
        self._failed_at_s = float("-inf")

    async def address(self, state: str, secrets: FlowSecrets) -> str:
        """Return where to send somebody to sign in; raises ProviderUnavailable, ProviderInvalid.

        The code flow (OpenID Connect Core, 3.1) with PKCE (RFC 7636, S256), state and nonce.
        """
        endpoint = (await self._described()).authorization_endpoint
        parameters = {
            "response_type": "code",
            "client_id": self.registration.client_id,
            "redirect_uri": self.registration.redirect_uri,
            "scope": self.registration.scopes,
            "state": state,
            "nonce": secrets.nonce,
            "code_challenge": secrets.challenge,
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"

    async def identify(self, code: str, told_issuer: str | None, secrets: FlowSecrets) -> Identity:
        """Return who has signed in, for the code that the provider has sent; nothing of its tokens is kept.

        Raises ProviderInvalid when anything about the answer is wrong, ProviderUnavailable.
        """
        described = await self._described()
        if told_issuer is None and described.tells_issuer:
            raise ProviderInvalid("The provider's answer does not name its issuer")
        if told_issuer not in (None, self.registration.issuer):  # RFC 9207: another provider's answer
            raise ProviderInvalid("The answer comes from another provider")
        tokens = await self._redeem(described, code, secrets)
        access_token = tokens.get("access_token")
        access_token = access_token if isinstance(access_token, str) else None
        claims = await id_tokens.verify(
            tokens.get("id_token"),
            self._keys,
            issuer=self.registration.issuer,
            client_id=self.registration.client_id,
            nonce=secrets.nonce,
            access_token=access_token,
        )
        if "email" not in claims and access_token is not None and described.userinfo_endpoint is not None:
            claims = await self._completed(claims, described.userinfo_endpoint, access_token)
        return id_tokens.identity_of(self.registration.name, self.registration.issuer, claims)

    async def _redeem(self, described: Metadata, code: str, secrets: FlowSecrets) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.registration.redirect_uri,
            "code_verifier": secrets.verifier,
        }
        client_id, secret = self.registration.client_id, self.registration.client_secret
        if secret is not None and described.takes_basic:
            return await outbound.post(self._http, described.token_endpoint, form, _basic(client_id, secret))
        form["client_id"] = client_id
        if secret is not None:
            form["client_secret"] = secret
        return await outbound.post(self._http, described.token_endpoint, form, None)

    async def _completed(self, claims: dict[str, Any], endpoint: str, access_token: str) -> dict[str, Any]:
        """Add what the ID token does not tell; only of the same subject (OpenID Connect Core, 5.3.2)."""
        userinfo = await outbound.get(self._http, endpoint, bearer=access_token)
        if userinfo.get("sub") != claims["sub"]:
            raise ProviderInvalid("The provider's user information is of somebody else")
        wanted = ("email", "email_verified", "name")
        added: dict[str, Any] = {each: userinfo[each] for each in wanted if each in userinfo}
        return {**added, **claims, "email_verified": added.get("email_verified")}

    async def _described(self) -> Metadata:
        """Return what the provider says of itself, read at most once at a time and once an hour."""
        async with self._reading:
            now_s = time.monotonic()
            if self._metadata is not None and now_s - self._read_at_s < METADATA_TTL_S:
                return self._metadata
            if now_s - self._failed_at_s < FAILURE_PAUSE_S:
                raise ProviderUnavailable
            issuer = self.registration.issuer
            try:
                document = await outbound.get(self._http, metadata_url(issuer))
                self._metadata = read_metadata(document, issuer)
            except (ProviderInvalid, ProviderUnavailable):
                self._failed_at_s = time.monotonic()
                raise
            self._read_at_s = time.monotonic()
            return self._metadata

    async def _fetch_keys(self) -> dict[str, Any]:
        return await outbound.get(self._http, (await self._described()).jwks_uri)


class Providers:
    """The providers that are set, by their names; there may be none.

    `is_secure`: whether browsers come over TLS, and keep a cookie that no other host can set.
    """

    def __init__(self, registrations: Iterable[Registration], *, is_secure: bool) -> None:
        self._registrations = tuple(registrations)
        self.is_secure = is_secure
        self.cookie_name = f"{'__Host-' if is_secure else ''}sheaf_oidc"
        self._opened: dict[str, Provider] = {}

    def __iter__(self) -> Iterator[Registration]:
        return iter(self._registrations)

    def get(self, name: str) -> Provider:
        """Return a provider; raises ProviderNotFound."""
        if name not in self._opened:
            raise ProviderNotFound
        return self._opened[name]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Keep the connections to the providers until the context ends."""
        if not self._registrations:
            yield
            return
        async with outbound.client() as http:
            self._opened = {each.name: Provider(each, http) for each in self._registrations}
            yield


def _basic(client_id: str, secret: str) -> str:
    """Return the header by which a client proves itself (RFC 6749, 2.3.1: both parts encoded as in forms).

    A space is `%20`, which every reader decodes; `+` some do not.
    """
    pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
    return f"Basic {b64encode(pair.encode()).decode()}"


def metadata_url(issuer: str) -> str:
    """Return the address of an issuer's discovery document.

    >>> metadata_url("https://id.example/realms/a/")
    'https://id.example/realms/a/.well-known/openid-configuration'
    """
    return issuer.rstrip("/") + WELL_KNOWN


def read_metadata(document: Mapping[str, Any], issuer: str) -> Metadata:
    """Read the discovery document of an issuer; raises ProviderInvalid.

    Nothing of a document is taken that names another issuer, in however little, and no address that is less
    protected than the issuer's own.
    """
    if document.get("issuer") != issuer:
        raise ProviderInvalid("The provider's discovery document names another issuer")
    userinfo = document.get("userinfo_endpoint")
    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return Metadata(
        authorization_endpoint=_endpoint(document.get("authorization_endpoint"), issuer),
        token_endpoint=_endpoint(document.get("token_endpoint"), issuer),
        jwks_uri=_endpoint(document.get("jwks_uri"), issuer),
        userinfo_endpoint=None if userinfo is None else _endpoint(userinfo, issuer),
        takes_basic=isinstance(methods, list) and "client_secret_basic" in methods,
        tells_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(value: object, issuer: str) -> str:
    """Check an endpoint's address: https, or on this machine when the issuer is there."""
    if not isinstance(value, str) or len(value) > MAXIMUM_URL_CHARACTERS:
        raise ProviderInvalid("The provider's discovery document lacks an address")
    is_safe = is_issuer(value.partition("?")[0])
    if not is_safe or (urlsplit(value).scheme == "http" and not issuer.startswith("http://")):
        raise ProviderInvalid("The provider's discovery document has an address that is not protected")
    return value
