"""Reading the mails that a service keeps in development, as a person would."""

import asyncio
import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

LINK = re.compile(r"https?://\S+")
PATIENCE_S = 30.0


class Mailbox:
    """The mails in the directory of a service's data."""

    def __init__(self, data: Path) -> None:
        self._path = data / "mails"

    def all(self, to: str) -> list[EmailMessage]:
        """Return the mails to an address by now, the oldest first."""
        paths = sorted(self._path.glob("*.eml"))
        mails = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in paths]
        return [mail for mail in mails if isinstance(mail, EmailMessage) and mail["To"] == to]

    async def newest(self, to: str, number: int = 1) -> EmailMessage:
        """Wait until there are so many mails to an address, and give the newest."""
        async with asyncio.timeout(PATIENCE_S):
            while len(found := self.all(to)) < number:  # noqa: ASYNC110 - a directory has no events
                await asyncio.sleep(0.01)
        assert len(found) == number, [mail["Subject"] for mail in found]
        return found[-1]

    async def token(self, to: str, number: int = 1) -> str:
        """Wait for a mail, and give the token of its link."""
        return link_of(await self.newest(to, number)).partition("#token=")[2]


def link_of(mail: EmailMessage) -> str:
    """Return the one link of a mail."""
    (link,) = LINK.findall(mail.get_content())
    return str(link)
