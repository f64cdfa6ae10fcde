"""Sign-in with OpenID Connect: providers, their keys and tokens, and the accounts of whom they speak for."""

from service.identity.oidc import flows, linked_accounts
from service.identity.oidc.flows import CHALLENGE, Intent, Mode, ReturnUrls, extended
from service.identity.oidc.id_tokens import Identity
from service.identity.oidc.linked_accounts import ProviderSignIn
from service.identity.oidc.providers import Provider, Providers, registrations

__all__ = [
    "CHALLENGE",
    "Identity",
    "Intent",
    "Mode",
    "Provider",
    "ProviderSignIn",
    "Providers",
    "ReturnUrls",
    "extended",
    "flows",
    "linked_accounts",
    "registrations",
]
