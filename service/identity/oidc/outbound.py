"""The calls to providers: each to one address, bounded in time and size, without following redirects."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import structlog

from service.kit import strict_json
from service.kit.errors import JsonInvalid, ProviderInvalid, ProviderUnavailable
from service.runtime import deadline

TIMEOUT_S = 5.0
"""How long one call may take, from the connection to the last byte."""

MAXIMUM_ANSWER_BYTES = 262_144
MAXIMUM_CONNECTIONS = 20

OK, MULTIPLE_CHOICES, TOO_MANY, SERVER_ERROR = 200, 300, 429, 500

log = structlog.get_logger("sheaf.oidc")


def client() -> httpx.AsyncClient:
    """Return a client for calls to providers; to be closed."""
    return httpx.AsyncClient(
        follow_redirects=False,
        timeout=TIMEOUT_S,
        limits=httpx.Limits(max_connections=MAXIMUM_CONNECTIONS),
        headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "sheaf"},
    )


async def get(http: httpx.AsyncClient, url: str, *, bearer: str | None = None) -> dict[str, Any]:
    """Read a JSON object; raises ProviderUnavailable, ProviderInvalid."""
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    return await _send(http, http.build_request("GET", url, headers=headers))


async def post(
    http: httpx.AsyncClient, url: str, form: Mapping[str, str], authorization: str | None
) -> dict[str, Any]:
    """Send a form and read a JSON object; raises ProviderUnavailable, ProviderInvalid."""
    headers = {} if authorization is None else {"Authorization": authorization}
    return await _send(http, http.build_request("POST", url, data=dict(form), headers=headers))


async def _send(http: httpx.AsyncClient, request: httpx.Request) -> dict[str, Any]:
    place = f"{request.method} {request.url.copy_with(query=None)}"
    try:
        with deadline.lifted():  # the request's own clock is for the database
            async with asyncio.timeout(TIMEOUT_S):
                status, body = await _exchange(http, request)
    except (httpx.HTTPError, httpx.StreamError, TimeoutError, OSError) as error:
        log.warning("oidc.unreachable", call=place, reason=type(error).__name__)
        raise ProviderUnavailable from None
    if status == TOO_MANY or status >= SERVER_ERROR:
        log.warning("oidc.unavailable", call=place, status=status)
        raise ProviderUnavailable
    if not OK <= status < MULTIPLE_CHOICES or body is None:
        log.warning("oidc.refused", call=place, status=status, is_too_large=body is None)
        raise ProviderInvalid
    try:
        answer = strict_json.parse(body)
    except JsonInvalid:
        answer = None
    if not isinstance(answer, dict):
        log.warning("oidc.no_json", call=place)
        raise ProviderInvalid
    return answer


async def _exchange(http: httpx.AsyncClient, request: httpx.Request) -> tuple[int, bytes | None]:
    """Return the status and the body, None when that is too large; it is read as it comes, never inflated."""
    response = await http.send(request, stream=True)
    try:
        body = bytearray()
        async for part in response.aiter_raw():
            body += part
            if len(body) > MAXIMUM_ANSWER_BYTES:
                return response.status_code, None
        return response.status_code, bytes(body)
    finally:
        await response.aclose()
