"""API keys: making and revoking them, and whom a presented one speaks for."""

from service.identity.api_keys.bearers import KeyBearers
from service.identity.api_keys.keys import LISTING, MAXIMUM_KEYS, MAXIMUM_TTL_S, PREFIX, ApiKeys

__all__ = ["LISTING", "MAXIMUM_KEYS", "MAXIMUM_TTL_S", "PREFIX", "ApiKeys", "KeyBearers"]
