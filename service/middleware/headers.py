"""Reading and merging ASGI header lists, the way every middleware here needs it."""

from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]


def value_of(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """Give the first value of a header, whose `name` is in lower case; None when it is absent.

    >>> value_of([(b"Content-Type", b"text/plain")], b"content-type")
    b'text/plain'
    """
    for key, value in headers:
        if key == name or key.lower() == name:
            return value
    return None


def with_vary(headers: Headers, *names: bytes) -> Headers:
    """Give the headers with `names` added to their one `Vary` (RFC 9110, 12.5.5).

    >>> with_vary([(b"vary", b"Origin")], b"Accept-Encoding", b"origin")
    [(b'vary', b'Origin, Accept-Encoding')]
    """
    listed: list[bytes] = []
    others: Headers = []
    for key, value in headers:
        if key == b"vary" or key.lower() == b"vary":
            listed.extend(part.strip() for part in value.split(b","))
        else:
            others.append((key, value))
    if b"*" in listed:
        return [*others, (b"vary", b"*")]
    known = {name.lower() for name in listed}
    listed.extend(name for name in names if name.lower() not in known)
    return [*others, (b"vary", b", ".join(listed))]
