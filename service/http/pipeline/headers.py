"""Reading and completing ASGI header lists, the way every middleware here needs it."""

from collections.abc import Iterable
from functools import lru_cache

from litestar.types import Scope

Headers = list[tuple[bytes, bytes]]

FIRST_VALUES = "headers"
"""The name in a request's state of its headers by their names in lower case, of several lines the first."""


def text_of(scope: Scope, name: bytes) -> str | None:
    """Return the value of a request's header, whose `name` is in lower case; several lines as one list."""
    first: bytes | None = scope["state"][FIRST_VALUES].get(name)
    if first is None:
        return None
    return b", ".join(value for key, value in scope["headers"] if key == name).decode("latin-1")


def value_of(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """Return the first value of a header; None when it is absent. Names are in lower case (ASGI).

    >>> value_of([(b"content-type", b"text/plain")], b"content-type")
    b'text/plain'
    """
    for key, value in headers:
        if key == name:
            return value
    return None


def add_vary(headers: Headers, names: bytes) -> None:
    """Add a list of names to the one `Vary` of some headers (RFC 9110, 12.5.5), in place.

    >>> headers = [(b"vary", b"Origin")]
    >>> add_vary(headers, b"Accept-Encoding, origin"); headers
    [(b'vary', b'Origin, Accept-Encoding')]
    """
    present = [key for key, _ in headers]
    lines = present.count(b"vary")
    if lines == 1:
        place = present.index(b"vary")
        headers[place] = (b"vary", _joined((headers[place][1], names)))
        return
    if lines:
        names = _joined((*(value for key, value in headers if key == b"vary"), names))
        headers[:] = [pair for pair in headers if pair[0] != b"vary"]
    headers.append((b"vary", names))


@lru_cache(maxsize=256)
def _joined(lists: tuple[bytes, ...]) -> bytes:
    names = [part.strip() for each in lists for part in each.split(b",")]
    if b"*" in names:
        return b"*"
    first = {name.lower(): name for name in reversed(names) if name}
    return b", ".join(first[key] for key in dict.fromkeys(name.lower() for name in names if name))
