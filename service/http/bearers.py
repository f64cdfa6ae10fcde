"""Whom a bearer token or an API key speaks for, wherever in a request or on a connection it is presented."""

from collections.abc import Awaitable

from service.access.principals import Principal
from service.identity.api_keys import PREFIX, KeyBearers
from service.identity.core.revocations import Revocations
from service.identity.core.tokens import Tokens
from service.kit.errors import DatabaseUnavailable, TokenOutdated


class Bearers:
    """Reads what callers present: access tokens, and API keys, which begin with `sheaf_`."""

    def __init__(self, tokens: Tokens, keys: KeyBearers, revocations: Revocations) -> None:
        self._tokens = tokens
        self._keys = keys
        self._revocations = revocations

    def read(self, presented: str, address: str | None) -> Principal | Awaitable[Principal]:
        """Return who presents it; for an API key, an awaitable. Raises TokenInvalid, DatabaseUnavailable."""
        if presented.startswith(PREFIX):
            return self._keys.read(presented, address)
        return self.read_token(presented)

    def read_token(self, token: str) -> Principal:
        """Return whose access token this is; raises TokenInvalid, DatabaseUnavailable."""
        found = self._tokens.read(token)
        if self._revocations.covers(found):
            raise TokenOutdated(found.session_id)
        if not self._revocations.is_current:
            raise DatabaseUnavailable("Whether the access token is still valid cannot be told for now")
        return found
