"""The pages that links in mails lead to."""

import re

import pytest

from tests.mailing_service import MailingService


@pytest.mark.parametrize("name", ["reset-password", "verify-email"])
async def test_mail_page_has_security_policy_and_changes_nothing(mailing: MailingService, name: str) -> None:
    email, here = await mailing.sign_up()
    token = await mailing.mailbox.token(email)
    tokens = mailing.database["_one_time_tokens"].count_documents({})
    answer = await mailing.client.get(f"/auth/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert re.search(r"<script(?! src)|<style| style=| on\w+=", answer.text) is None
    for path in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
        assert (await mailing.client.get(f"/auth/{path}")).status_code == 200
    assert mailing.database["_one_time_tokens"].count_documents({}) == tokens
    assert (
        await mailing.post("/email/verify", {"token": token}, here)
    ).status_code == 204  # it is good still


async def test_endpoints_called_by_mail_pages_exist(mailing: MailingService) -> None:
    for name, path in (("reset-password", "password/reset"), ("verify-email", "email/verify")):
        page = (await mailing.client.get(f"/auth/{name}")).text
        assert f'data-path="../api/auth/{path}"' in page
        assert (await mailing.post(f"/{path}", {})).status_code == 400


@pytest.mark.parametrize(
    "path", ["/auth/other", "/auth/page.py", "/auth/..%2fapp", "/auth/reset-password.html"]
)
async def test_unknown_mail_page_is_404(mailing: MailingService, path: str) -> None:
    assert (await mailing.client.get(path)).status_code == 404


async def test_get_of_mail_page_uses_no_token(mailing: MailingService) -> None:
    for path in ("password/reset", "email/verify"):
        assert (await mailing.client.get(f"/api/auth/{path}?token=abc")).status_code == 405
    assert (await mailing.client.get("/auth/verify-email?utm_source=abc")).status_code == 200
