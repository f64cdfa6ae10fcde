"""Responses that are ready to be sent: bytes and headers, of which nothing has to be worked out any more."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send

BODILESS = frozenset({204, 304})


class Ready(Response[bytes]):
    """A response with a body of bytes, sent as it is: Litestar's own looks at each for 20 µs.

    One with a `Content-Length` of its own is that to a HEAD request. Cookies may be set on it.
    """

    def __init__(
        self,
        content: bytes,
        *,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str = "application/json",
    ) -> None:
        self.content = content
        self.status_code = status_code
        self.headers = {} if headers is None else dict(headers)
        self.media_type = media_type
        self.cookies = []
        self.background = None
        self.encoding = "utf-8"
        self.response_type_encoders = {}

    def to_asgi_response(self, *arguments: Any, **options: Any) -> ASGIResponse:
        """Return what sends it: itself, unless it sets cookies."""
        if self.cookies:
            return super().to_asgi_response(*arguments, **options)
        return cast("ASGIResponse", self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # as Litestar names them
        """Send it."""
        headers = [(_encoded(name), value.encode("latin-1")) for name, value in self.headers.items()]
        if self.status_code not in BODILESS:
            headers.append((b"content-type", _content_type(self.media_type)))
            if "Content-Length" not in self.headers:
                headers.append((b"content-length", b"%d" % len(self.content)))
        start: HTTPResponseStartEvent = {
            "type": "http.response.start",
            "status": cast("int", self.status_code),
            "headers": headers,
        }
        await send(start)
        body: HTTPResponseBodyEvent = {
            "type": "http.response.body",
            "body": self.content,
            "more_body": False,
        }
        await send(body)


@lru_cache(maxsize=256)
def _encoded(name: str) -> bytes:
    return name.lower().encode()


@lru_cache(maxsize=256)
def _content_type(media_type: str) -> bytes:
    return (f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type).encode()
