"""What a provider says of itself: its discovery document (OpenID Connect Discovery 1.0)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from service.kit.errors import ProviderInvalid
from service.runtime.provider_settings import is_issuer

WELL_KNOWN = "/.well-known/openid-configuration"
MAXIMUM_URL_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Metadata:
    """Where a provider's endpoints are, and the few of its habits that matter here."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    takes_basic: bool
    tells_issuer: bool


def address(issuer: str) -> str:
    """Give where an issuer's discovery document is.

    >>> address("https://id.example/realms/a/")
    'https://id.example/realms/a/.well-known/openid-configuration'
    """
    return issuer.rstrip("/") + WELL_KNOWN


def read(document: Mapping[str, Any], issuer: str) -> Metadata:
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
