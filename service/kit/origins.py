"""Origins of web pages (RFC 6454): how browsers spell them, how people do, and which pages are our own."""

import re
import socket
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import urlsplit

import idna

ANY = "*"
EXAMPLE = "https://app.example.com"

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LOCAL = re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?")
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_OF_SOCKETS = {"ws": "http", "wss": "https"}

_SCHEME = re.compile(r"(?:([a-z][a-z0-9+.-]*)://|(https?)(?::/?|//)|/{0,2})(.*)", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::([0-9]{0,9}))?", re.IGNORECASE)
_NAME = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?")
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?")
_WRAPPED = re.compile(r"""\[?["'`<](.*?)["'`>]?\]?""")
_BETWEEN = re.compile(r"[\s;|]+")
_SHOWN_CHARACTERS = 80


class Origins:
    """Some origins, given as URLs on them; with `local`, those of every port of this machine too.

    >>> "https://app.example" in Origins(["https://App.example:443/"])
    True
    >>> local = Origins([], local=True)
    >>> "http://localhost:5173" in local, "http://[::1]" in local, "http://localhost.example" in local
    (True, True, False)
    """

    def __init__(self, urls: Iterable[str], *, local: bool = False) -> None:
        self._listed = frozenset(found for each in urls if (found := origin_of(each)) is not None)
        self._local = local

    def __contains__(self, origin: str | None) -> bool:
        """Return whether an origin, as browsers spell it, is one of them."""
        return origin is not None and (origin in self._listed or (self._local and is_local(origin)))


def is_local(origin: str) -> bool:
    """Return whether an origin, as browsers spell it, is a port of this machine."""
    return _LOCAL.fullmatch(origin) is not None


@lru_cache(maxsize=1024)
def origin_of(url: str) -> str | None:
    """Return the origin of a URL as browsers spell it (RFC 6454, 6.2); None for what has none.

    >>> origin_of("https://App.example.com:443/x"), origin_of("http://[::1]:8000"), origin_of("null")
    ('https://app.example.com', 'http://[::1]:8000', None)
    >>> origin_of("capacitor://localhost")
    'capacitor://localhost'
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if not parts.scheme or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return _joined(parts.scheme, host, port)


def spelled(written: str) -> str:
    """Return an origin that somebody wrote, as browsers spell it; `*` stays.

    Browsers leave default ports out, so they may be written. Raises ValueError, with the right spelling, for
    whatever else would never match.

    >>> spelled("https://app.example:443")
    'https://app.example'
    >>> spelled("App.example/")
    Traceback (most recent call last):
    ValueError: `App.example/` is not an origin as browsers spell it; write `https://app.example`
    """
    if written == ANY:
        return written
    shown = " ".join(re.sub(r"[^/\s]*@", "…@", written).split())[:_SHOWN_CHARACTERS]
    if written.lower() == "null":
        raise ValueError(
            f"`{shown}` is what files and sandboxed frames of anybody send; write the origin of a page that"
            f" is served, such as `{EXAMPLE}`"
        )
    if ANY in written:
        example = _right(written.replace("*://", "https://").replace(":*", ":3000").replace(ANY, "app"))
        if example is None or not ("." in example or is_local(example)):
            example = EXAMPLE
        raise ValueError(
            f"`{shown}` has a `*` within, which matches nothing; write each origin, such as `{example}`,"
            " or `*` alone for any"
        )
    several = [_right(each) for each in _BETWEEN.split(written) if each]
    right = None if None in several else ",".join(filter(None, several))
    if not right:
        raise ValueError(
            f"`{shown}` is not an origin; write scheme, host and, if need be, port, such as `{EXAMPLE}`"
        )
    if written not in {right, f"{right}:{_DEFAULT_PORTS.get(right.partition(':')[0])}"}:
        raise ValueError(f"`{shown}` is not an origin as browsers spell it; write `{right}`")
    return right


def _right(written: str) -> str | None:
    """Return what was most likely meant; None when nothing can be told."""
    wrapped = _WRAPPED.fullmatch(written)
    parts = _SCHEME.fullmatch(wrapped[1] if wrapped else written)
    if parts is None:
        return None
    authority = _AUTHORITY.fullmatch(re.split(r"[/?#\\]", parts[3])[0].rpartition("@")[2])
    host = None if authority is None else _host(authority[1])
    if authority is None or host is None:
        return None
    port = int(authority[2]) if authority[2] else None
    if port is not None and port > 65535:  # noqa: PLR2004 - the last one
        return None
    guessed = "http" if host in _LOCAL_HOSTS or port == _DEFAULT_PORTS["http"] else "https"
    scheme = (parts[1] or parts[2] or guessed).lower()
    return _joined(_OF_SOCKETS.get(scheme, scheme), host, port)


def _host(written: str) -> str | None:
    """Return a host as browsers spell it: names in ASCII, addresses in their one form."""
    try:
        if written.startswith("["):
            return f"[{IPv6Address(written[1:-1]).compressed}]"
        name = written.lower() if written.isascii() else idna.encode(written, uts46=True).decode()
        if _NUMBER.fullmatch(name):
            return socket.inet_ntoa(socket.inet_aton(name))
    except (AddressValueError, idna.IDNAError, OSError):
        return None
    return name if _NAME.fullmatch(name) else None


def _joined(scheme: str, host: str, port: int | None) -> str:
    shown = "" if port is None or port == _DEFAULT_PORTS.get(scheme) else f":{port}"
    return f"{scheme}://{host}{shown}"
