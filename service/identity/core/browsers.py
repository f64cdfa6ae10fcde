"""Browser mode: tokens in cookies that no script reads, and the proof that our own page sends a request."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from service.kit.errors import CrossSite
from service.kit.origins import Origins, origin_of
from service.kit.sealing import Sealer, base64url, from_base64url

Mode = Literal["bearer", "cookie"]
"""How a client keeps its tokens: by itself, or in a browser's cookies. For forms that sign somebody in."""

SameSite = Literal["strict", "lax", "none"]
Headers = Iterable[tuple[bytes, bytes]]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, 9.2.1), which other sites may make a browser send."""

AUTH_PATH = "/api/auth"
CSRF_HEADER = b"x-csrf-token"

_PURPOSE = "csrf"
_HINT = "Send it from a page of this service, or of an origin that SHEAF_CORS_ORIGINS lists."
_TOKEN_HINT = "Send the `csrf_token` of the last sign-in or refresh in the header X-CSRF-Token."  # noqa: S105


@dataclass(frozen=True, slots=True)
class SetCookie:
    """A cookie to be kept for `lifetime_s` seconds; 0 has the browser forget it. Scripts may read few."""

    name: str
    value: str
    path: str
    lifetime_s: int
    is_secure: bool
    is_readable: bool
    same_site: SameSite


class Browsers:
    """What tells a browser's session: its cookies, the origins of our own pages, and its CSRF token.

    `origins` are those of further pages, beside that which a request is sent to. Over TLS (`is_secure`)
    the names have prefixes, so that no other host, and nobody on the wire, can set such cookies
    (RFC 6265bis, 4.1.3).
    """

    def __init__(
        self, sealer: Sealer, origins: Origins, *, is_secure: bool, same_site: SameSite = "strict"
    ) -> None:
        self._sealer = sealer
        self._origins = origins
        self._is_secure = is_secure
        self._same_site: SameSite = same_site
        host, secure = ("__Host-", "__Secure-") if is_secure else ("", "")
        self.access_name = f"{host}sheaf_access"
        self.refresh_name = f"{secure}sheaf_refresh"
        self.csrf_name = f"{host}sheaf_csrf"

    # --- cookies

    def access_token(self, headers: Headers) -> str | None:
        """Return the access token that a request's cookies hold."""
        return _cookie(headers, self.access_name)

    def refresh_token(self, headers: Headers) -> str | None:
        """Return the refresh token that a request's cookies hold."""
        return _cookie(headers, self.refresh_name)

    def are_with(self, headers: Headers) -> bool:
        """Return whether a request comes with cookies of a session."""
        headers = list(headers)
        return any(_cookie(headers, name) is not None for name in (self.access_name, self.refresh_name))

    def kept(self, access: str, refresh: str, csrf: str, lifetime_s: int) -> list[SetCookie]:
        """Return the cookies of a session that lives for so many seconds.

        That of the access token lives as long as that of the refresh token: a request with an expired token
        is refused, whereas one without any would pass for a stranger's.
        """
        return [
            self._set(self.access_name, access, lifetime_s),
            self._set(self.refresh_name, refresh, lifetime_s, path=AUTH_PATH),
            self._set(self.csrf_name, csrf, lifetime_s, is_readable=True),
        ]

    def forgotten(self) -> list[SetCookie]:
        """Return the cookies that have the browser forget its session."""
        return self.kept("", "", "", 0)

    def _set(
        self, name: str, value: str, lifetime_s: int, path: str = "/", *, is_readable: bool = False
    ) -> SetCookie:
        return SetCookie(name, value, path, lifetime_s, self._is_secure, is_readable, self._same_site)

    # --- whose page sends a request

    def csrf_token(self, session_id: str) -> str:
        """Return the token by which a session's own pages are known (OWASP: signed, bound to the session)."""
        return base64url(self._sealer.code(_PURPOSE, session_id.encode()))

    def is_csrf_token(self, session_id: str, token: str | None) -> bool:
        """Return whether a token is the session's, under any secret in use."""
        code = None if token is None else from_base64url(token)
        return code is not None and self._sealer.is_ours(_PURPOSE, code, session_id.encode())

    def check(self, headers: Headers, scheme: str, session_id: str) -> None:
        """Raise CrossSite unless a request shows that a page of our own sends it, for this session."""
        headers = list(headers)
        self.check_origin(headers, scheme)
        if not self.is_csrf_token(session_id, csrf_header(headers)):
            raise wrong_token()

    def check_origin(self, headers: Headers, scheme: str) -> None:
        """Raise CrossSite unless a request says that a page of our own sends it.

        By `Origin`; where there is none, by `Sec-Fetch-Site` or `Referer` (OWASP, CSRF Prevention).
        """
        found = {name.lower(): value.decode("latin-1") for name, value in headers}
        host = found.get(b"host", "")
        stated = found.get(b"origin")
        if stated is None and b"sec-fetch-site" in found:
            if found[b"sec-fetch-site"] == "same-origin":
                return
            raise CrossSite("The request comes from another site", hint=_HINT)
        if stated is None:
            stated = found.get(b"referer")
        if stated is None:
            raise CrossSite("The request does not say from which site it comes", hint="Send an Origin.")
        origin = origin_of(stated)
        own = {origin_of(f"{each}://{host}") for each in (scheme, "https")} - {None}
        if origin not in own and origin not in self._origins:
            raise CrossSite("The request comes from another site", hint=_HINT)


def wrong_token() -> CrossSite:
    """Return the failure of a request whose CSRF token is missing or not the session's."""
    return CrossSite("The CSRF token is missing, or not that of this session", hint=_TOKEN_HINT)


def csrf_header(headers: Headers) -> str | None:
    """Return the CSRF token that a request brings."""
    found = _values(headers, CSRF_HEADER)
    return found[0].decode("latin-1") if len(found) == 1 else None


def _cookie(headers: Headers, name: str) -> str | None:
    """Find a cookie (RFC 6265, 4.2.1); HTTP/2 may send several lines."""
    start = f"{name}=".encode()
    for line in _values(headers, b"cookie"):
        for pair in line.split(b";"):
            if pair.strip().startswith(start):
                return pair.strip()[len(start) :].decode("latin-1")
    return None


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key.lower() == name]
