"""Failures turned into problem responses (RFC 9457), other errors into failures, and the step that does."""

import json
import re
from typing import Any

import orjson
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import Scope

from service.http import websockets
from service.http.pipeline.step import Exchange, Step
from service.http.responses import Ready
from service.kit.errors import (
    PROBLEM_MEDIA_TYPE,
    BodyTooLarge,
    Busy,
    Failure,
    Forbidden,
    Internal,
    MediaTypeUnsupported,
    MethodNotAllowed,
    ParameterInvalid,
    RateLimited,
    RequestInvalid,
    RouteNotFound,
    SignInRequired,
    Unavailable,
    Violation,
)
from service.kit.violations import invalid
from service.storage.errors import failure_of

Headers = list[tuple[bytes, bytes]]

_MISSING = re.compile(r"Missing required (query|header|cookie|path) parameter '([^']{1,200})'")
NO_METHODS = frozenset({"", "websocket"})
"""What Litestar lists among the methods of an address that are none."""

_CLIENT_FAULTS = range(400, 500)
_KINDS: dict[int, type[Failure]] = {
    kind.status: kind
    for kind in (
        SignInRequired,
        Forbidden,
        RouteNotFound,
        BodyTooLarge,
        MediaTypeUnsupported,
        RateLimited,
        Busy,
    )
}
_OPTIONS = orjson.OPT_NON_STR_KEYS

error_log = structlog.get_logger("sheaf.errors")


def render(failure: Failure, *, instance: str, request_id: str) -> tuple[int, Headers, bytes]:
    """Return the status, headers and body that tell a client of a failure at the path `instance`."""
    body = _encoded(failure.problem(instance=instance, request_id=request_id))
    headers: Headers = [
        (b"content-type", PROBLEM_MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in failure.headers.items()]
    return failure.status, headers, body


def translate(error: Exception) -> Failure:
    """Return the failure for any error: itself, ours for MongoDB's and Litestar's, or Internal.

    >>> translate(RuntimeError("a secret")).problem(instance="/", request_id="1")["detail"]
    'Something went wrong on our side'
    """
    if isinstance(error, Failure):
        return error
    return _from_litestar(error) if isinstance(error, HTTPException) else failure_of(error)


def report(error: Exception, scope: Scope) -> None:
    """Log an error that is not the client's: in full when it is a fault of ours, else in one line."""
    failure = translate(error)
    seen = {"request_id": _request_id(scope), "method": scope.get("method"), "path": scope["path"]}
    if isinstance(failure, Internal):
        error_log.error("request failed", exc_info=error, **seen)
    elif isinstance(failure, Unavailable):
        error_log.warning("request refused", code=failure.code, reason=repr(error)[:500], **seen)


def answer(error: Exception, scope: Scope) -> tuple[int, Headers, bytes]:
    """Report an error and give the problem response to the request that met it."""
    report(error, scope)
    return render(translate(error), instance=scope["path"], request_id=_request_id(scope))


def response(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Report an error and give the response to the request that met it, for who adds to it."""
    status, headers, body = answer(error, request.scope)
    own = {name.decode(): value.decode("latin-1") for name, value in headers}
    del own["content-length"], own["content-type"]  # the response sets both
    return Ready(body, status_code=status, headers=own, media_type=PROBLEM_MEDIA_TYPE)


def _request_id(scope: Scope) -> str:
    return str(scope.setdefault("state", {}).get("request_id", ""))


def _encoded(problem: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(problem, default=str, option=_OPTIONS)
    except TypeError:  # a lone surrogate from the request, which orjson refuses and ASCII can carry
        return json.dumps(problem, default=str).encode("ascii")


def _method_not_allowed(error: HTTPException) -> Failure:
    given = {name.lower(): value for name, value in (error.headers or {}).items()}
    allowed = ", ".join(sorted({method.strip() for method in given.get("allow", "").split(",")} - NO_METHODS))
    hint = f"This address takes {allowed}." if allowed else None
    return MethodNotAllowed(hint=hint, headers={"Allow": allowed})


def _malformed(error: HTTPException) -> Failure:
    """Return the failure for Litestar's own 400, whose detail repeats the URL and is therefore left out."""
    if missing := _MISSING.match(error.detail):
        place, name = missing.groups()
        violation = Violation(f"The {place} parameter `{name}` is missing.", "required", parameter=name)
        kind = ParameterInvalid if place == "query" else RequestInvalid
        return kind(violation.detail, errors=[violation])
    found = [fault for fault in error.extra or () if isinstance(fault, dict)]
    if not found:
        return RequestInvalid()
    violations = [_violation(fault) for fault in found]
    if any(fault.get("source") == "body" for fault in found):
        return RequestInvalid("The body does not have the form that this address takes.", errors=violations)
    if all(fault.get("source") == "query" for fault in found):
        return ParameterInvalid(invalid(len(found), "query parameter"), errors=violations)
    return RequestInvalid(invalid(len(found), "parameter"), errors=violations)


def _violation(fault: dict[str, Any]) -> Violation:
    detail = str(fault.get("message", "invalid"))[:300]
    key = str(fault.get("key", ""))
    if fault.get("source") == "body":
        return Violation(detail, "invalid", pointer="".join(f"/{part}" for part in key.split(".") if key))
    return Violation(detail, "invalid", parameter=key or None)


def _from_litestar(error: HTTPException) -> Failure:
    if error.status_code == MethodNotAllowed.status:
        return _method_not_allowed(error)
    if kind := _KINDS.get(error.status_code):
        return kind()
    return _malformed(error) if error.status_code in _CLIENT_FAULTS else Internal()


class Failures(Step):
    """Turn what the steps and the application raise into a problem response, unless a response has begun.

    What was raised after the response began is logged and raised on: only closing the connection can then
    tell the client that the body is not whole.
    """

    kinds = ("http", "websocket")

    async def answer(self, exchange: Exchange, error: Exception) -> None:
        """Answer for an error."""
        if exchange.has_begun:
            report(error, exchange.scope)
            raise error
        status, headers, body = answer(error, exchange.scope)
        if exchange.kind != "http":
            headers.append((b"x-request-id", _request_id(exchange.scope).encode("ascii")))
            refusal = websockets.Refusal(status, headers, body)
            await websockets.refuse(exchange.scope, exchange.receive, exchange.send, refusal)
            return
        await exchange.send({"type": "http.response.start", "status": status, "headers": headers})
        content = b"" if exchange.method == "HEAD" else body
        await exchange.send({"type": "http.response.body", "body": content, "more_body": False})
