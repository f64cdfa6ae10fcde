"""The post: how the rest of the service sends mails."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from limits import parse

from service.kit.errors import MailNotConfigured
from service.kit.sealing import Sealer, digest
from service.mail.messages import Links, Templates, sender_of
from service.mail.outbox import Outbox, Sender
from service.mail.transports import Folder, Smtp, Transport
from service.storage.rate_limits import SharedCounts

NOTICE_USEFUL_S = 86_400.0
"""How long a notice of what has happened is worth sending."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many mails may be asked for, to one recipient and from one client; rates as `5/hour`."""

    counts: SharedCounts
    recipient: str
    client: str

    async def takes(self, recipient: str, client: str) -> bool:
        """Count a mail that somebody asks for; returns whether it may be sent.

        Exact on any number of workers: both counts are taken whatever the other says, each in one operation.
        """
        results = [
            await self._take("recipient", self.recipient, recipient),
            await self._take("client", self.client, client),
        ]
        return all(results)

    async def _take(self, kind: str, rate: str, key: str) -> bool:
        limit = parse(rate)
        taken = await self.counts.take(f"mail/{kind}/{digest(key)}", limit.get_expiry(), 1)
        return taken.count <= limit.amount


class Post:
    """Puts mails into the outbox and has them sent; without a transport there is no mail.

    Without an allowance there is no limit to them.
    """

    def __init__(
        self,
        outbox: Outbox,
        templates: Templates,
        links: Links | None,
        transport: Transport | None,
        allowance: Allowance | None = None,
    ) -> None:
        self._outbox = outbox
        self._templates = templates
        self._links = links
        self._sender = None if transport is None or links is None else Sender(outbox, transport)
        self._allowance = allowance

    @property
    def is_open(self) -> bool:
        """Whether mails are sent here."""
        return self._sender is not None

    @property
    def links(self) -> Links:
        """Where links lead; raises MailNotConfigured when mails are not sent here."""
        if self._sender is None or self._links is None:
            raise MailNotConfigured("This service sends no mails; ask whoever runs it")
        return self._links

    async def takes(self, recipient: str, client: str | None) -> bool:
        """Count a mail that a client asks for; returns whether it may be sent, which no client may learn."""
        return self._allowance is None or await self._allowance.takes(recipient, client or "unknown")

    async def put(
        self,
        template: str,
        to: str,
        *,
        useful_for_s: float = NOTICE_USEFUL_S,
        is_decoy: bool = False,
        **values: str,
    ) -> None:
        """Have a mail sent if the present transaction commits; without mail here, do nothing.

        `values` are what the template needs beside the service's name. A decoy is stored and never sent.
        """
        if self._sender is not None:
            message = self._templates.fill(template, to, **values)
            await self._outbox.put(message, useful_for_s, is_decoy=is_decoy)

    async def depths(self) -> dict[str, int]:
        """Count the mails that wait and those that could not be sent, of all workers, by their state."""
        return await self._outbox.depths()

    def wake(self) -> None:
        """Send what was put in at once, not within a second; called after the transaction."""
        if self._sender is not None:
            self._sender.wake()

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Send until the context ends."""
        if self._sender is None:
            yield
            return
        async with self._sender.sending():
            yield


def lifetime(seconds: float) -> str:
    """Return how long a link is valid, in words.

    >>> lifetime(3600), lifetime(86400), lifetime(600)
    ('1 hour', '24 hours', '10 minutes')
    """
    for unit, length_s in (("hour", 3600), ("minute", 60)):
        number = int(seconds // length_s)
        if seconds % length_s == 0 and number:
            return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
    return f"{int(seconds)} seconds"


log = structlog.get_logger("sheaf.mail")


def open_post(
    sealer: Sealer,
    templates: Templates,
    *,
    server_url: str | None,
    sender: str | None,
    folder: Path | None,
    links: Links | None,
    allowance: Allowance | None,
) -> Post:
    """Open the way that mails go: a server, else a folder, else none, which is logged; raises StartupFailure.

    Without links, because there is no URL for them to begin with, there is no mail either.
    """
    transport: Transport | None = None
    if server_url is not None:
        transport = Smtp(server_url, sender_of(sender or ""))
    elif folder is not None:
        transport = Folder(folder)
    if transport is None or links is None:
        log.warning("mail.not_configured", hint="Set SHEAF_SMTP_URL, SHEAF_MAIL_FROM and SHEAF_PUBLIC_URL.")
    return Post(Outbox(sealer), templates, links, transport, allowance)
