"""The texts of mails, ours and an operator's own."""

from pathlib import Path

import pytest

from service.kit.errors import StartupFailure
from service.mail.messages import OWN, PLACES, Message, Templates, sender_of


def test_every_template_exists_and_fills_all_its_values() -> None:
    templates = Templates("The $hop")
    values = {"link": "https://x.io/a#token=b", "lifetime": "1 hour", "address": "ann@x.io"}
    assert {path.stem for path in OWN.iterdir()} == set(PLACES)
    for name, places in PLACES.items():
        given = {place: values[place] for place in places - {"service"}}
        message = templates.fill(name, "bob@x.io", **given)
        assert message.to == "bob@x.io"
        assert "The $hop" in message.subject
        assert all(value in message.text for value in given.values())
        assert max(map(len, message.text.splitlines())) <= 110


def test_template_of_operator_replaces_only_its_own(tmp_path: Path) -> None:
    text = "Subject: Neues Passwort f\u00fcr $service\n\nHier: $link\n"
    (tmp_path / "reset-password.txt").write_text(text, encoding="utf-8")
    templates = Templates("Laden", tmp_path)
    assert templates.fill("reset-password", "a@x.io", link="https://x.io", lifetime="1 hour") == Message(
        "a@x.io", "Neues Passwort f\u00fcr Laden", "Hier: https://x.io\n"
    )
    assert templates.fill("password-changed", "a@x.io").subject == "Your password for Laden was changed"


@pytest.mark.parametrize(
    "text",
    [
        "Hello\n\nText\n",
        "Subject: Hello\nText\n",
        "Subject: Hello\n\n",
        "Subject: Hello\nBcc: eve@x.io\n\nText\n",
        "Subject: Hello\n\nDear $name\n",
        "Subject: Hello $link\n\nDear $5\n",
        b"Subject: Hello\n\n\xff\n",
    ],
)
def test_unfillable_template_fails_at_start(tmp_path: Path, text: str | bytes) -> None:
    content = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "reset-password.txt").write_bytes(content)
    with pytest.raises(StartupFailure, match=r"reset-password\.txt"):
        Templates("Shop", tmp_path)


def test_missing_template_directory_fails_at_start(tmp_path: Path) -> None:
    with pytest.raises(StartupFailure, match="is not a directory"):
        Templates("Shop", tmp_path / "none")


@pytest.mark.parametrize(
    "text", ["", "shop", "a@", "@x.io", "a@x.io, b@x.io\nBcc: c@x.io", "Shop\n <a@x.io>"]
)
def test_mail_sender_must_be_one_address(text: str) -> None:
    with pytest.raises(StartupFailure, match="SHEAF_MAIL_FROM is wrong"):
        sender_of(text)
