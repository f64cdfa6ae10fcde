"""Bytes as text that is safe in URLs, headers and cookies (RFC 4648, 5), in one spelling only."""

from base64 import urlsafe_b64decode, urlsafe_b64encode


def encoded(content: bytes) -> str:
    """Write bytes without padding.

    >>> encoded(b"abc?")
    'YWJjPw'
    """
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(text: str) -> bytes | None:
    """Read what `encoded` wrote; None for anything else, also for another spelling of the same bytes.

    >>> decoded("YWJjPw"), decoded("YWJjPx"), decoded("é")
    (b'abc?', None, None)
    """
    try:
        content = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:
        return None
    return content if encoded(content) == text else None
