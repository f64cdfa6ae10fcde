"""One mail: to whom, what about, what it says; and the form in which servers take it."""

from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

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
