"""How mails leave the service: by SMTP, or into a folder in development."""

import asyncio
import os
import ssl
from contextlib import suppress
from email.headerregistry import Address
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import structlog
from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from models.base import utc_now
from service.kit.errors import StartupFailure
from service.mail.messages import Message, sender_of, written

KEPT_MAILS = 200
"""How many mails a folder keeps; the oldest go."""

DEVELOPMENT_SENDER = sender_of("Sheaf <sheaf@localhost>")

log = structlog.get_logger("sheaf.mail")


class Undeliverable(Exception):
    """The mail was refused for good; the reason is its kind, without the server's words."""


class NotNow(Exception):
    """The mail was not taken this time."""


class Transport(Protocol):
    """Something that takes mails."""

    async def deliver(self, mail_id: str, message: Message) -> None:
        """Hand a mail over; raises Undeliverable, NotNow."""

    async def rest(self) -> None:
        """Let go of what is held between mails, because none waits."""


class Folder:
    """A directory of `.eml` files, for development: each mail is a file, and printed by the log."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def deliver(self, mail_id: str, message: Message) -> None:
        """Keep a mail and print it; raises Undeliverable when it cannot be kept."""
        try:
            path = await asyncio.to_thread(self._keep, mail_id, message)
        except (OSError, ValueError) as error:
            raise Undeliverable(type(error).__name__) from None
        printed = f"mail to {message.to}: {message.subject}\n\n{message.text}"
        log.info(printed, kept_as=str(path))

    async def rest(self) -> None:
        """Do nothing."""

    def _keep(self, mail_id: str, message: Message) -> Path:
        now = utc_now()
        content = written(message, DEVELOPMENT_SENDER, mail_id, now).as_bytes()
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path / f"{now:%Y%m%dT%H%M%S%f}-{mail_id}.eml"
        partial = path.with_suffix(".partial")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        partial.rename(path)  # whoever looks sees whole mails only
        for old in sorted(self._path.glob("*.eml"))[:-KEPT_MAILS]:
            old.unlink(missing_ok=True)
        return path


TIMEOUT_S = 10.0
"""How long each step of the protocol may take."""

MAIL_TIMEOUT_S = 30.0
"""How long one mail may take, connecting included."""

FOR_GOOD = 500
"""SMTP's replies from here on say that trying again will not help (RFC 5321, 4.2.1)."""

LOOPBACKS = frozenset({"localhost", "127.0.0.1", "::1"})
DEFAULT_PORTS = {"smtp": 587, "smtps": 465}


class Smtp:
    """A mail server, by a URL `smtp://user:password@host:587` or `smtps://…`; raises StartupFailure.

    `smtps` is TLS from the first byte. `smtp` changes to TLS by STARTTLS: always when there is a password to
    be sent to another machine, else if the server offers it. Certificates are verified.
    """

    def __init__(self, url: str, sender: Address, tls: ssl.SSLContext | None = None) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port or DEFAULT_PORTS[parts.scheme]
        except (ValueError, KeyError):
            raise _wrong() from None
        if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
            raise _wrong()
        self._sender = sender
        is_secret = parts.username is not None and parts.hostname not in LOOPBACKS
        self._client = SMTP(
            hostname=parts.hostname,
            port=port,
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
            use_tls=parts.scheme == "smtps",
            start_tls=False if parts.scheme == "smtps" else is_secret or None,
            tls_context=tls,
            timeout=TIMEOUT_S,
        )

    async def deliver(self, mail_id: str, message: Message) -> None:
        """Hand a mail to the server, over the connection of the last one; raises Undeliverable, NotNow."""
        try:
            mail = written(message, self._sender, mail_id, utc_now())
        except ValueError:
            raise Undeliverable("malformed") from None
        try:
            async with asyncio.timeout(MAIL_TIMEOUT_S):
                if not self._client.is_connected:
                    await self._client.connect()
                await self._client.send_message(mail)
        except SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            kind = Undeliverable if all(code >= FOR_GOOD for code in codes) else NotNow
            raise kind(f"recipient refused, {codes}") from None
        except SMTPDataError as error:
            kind = Undeliverable if error.code >= FOR_GOOD else NotNow
            raise kind(f"data refused, {error.code}") from None
        except SMTPNotSupported:
            raise Undeliverable("not supported by the server") from None
        except (SMTPException, OSError, TimeoutError) as error:
            self._client.close()
            code = f", {error.code}" if isinstance(error, SMTPResponseException) else ""
            raise NotNow(f"{type(error).__name__}{code}") from None

    async def rest(self) -> None:
        """Close the connection, if there is one."""
        if self._client.is_connected:
            with suppress(SMTPException, OSError, TimeoutError):
                await self._client.quit()
            self._client.close()


def _wrong() -> StartupFailure:
    return StartupFailure("SHEAF_SMTP_URL is wrong: it must be like `smtp://user:password@host:587`.")
