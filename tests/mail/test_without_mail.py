"""A service that nobody has set up mail for: it says so, to everybody alike, and works otherwise."""

from typing import Any

import pytest

from service.kit.errors import StartupFailure
from service.runtime.settings import load
from tests.conftest import SECRET, served
from tests.mailing_service import ANOTHER, PASSWORD
from tests.scenarios.identity import problem

PRODUCTION: dict[str, Any] = {"environment": "production", "jwt_secret": SECRET, "_env_file": None}
NO_MAIL = {
    "title": "This service sends no mails",
    "status": 409,
    "code": "mail.not_configured",
    "detail": "This service sends no mails; ask whoever runs it",
}


async def test_service_without_mail_refuses_links_and_still_changes_passwords(
    mongodb_uri: str,
) -> None:
    async with served(mongodb_uri, environment="production") as service:
        client, body = service.client, {"email": "ann@example.com", "password": PASSWORD}
        assert (await client.post("/api/auth/register", json=body)).status_code == 201
        login = (await client.post("/api/auth/login", json=body)).json()["data"]
        here = {"Authorization": f"Bearer {login['access_token']}"}
        change = {"email": "new@example.com", "password": PASSWORD}
        for answer in (
            await client.post("/api/auth/password/forgot", json={"email": "ann@example.com"}),
            await client.post("/api/auth/password/forgot", json={"email": "nobody@example.com"}),
            await client.post("/api/auth/email", json=change, headers=here),
            await client.post("/api/auth/email/verify/resend", headers=here),
        ):
            assert (answer.status_code, problem(answer)) == (409, NO_MAIL)
        passwords = {"current_password": PASSWORD, "new_password": ANOTHER}
        assert (await client.post("/api/auth/password", json=passwords, headers=here)).status_code == 204
        assert service.database["_mails"].count_documents({}) == 0
        assert service.database["_one_time_tokens"].count_documents({}) == 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"smtp_url": "smtp://localhost"},
            "SHEAF_MAIL_FROM must be set with SHEAF_SMTP_URL, to who mails are from.",
        ),
        (
            {"email_verification": "required"},
            "SHEAF_EMAIL_VERIFICATION=required needs SHEAF_SMTP_URL and SHEAF_PUBLIC_URL.",
        ),
        (
            {"mail_limit": "often"},
            'SHEAF_MAIL_LIMIT is wrong: must be a rate such as "100/15minutes".',
        ),
        (
            {"password_reset_path": "//evil.example/#"},
            "SHEAF_PASSWORD_RESET_PATH is wrong: string should match pattern '^/[!-.0-~][!-~]*$'.",
        ),
    ],
)
def test_contradictory_mail_settings_fail_at_start(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StartupFailure) as caught:
        load(**PRODUCTION, **changes)
    assert str(caught.value) == sentence


def test_mail_links_begin_with_public_url_or_own_url_in_development() -> None:
    assert load(**PRODUCTION).link_url is None
    assert load(**PRODUCTION, public_url="https://shop.example").link_url == "https://shop.example"
    development = PRODUCTION | {"environment": "development"}
    assert load(**development, host="::1", port=81).link_url == "http://[::1]:81"
