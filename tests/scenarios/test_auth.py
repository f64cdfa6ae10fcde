import asyncio
import time
from typing import Any

import httpx
import pytest
from jose import jwt
from litestar import Litestar

from models.user import User
from tests.scenarios.identity import (
    ANN,
    CHALLENGE,
    LOGIN,
    PASSWORD,
    PROFILE,
    REGISTER,
    SignUp,
    invalid,
    not_text,
    problem,
    unexpected,
)
from tests.services import replaced

KEEPS_DEFINITIONS = True

# --- registering


async def test_registration_makes_an_account_without_roles(client: httpx.AsyncClient) -> None:
    answer = await client.post(REGISTER, json=ANN)
    user = answer.json()["data"]
    assert (answer.status_code, answer.headers["location"]) == (201, PROFILE)
    assert answer.json() == {
        "data": {
            "id": user["id"],
            "email": "Ann@example.com",
            "is_email_verified": False,
            "name": "Ann",
            "roles": [],
            "_version": 1,
            "_created_at": user["_created_at"],
            "_updated_at": user["_created_at"],
        }
    }
    stored = await User.get(user["id"])
    assert stored is not None
    assert stored.password_hash is not None
    assert stored.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({**ANN, "id": "64b64b64b64b64b64b64b64b"}, [unexpected("id")]),
        ({**ANN, "roles": ["admin"]}, [unexpected("roles")]),
        ({**ANN, "_owner": "1", "is_disabled": False}, [unexpected("_owner"), unexpected("is_disabled")]),
        ({**ANN, "__class__": {"__init__": {}}}, [unexpected("__class__")]),
        ({**ANN, "email": {"$gt": ""}}, [not_text("email")]),
        ({**ANN, "password": ["correct horse"]}, [not_text("password")]),
        (
            {"email": "ann@example.com"},
            [{"pointer": "/password", "code": "required", "detail": "`password` is required"}],
        ),
        (
            {"email": "ann", "password": "short"},
            [
                {"pointer": "/email", "code": "format", "detail": "An email address must have an @-sign."},
                {
                    "pointer": "/password",
                    "code": "minLength",
                    "detail": "String should have at least 8 characters",
                },
            ],
        ),
    ],
)
async def test_bad_registration_names_every_fault_and_makes_no_account(
    client: httpx.AsyncClient, body: Any, errors: list[dict[str, str]]
) -> None:
    answer = await client.post(REGISTER, json=body)
    assert (answer.status_code, problem(answer)) == (400, invalid(*errors))
    assert await User.count() == 0


async def test_concurrent_registrations_of_one_address_make_one_account(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(client.post(REGISTER, json=ANN | {"email": email}) for email in ["A@x.io", "a@x.io"] * 10)
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    for answer in answers:
        if answer.status_code == 409:
            assert problem(answer) == {
                "title": "A value that must be unique is taken",
                "status": 409,
                "code": "document.duplicate",
                "detail": "The e-mail address is taken",
                "errors": [
                    {
                        "pointer": "/email",
                        "code": "unique",
                        "detail": "An account with this e-mail address exists already",
                    }
                ],
            }
    assert await User.count() == 1


async def test_closed_registration_makes_no_account(client: httpx.AsyncClient, app: Litestar) -> None:
    with replaced(app, registration_open=False):
        answer = await client.post(REGISTER, json=ANN)
    assert (answer.status_code, problem(answer)) == (
        409,
        {
            "title": "Registration is closed",
            "status": 409,
            "code": "registration.closed",
            "detail": "Registration is closed; ask an administrator for an account",
        },
    )
    assert await User.count() == 0


# --- signing in


async def test_sign_in_answers_tokens_that_are_not_cached(client: httpx.AsyncClient) -> None:
    user = (await client.post(REGISTER, json=ANN)).json()["data"]
    answer = await client.post(LOGIN, json={"email": "ANN@EXAMPLE.COM", "password": PASSWORD})
    data = answer.json()["data"]
    token = data["access_token"]
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.json() == {
        "data": {
            "access_token": token,
            "token_type": "Bearer",
            "refresh_token": data["refresh_token"],
            "expires_in": 900,
            "user": user,
        }
    }
    assert jwt.get_unverified_claims(token)["sub"] == user["id"]


@pytest.mark.parametrize(
    "credentials",
    [
        {"email": "ann@example.com", "password": "wrong password"},
        {"email": "ann@example.com", "password": ""},
        {"email": "bob@example.com", "password": PASSWORD},
        {"email": "no address", "password": PASSWORD},
        {"email": "", "password": PASSWORD},
        {"email": "off@example.com", "password": PASSWORD},
    ],
)
async def test_wrong_credentials_have_one_answer_whatever_is_wrong(
    client: httpx.AsyncClient, sign_up: SignUp, credentials: dict[str, str]
) -> None:
    await sign_up()
    await sign_up(email="off@example.com")
    await User.find_one({"email": "off@example.com"}).update({"$set": {"is_disabled": True}})
    answer = await client.post(LOGIN, json=credentials)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, CHALLENGE)
    assert problem(answer) == {
        "title": "The e-mail address or the password is wrong",
        "status": 401,
        "code": "auth.credentials_wrong",
        "detail": "The e-mail address or the password is wrong",
    }


