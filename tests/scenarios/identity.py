"""What the scenarios of identity share: somebody to register, and the bodies of refusals."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx

PASSWORD = "correct horse"
ANN = {"email": "Ann@Example.com", "password": PASSWORD, "name": "Ann"}
CHALLENGE = 'Bearer realm="sheaf"'
INVALID_TOKEN = 'Bearer realm="sheaf", error="invalid_token"'
REGISTER, LOGIN, PROFILE = "/api/auth/register", "/api/auth/login", "/api/profile"

SignUp = Callable[..., Awaitable[dict[str, Any]]]


def problem(answer: httpx.Response) -> dict[str, Any]:
    """Return the problem body without what differs from request to request."""
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body.pop("request_id")
    assert body.pop("instance") == answer.request.url.path
    assert body.pop("type") == f"https://sheaf.dev/problems/{body['code']}"
    return body


def invalid(*errors: dict[str, str]) -> dict[str, Any]:
    return {
        "title": "The document does not match the schema",
        "status": 400,
        "code": "document.invalid",
        "detail": "1 field is invalid" if len(errors) == 1 else f"{len(errors)} fields are invalid",
        "errors": list(errors),
    }


def unexpected(name: str) -> dict[str, str]:
    return {"pointer": f"/{name}", "code": "additionalProperties", "detail": f"`{name}` cannot be given here"}


def not_text(name: str) -> dict[str, str]:
    return {"pointer": f"/{name}", "code": "type", "detail": "Input should be a valid string"}
