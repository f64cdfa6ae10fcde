import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from jose import jwt

from service.identity.core.signing_keys import key_id
from service.runtime.settings import Settings
from tests.scenarios.identity import CHALLENGE, INVALID_TOKEN, PROFILE, problem

KEEPS_DEFINITIONS = True


async def test_profile_without_token_is_401(client: httpx.AsyncClient) -> None:
    answer = await client.get(PROFILE)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, CHALLENGE)
    assert problem(answer) == {
        "title": "Sign in first",
        "status": 401,
        "code": "auth.required",
        "detail": "Sign in first",
    }


def forged(settings: Settings, algorithm: str = "HS256", **changes: Any) -> str:
    assert settings.jwt_secret is not None
    secret = settings.jwt_secret.get_secret_value()
    now = int(time.time())
    claims = {
        "iss": settings.jwt_issuer,
        "aud": settings.jwt_audience,
        "sub": "64b64b64b64b64b64b64b64b",
        "exp": now + 60,
        "iat": now,
        "jti": "1",
        "typ": "access",
        "sid": "1",
        "epoch": 0,
        "roles": ["admin"],
        "attributes": {},
    }
    header = {"kid": changes.pop("kid", key_id(secret))}
    stated = {name: value for name, value in (claims | changes).items() if value is not ...}
    return jwt.encode(stated, secret, algorithm, headers=header)


UNSIGNED = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIiwicm9sZXMiOlsiYWRtaW4iXX0."


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "another"},
        {"aud": "another"},
        {"typ": "refresh"},
        {"typ": ...},
        {"exp": ...},
        {"jti": ...},
        {"sid": ...},
        {"kid": "../../dev/null"},
        {"kid": "unknown"},
        {"algorithm": "HS512"},
    ],
    ids=str,
)
async def test_token_with_anything_wrong_is_refused_everywhere(
    client: httpx.AsyncClient, settings: Settings, changes: dict[str, Any]
) -> None:
    headers = {"Authorization": f"Bearer {forged(settings, **changes)}"}
    for path in (PROFILE, "/api/products", "/api/collections"):
        answer = await client.get(path, headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, INVALID_TOKEN)
        assert problem(answer) == {
            "title": "The access token is not valid",
            "status": 401,
            "code": "auth.token_invalid",
            "detail": "The access token is not valid",
        }


async def test_forged_token_with_nothing_wrong_is_accepted(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    headers = {"Authorization": f"Bearer {forged(settings)}"}
    assert (await client.get("/api/collections", headers=headers)).status_code == 200


async def test_malformed_authorization_is_refused_even_where_none_is_needed(
    client: httpx.AsyncClient,
) -> None:
    for header in ("Basic YTpi", "Bearer", f"Bearer {UNSIGNED}", "Bearer x", "x", "Bearer " + "x" * 5000):
        for path in (PROFILE, "/api/products"):
            answer = await client.get(path, headers={"Authorization": header})
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, INVALID_TOKEN)
            assert problem(answer)["code"] == "auth.token_invalid"


async def test_expired_token_is_answered_as_expired(client: httpx.AsyncClient, settings: Settings) -> None:
    token = forged(settings, exp=int(time.time()) - 5)
    answer = await client.get(PROFILE, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, problem(answer)) == (
        401,
        {
            "title": "The access token is not valid",
            "status": 401,
            "code": "auth.token_invalid",
            "detail": "The access token has expired",
            "hint": "Sign in again to get a new one.",
        },
    )


# --- roles


@pytest.mark.parametrize(
    ("name", "roles", "status", "code"),
    [
        (None, (), 401, "auth.required"),
        ("ann", (), 403, "access.denied"),
        ("ed", ("editor",), 403, "access.denied"),
        ("root", ("admin",), 200, None),
    ],
)
async def test_definitions_are_for_admins(
    client: httpx.AsyncClient,
    as_user: Callable[..., dict[str, str]],
    name: str | None,
    roles: tuple[str, ...],
    status: int,
    code: str | None,
) -> None:
    answer = await client.get("/api/collections", headers=as_user(name, *roles))
    assert (answer.status_code, answer.json().get("code")) == (status, code)
