"""The public keys by which others verify access tokens."""

import hashlib

import orjson
from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.enums import HttpMethod

from service.documents import preconditions
from service.http.contract.operations import Described
from service.http.guards import IGNORES_TOKEN
from service.http.requests import AnyRequest, only_parameters
from service.http.responses import Ready
from service.http.routing import get
from service.http.services import Services

MEDIA_TYPE = "application/jwk-set+json"
CACHING = "public, max-age=300"
"""How long others may keep the keys: a new one is published that much before it signs."""


class JwksController(Controller):
    """`/.well-known/jwks.json` (RFC 7517, 8615)."""

    path = "/.well-known/jwks.json"
    opt = {IGNORES_TOKEN: True}

    @get("/", operation=Described.NOWHERE)
    async def get_keys(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Return the public halves of the asymmetric keys; none when a secret signs and verifies alone."""
        only_parameters(request)
        content = orjson.dumps({"keys": services.tokens.ring.published()})
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        headers = {"ETag": tag, "Cache-Control": CACHING}
        if preconditions.is_known(request.headers.get("if-none-match"), tag):
            return Ready(b"", status_code=304, headers=headers)
        if request.scope["method"] == HttpMethod.HEAD:
            headers["Content-Length"] = str(len(content))
            content = b""
        return Ready(content, headers=headers, media_type=MEDIA_TYPE)