async def test_wrong_credentials_take_as_long_without_an_account(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    await sign_up()

    async def taken_s(email: str) -> float:
        started = time.perf_counter()
        await client.post(LOGIN, json={"email": email, "password": "wrong password"})
        return time.perf_counter() - started

    rounds = [[await taken_s("ann@example.com"), await taken_s("bob@example.com")] for _ in range(5)]
    known_s, unknown_s = map(min, zip(*rounds, strict=True))
    assert 0.5 < known_s / unknown_s < 2


@pytest.mark.parametrize(
    "body",
    [
        {"email": {"$gt": ""}, "password": {"$gt": ""}},
        {"email": {"$regex": "."}, "password": ["correct horse"]},
        {"email": None, "password": True},
    ],
)
async def test_operators_as_credentials_are_refused_before_any_query(
    client: httpx.AsyncClient, sign_up: SignUp, body: Any
) -> None:
    await sign_up()
    answer = await client.post(LOGIN, json=body)
    assert (answer.status_code, problem(answer)) == (400, invalid(not_text("email"), not_text("password")))


@pytest.mark.parametrize("path", [REGISTER, LOGIN])
@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
async def test_content_types_of_html_forms_are_refused(
    client: httpx.AsyncClient, path: str, media_type: str
) -> None:
    body = b'{"email": "ann@example.com", "password": "correct horse"}'
    answer = await client.post(path, content=body, headers={"content-type": media_type} if media_type else {})
    assert (answer.status_code, problem(answer)["code"]) == (415, "media_type.unsupported")
    assert await User.count() == 0


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "json.invalid"),
        (b"{", 400, "json.invalid"),
        (b'{"email": "a@x.io", "email": "b@x.io"}', 400, "json.invalid"),
        (b'{"email": NaN}', 400, "json.invalid"),
        (b"[" * 100_000, 400, "json.invalid"),
        (b'{"email": "\\ud800@x.io", "password": "correct horse"}', 400, "json.invalid"),
        (b"[]", 400, "document.invalid"),
        (b"null", 400, "document.invalid"),
    ],
)
async def test_sign_in_with_malformed_json_is_refused(
    client: httpx.AsyncClient, body: bytes, status: int, code: str
) -> None:
    answer = await client.post(LOGIN, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, problem(answer)["code"]) == (status, code)


async def test_sign_in_with_an_expired_token_in_the_header_succeeds(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    await sign_up()
    credentials = {"email": "ann@example.com", "password": PASSWORD}
    answer = await client.post(LOGIN, json=credentials, headers={"Authorization": "Bearer a.b.c"})
    assert answer.status_code == 200
