"""One mail: what it says, the templates and links that it is made of, and the form that servers take."""

from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from string import Template

from service.kit.errors import StartupFailure

MAXIMUM_LINE_CHARACTERS = 200
"""Long enough that links stay in one piece, for people who read the source; RFC 5322 allows 998."""

POLICY = SMTP.clone(max_line_length=MAXIMUM_LINE_CHARACTERS)


@dataclass(frozen=True, slots=True)
class Message:
    """What is said to whom, in plain text."""

    to: str
    subject: str
    text: str


def sender_of(text: str) -> Address:
    """Read who mails are from: `a@x.io` or `Name <a@x.io>`; raises StartupFailure.

    >>> str(sender_of("The Shop <shop@example.com>"))
    'The Shop <shop@example.com>'
    """
    name, address = parseaddr(text)
    try:
        sender = _address(address, name)
    except ValueError:
        sender = Address()
    if not sender.username or not sender.domain or not text.isprintable():
        raise StartupFailure("SHEAF_MAIL_FROM is wrong: it must be an address, or `Name <address>`.")
    return sender


def written(message: Message, sender: Address, mail_id: str, at: datetime) -> EmailMessage:
    """Write a mail out (RFC 5322); raises ValueError for what would break out of a header.

    Its Message-ID is that of the stored mail, so that one delivered twice is known to be one. It is marked as
    sent by a program (RFC 3834), so that no program answers.
    """
    mail = EmailMessage(policy=POLICY)
    mail["From"] = sender
    mail["To"] = _address(message.to)
    mail["Subject"] = message.subject
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<{mail_id}@{sender.domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    return mail


def _address(text: str, name: str = "") -> Address:
    try:
        return Address(name, addr_spec=text)
    except (MessageError, IndexError):
        raise ValueError(text) from None


OWN = Path(__file__).parent / "templates"

PLACES: dict[str, frozenset[str]] = {
    "account-exists": frozenset({"service", "link", "lifetime"}),
    "email-change-asked": frozenset({"service", "address"}),
    "email-changed": frozenset({"service", "address"}),
    "password-changed": frozenset({"service"}),
    "reset-password": frozenset({"service", "link", "lifetime"}),
    "verify-email": frozenset({"service", "link", "lifetime"}),
    "verify-new-email": frozenset({"service", "link", "lifetime"}),
}
"""Every template, and what may be filled into it; nobody's name, which anybody could have chosen."""

SUBJECT = "Subject:"


class Templates:
    """The templates of a service; `directory` may have files of its own in place of ours.

    Raises StartupFailure when one of those has another form, or a `$name` that there is not.
    """

    def __init__(self, service: str, directory: Path | None = None) -> None:
        if directory is not None and not directory.is_dir():
            raise StartupFailure(f"SHEAF_MAIL_TEMPLATES is wrong: {directory} is not a directory.")
        self._service = service
        self._templates = {name: _read(name, directory) for name in PLACES}

    def fill(self, name: str, to: str, **values: str) -> Message:
        """Return the mail that a template makes of values."""
        subject, text = self._templates[name]
        values |= {"service": self._service}
        return Message(to, subject.substitute(values), text.substitute(values))


def _read(name: str, directory: Path | None) -> tuple[Template, Template]:
    path = OWN / f"{name}.txt"
    if directory is not None and (directory / path.name).exists():
        path = directory / path.name
    try:
        first, _, text = path.read_text(encoding="utf-8").partition("\n\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StartupFailure(f"The mail template {path} cannot be read: {error}.") from None
    if not first.startswith(SUBJECT) or "\n" in first or not text.strip():
        raise StartupFailure(
            f"The mail template {path} must be a line `{SUBJECT} …`, an empty line, and a text."
        )
    made = Template(first.removeprefix(SUBJECT).strip()), Template(text)
    for template in made:
        unknown = set(template.get_identifiers()) - PLACES[name]
        if unknown or not template.is_valid():
            known = ", ".join(f"${place}" for place in sorted(PLACES[name]))
            raise StartupFailure(
                f"The mail template {path} may use only {known}, and `$$` for a dollar sign."
            )
    return made


@dataclass(frozen=True, slots=True)
class Links:
    """Where the pages are that mails lead to; each path ends where the token begins."""

    public_url: str
    reset_path: str
    verification_path: str

    def reset(self, token: str) -> str:
        """Return the link to choose a new password by.

        >>> Links("https://shop.example/", "/reset#token=", "/verify#token=").reset("abc")
        'https://shop.example/reset#token=abc'
        """
        return f"{self.public_url.rstrip('/')}{self.reset_path}{token}"

    def verify(self, token: str) -> str:
        """Return the link to prove an address by."""
        return f"{self.public_url.rstrip('/')}{self.verification_path}{token}"
