"""How mails leave: how it fails, and the folder that takes them in development."""

import asyncio
import os
from pathlib import Path
from typing import Protocol

import structlog

from models.base import utc_now
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
        """Let go of what is held between mails, since none waits."""


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
