import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from jose import jwt
from litestar import Litestar

from models.user import User
from service import accounts
from service.access.passwords import Passwords
from service.access.tokens import key_id
from service.errors import Busy, DocumentInvalid
from service.settings import Settings

PASSWORD = "correct horse"
ANN = {"email": "Ann@Example.com", "password": PASSWORD, "name": "Ann"}
CHALLENGE = 'Bearer realm="sheaf"'
INVALID_TOKEN = 'Bearer realm="sheaf", error="invalid_token"'
REGISTER, LOGIN, PROFILE = "/api/auth/register", "/api/auth/login", "/api/profile"

SignUp = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def sign_up(client: httpx.AsyncClient) -> SignUp:
    """Give a function that registers somebody and signs them in: their user and their headers."""

    async def sign_up(**changes: str) -> dict[str, Any]:
        body = ANN | changes
        registered = await client.post(REGISTER, json=body)
        assert registered.status_code == 201, registered.text
        answer = await client.post(LOGIN, json={"email": body["email"], "password": body["password"]})
        assert answer.status_code == 200, answer.text
        data = answer.json()["data"]
        return {"user": data["user"], "headers": {"Authorization": f"Bearer {data['access_token']}"}}

    return sign_up


def problem(answer: httpx.Response) -> dict[str, Any]:
    """Give the problem body without what differs from request to request."""
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


# --- registering


async def test_whoever_registers_gets_an_account_without_roles(client: httpx.AsyncClient) -> None:
    answer = await client.post(REGISTER, json=ANN)
    user = answer.json()["data"]
    assert (answer.status_code, answer.headers["location"]) == (201, PROFILE)
    assert answer.json() == {
        "data": {
            "id": user["id"],
            "email": "Ann@example.com",
            "name": "Ann",
            "roles": [],
            "_version": 1,
            "_created_at": user["_created_at"],
            "_updated_at": user["_created_at"],
        }
    }
    stored = await User.get(user["id"])
    assert stored is not None
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
async def test_a_bad_registration_names_every_fault_and_makes_no_account(
    client: httpx.AsyncClient, body: Any, errors: list[dict[str, str]]
) -> None:
    answer = await client.post(REGISTER, json=body)
    assert (answer.status_code, problem(answer)) == (400, invalid(*errors))
    assert await User.count() == 0


async def test_of_twenty_registrations_of_one_address_at_once_one_succeeds(client: httpx.AsyncClient) -> None:
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


async def test_when_registration_is_closed_nobody_gets_an_account(
    client: httpx.AsyncClient, app: Litestar
) -> None:
    app.state.registration_open = False
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


