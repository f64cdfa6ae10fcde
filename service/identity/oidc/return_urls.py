"""Where a sign-in may send people to when it ends: nowhere that was not listed beforehand."""

import re
from collections.abc import Iterable
from urllib.parse import urlencode, urlsplit

from service.kit.errors import ParameterInvalid, StartupFailure, Violation
from service.kit.origins import Origins

MAXIMUM_CHARACTERS = 2000

_PLAIN = re.compile(r"[!-~]+")  # nothing that browsers and we could read differently
_APP_URL = re.compile(r"[a-z][a-z0-9+.-]*:[!$-~]+")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class ReturnUrls:
    """The addresses that are allowed: any path on some origins, and some URLs of apps, each exactly.

    Raises StartupFailure for what is no URL.
    """

    def __init__(self, origins: Origins, urls: Iterable[str]) -> None:
        self._origins = origins
        self._urls = frozenset(urls)
        for each in self._urls:
            if not _APP_URL.fullmatch(each):
                fault = f"SHEAF_OIDC_RETURN_URLS has `{each[:80]}`; write whole URLs, without `#`."
                raise StartupFailure(fault)

    def check(self, url: str) -> str:
        """Return the URL when it is allowed; raises ParameterInvalid.

        >>> urls = ReturnUrls(Origins(["https://app.example"]), ["com.example.app:/signed-in"])
        >>> urls.check("https://app.example/home?tab=1"), urls.check("com.example.app:/signed-in")
        ('https://app.example/home?tab=1', 'com.example.app:/signed-in')
        >>> urls.check("https://app.example@evil.example/")
        Traceback (most recent call last):
        service.kit.errors.ParameterInvalid: `return_to` is not an address that a sign-in may return to
        """
        if len(url) <= MAXIMUM_CHARACTERS and (url in self._urls or _origin(url) in self._origins):
            return url
        detail = "`return_to` is not an address that a sign-in may return to"
        hint = "Use an origin of SHEAF_PUBLIC_URL or SHEAF_CORS_ORIGINS, or a URL of SHEAF_OIDC_RETURN_URLS."
        raise ParameterInvalid(detail, errors=[Violation(detail, "form", parameter="return_to", hint=hint)])


def extended(url: str, **parameters: str) -> str:
    """Return a URL with parameters added to those that it has.

    >>> extended("https://app.example/home?tab=1", code="a&b")
    'https://app.example/home?tab=1&code=a%26b'
    """
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"


def _origin(url: str) -> str | None:
    """Return the origin of a URL that every reader understands alike; None for any other.

    >>> _origin("HTTPS://App.example:443/x")
    'https://app.example'
    >>> [_origin(each) for each in ("//evil.example", "https:evil.example", "https://me@evil.example")]
    [None, None, None]
    >>> [_origin(each) for each in ("https://a.example#x", "https://a%2eexample", "javascript:alert(1)", "*")]
    [None, None, None, None]
    """
    if not _PLAIN.fullmatch(url) or set(url) & set("\\#"):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.netloc or set(parts.netloc) & set("@%"):
        return None
    return f"{parts.scheme}://{parts.netloc.lower().removesuffix(_DEFAULT_PORTS[parts.scheme])}"
