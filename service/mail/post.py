"""The post: what the rest of the service sends mails by."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from limits import parse

from service.kit.errors import MailNotConfigured
from service.kit.sealing import digest
from service.mail.links import Links
from service.mail.outbox import Outbox
from service.mail.sending import Sender
from service.mail.templates import Templates
from service.mail.transports import Transport
from service.storage.rate_limits import SharedCounts

NOTICE_USEFUL_S = 86_400.0
"""How long it is worth telling somebody what has happened."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many mails may be asked for, to one recipient and from one client; rates as `5/hour`."""

    counts: SharedCounts
    recipient: str
    client: str

    async def takes(self, recipient: str, client: str) -> bool:
        """Count a mail that somebody asks for; tells whether it may be sent.

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

    Without an allowance as many as are asked for.
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
        """Tell whether mails are sent here."""
        return self._sender is not None

    @property
    def links(self) -> Links:
        """Give where links lead; raises MailNotConfigured when mails are not sent here."""
        if self._sender is None or self._links is None:
            raise MailNotConfigured("This service sends no mails; ask whoever runs it")
        return self._links

    async def takes(self, recipient: str, client: str | None) -> bool:
        """Count a mail that a client asks for; tells whether it may be sent, which the client is not told."""
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
        """Have a mail sent if the present transaction comes to pass; without mail here, do nothing.

        `values` are what the template needs beside the service's name. A decoy is stored and never sent.
        """
        if self._sender is not None:
            message = self._templates.fill(template, to, **values)
            await self._outbox.put(message, useful_for_s, is_decoy=is_decoy)

    async def depths(self) -> dict[str, int]:
        """Count the mails that wait and those that could not be sent, of all workers, by their state."""
        return await self._outbox.depths()

    def wake(self) -> None:
        """Have what was put in sent at once, not within a second; after the transaction."""
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
    """Say how long a link is good for.

    >>> lifetime(3600), lifetime(86400), lifetime(600)
    ('1 hour', '24 hours', '10 minutes')
    """
    for unit, length_s in (("hour", 3600), ("minute", 60)):
        number = int(seconds // length_s)
        if seconds % length_s == 0 and number:
            return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
    return f"{int(seconds)} seconds"