async def test_signing_in_gives_a_token_that_is_not_cached(client: httpx.AsyncClient) -> None:
    user = (await client.post(REGISTER, json=ANN)).json()["data"]
    answer = await client.post(LOGIN, json={"email": "ANN@EXAMPLE.COM", "password": PASSWORD})
    token = answer.json()["data"]["access_token"]
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.json() == {
        "data": {"access_token": token, "token_type": "Bearer", "expires_in": 900, "user": user}
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
async def test_wrong_credentials_are_answered_alike_whatever_is_wrong(
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


async def test_wrong_credentials_take_as_long_for_an_account_that_does_not_exist(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    await sign_up()

    async def shortest_s(email: str) -> float:
        times = []
        for _ in range(5):
            started = time.perf_counter()
            await client.post(LOGIN, json={"email": email, "password": "wrong password"})
            times.append(time.perf_counter() - started)
        return min(times)

    known_s, unknown_s = await shortest_s("ann@example.com"), await shortest_s("bob@example.com")
    assert 0.5 < known_s / unknown_s < 2


@pytest.mark.parametrize(
    "body",
    [
        {"email": {"$gt": ""}, "password": {"$gt": ""}},
        {"email": {"$regex": "."}, "password": ["correct horse"]},
        {"email": None, "password": True},
    ],
)
async def test_operators_in_place_of_credentials_are_refused_before_any_query(
    client: httpx.AsyncClient, sign_up: SignUp, body: Any
) -> None:
    await sign_up()
    answer = await client.post(LOGIN, json=body)
    assert (answer.status_code, problem(answer)) == (400, invalid(not_text("email"), not_text("password")))


@pytest.mark.parametrize("path", [REGISTER, LOGIN])
@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
async def test_what_a_form_on_another_site_can_send_is_not_read(
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
async def test_what_is_not_a_strict_json_object_is_refused(
    client: httpx.AsyncClient, body: bytes, status: int, code: str
) -> None:
    answer = await client.post(LOGIN, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, problem(answer)["code"]) == (status, code)


async def test_one_with_an_expired_token_can_still_sign_in(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    await sign_up()
    credentials = {"email": "ann@example.com", "password": PASSWORD}
    answer = await client.post(LOGIN, json=credentials, headers={"Authorization": "Bearer a.b.c"})
    assert answer.status_code == 200


# --- the profile


async def test_the_profile_is_what_registration_answered(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    ann = await sign_up()
    answer = await client.get(PROFILE, headers=ann["headers"])
    assert (answer.status_code, answer.json()) == (200, {"data": ann["user"]})
    assert answer.headers["etag"] == '"1"'
    assert "hash" not in answer.text
    again = await client.get(PROFILE, headers={**ann["headers"], "If-None-Match": '"1"'})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("media_type", ["application/json", "application/merge-patch+json"])
@pytest.mark.parametrize("name", ["Anna", None])
async def test_one_can_change_ones_name(
    client: httpx.AsyncClient, sign_up: SignUp, media_type: str, name: str | None
) -> None:
    ann = await sign_up()
    headers = {**ann["headers"], "content-type": media_type}
    answer = await client.patch(PROFILE, json={"name": name}, headers=headers)
    changed = answer.json()["data"]
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    assert changed == {**ann["user"], "name": name, "_version": 2, "_updated_at": changed["_updated_at"]}
    assert (await client.get(PROFILE, headers=ann["headers"])).json() == {"data": changed}


async def test_a_patch_of_nothing_changes_nothing(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    ann = await sign_up()
    answer = await client.patch(PROFILE, json={}, headers=ann["headers"])
    assert (answer.status_code, answer.json()) == (200, {"data": ann["user"]})


async def test_a_stale_profile_is_not_overwritten(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    ann = await sign_up()
    headers = {**ann["headers"], "If-Match": '"1"'}
    assert (await client.patch(PROFILE, json={"name": "One"}, headers=headers)).status_code == 200
    answer = await client.patch(PROFILE, json={"name": "Two"}, headers=headers)
    assert (answer.status_code, problem(answer)["_version"]) == (412, 2)
    assert (await client.get(PROFILE, headers=ann["headers"])).json()["data"]["name"] == "One"


async def test_of_many_changes_from_one_version_one_succeeds(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    ann = await sign_up()
    headers = {**ann["headers"], "If-Match": '"1"'}
    answers = await asyncio.gather(
        *(client.patch(PROFILE, json={"name": str(number)}, headers=headers) for number in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (
            {"roles": ["admin"], "email_verified": True, "_version": 9},
            [unexpected("roles"), unexpected("email_verified"), unexpected("_version")],
        ),
        ({"name": "Eve", "password_hash": "x"}, [unexpected("password_hash")]),
        ({"name": {"$set": "Eve"}}, [not_text("name")]),
    ],
)
async def test_nothing_but_the_name_can_be_changed(
    client: httpx.AsyncClient, sign_up: SignUp, body: Any, errors: list[dict[str, str]]
) -> None:
    ann = await sign_up()
    answer = await client.patch(PROFILE, json=body, headers=ann["headers"])
    assert (answer.status_code, problem(answer)) == (400, invalid(*errors))
    assert (await client.get(PROFILE, headers=ann["headers"])).json() == {"data": ann["user"]}


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("application/json-patch+json", [{"op": "add", "path": "/roles/-", "value": "admin"}]),
        ("application/vnd.sheaf.operations+json", {"push": {"roles": "admin"}}),
    ],
)
async def test_no_other_form_of_patch_reaches_the_account(
    client: httpx.AsyncClient, sign_up: SignUp, media_type: str, body: Any
) -> None:
    ann = await sign_up()
    headers = {**ann["headers"], "content-type": media_type}
    answer = await client.patch(PROFILE, json=body, headers=headers)
    assert (answer.status_code, problem(answer)["code"]) == (415, "media_type.unsupported")
    assert (await client.get(PROFILE, headers=ann["headers"])).json() == {"data": ann["user"]}


@pytest.mark.parametrize("change", [{"$set": {"is_disabled": True}}, None])
async def test_a_token_is_of_no_use_once_its_account_is_closed(
    client: httpx.AsyncClient, sign_up: SignUp, change: Any
) -> None:
    ann = await sign_up()
    everyone = User.find_all()
    await (everyone.delete() if change is None else everyone.update(change))
    for answer in (
        await client.get(PROFILE, headers=ann["headers"]),
        await client.patch(PROFILE, json={"name": "Ghost"}, headers=ann["headers"]),
    ):
        assert (answer.status_code, problem(answer)["detail"]) == (
            401,
            "The account of this access token is closed",
        )


# --- tokens


async def test_without_a_token_the_profile_asks_for_one(client: httpx.AsyncClient) -> None:
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
        "roles": ["admin"],
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
        {"kid": "../../dev/null"},
        {"kid": "unknown"},
        {"algorithm": "HS512"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", [PROFILE, "/api/products", "/api/collections"])
async def test_a_token_with_anything_wrong_is_refused_everywhere(
    client: httpx.AsyncClient, settings: Settings, changes: dict[str, Any], path: str
) -> None:
    token = forged(settings, **changes)
    answer = await client.get(path, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, INVALID_TOKEN)
    assert problem(answer) == {
        "title": "The access token is not valid",
        "status": 401,
        "code": "auth.token_invalid",
        "detail": "The access token is not valid",
    }


async def test_a_forged_token_with_nothing_wrong_would_be_accepted(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    headers = {"Authorization": f"Bearer {forged(settings)}"}
    assert (await client.get("/api/collections", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "header", ["Basic YTpi", "Bearer", f"Bearer {UNSIGNED}", "Bearer x", "x", "Bearer " + "x" * 5000]
)
@pytest.mark.parametrize("path", [PROFILE, "/api/products"])
async def test_a_malformed_authorization_is_refused_even_where_none_is_needed(
    client: httpx.AsyncClient, header: str, path: str
) -> None:
    answer = await client.get(path, headers={"Authorization": header})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, INVALID_TOKEN)
    assert problem(answer)["code"] == "auth.token_invalid"


async def test_an_expired_token_is_told_so(client: httpx.AsyncClient, settings: Settings) -> None:
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
async def test_collections_are_for_administrators(
    client: httpx.AsyncClient,
    as_user: Callable[..., dict[str, str]],
    name: str | None,
    roles: tuple[str, ...],
    status: int,
    code: str | None,
) -> None:
    answer = await client.get("/api/collections", headers=as_user(name, *roles))
    assert (answer.status_code, answer.json().get("code")) == (status, code)


# --- what the command line makes use of


@pytest.fixture
def passwords(app: Litestar) -> Passwords:
    found: Passwords = app.state.passwords
    return found


async def test_an_account_with_roles_carries_them_into_its_token(
    client: httpx.AsyncClient, passwords: Passwords
) -> None:
    await accounts.create_user(passwords, "root@example.com", PASSWORD, ["admin", "editor", "admin"])
    answer = await client.post(LOGIN, json={"email": "root@example.com", "password": PASSWORD})
    token = answer.json()["data"]["access_token"]
    assert jwt.get_unverified_claims(token)["roles"] == ["admin", "editor"]


@pytest.mark.parametrize("role", ["", "Admin", "role:admin", "a b", "$x"])
async def test_a_role_has_a_plain_name(passwords: Passwords, role: str) -> None:
    with pytest.raises(DocumentInvalid) as caught:
        await accounts.create_user(passwords, "root@example.com", PASSWORD, [role])
    assert [each.pointer for each in caught.value.errors] == ["/roles"]
    assert await User.count() == 0


async def test_signing_in_renews_a_hash_of_another_cost(passwords: Passwords, sign_up: SignUp) -> None:
    user_id = (await sign_up())["user"]["id"]
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await User.find_all().update({"$set": {"password_hash": weak}})
    await accounts.sign_in(passwords, "ann@example.com", PASSWORD)
    renewed = (await accounts.get(user_id)).password_hash
    assert renewed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    await accounts.sign_in(passwords, "ann@example.com", PASSWORD)
    assert (await accounts.get(user_id)).password_hash == renewed


async def test_a_flood_of_sign_ins_is_turned_away_before_it_takes_the_memory(passwords: Passwords) -> None:
    outcomes = await asyncio.gather(
        *(accounts.sign_in(passwords, f"{number}@example.com", PASSWORD) for number in range(200)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Busy) for outcome in outcomes) > 50
