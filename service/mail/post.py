"""The post: how the rest of the service sends mails."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import orjson
import structlog
from beanie import UpdateResponse
from beanie.odm.queries.find import FindOne
from limits import parse

from models.base import utc_now
from models.mail import Mail
from service.kit.errors import MailNotConfigured
from service.kit.sealing import Sealer, digest
from service.kit.tasks import Backoff, background, comes_in_time
from service.mail.messages import Links, Message, Templates, sender_of
from service.mail.transports import Folder, NotNow, Smtp, Transport, Undeliverable
from service.runtime.tracing import continued, failed, written
from service.storage.errors import DatabaseError
from service.storage.rate_limits import SharedCounts
from service.storage.transactions import session

PURPOSE = "mail"
ID_BYTES = 16

LEASE = timedelta(seconds=60)
"""How long a claimed mail is left to its worker; longer than a delivery can take."""

KEPT = timedelta(days=30)
"""How long a mail that could not be sent is kept, for the operator to see."""

DEPTH_LIMIT = 100_000

MAXIMUM_ATTEMPTS = 10
RETRY = Backoff(10.0, 3600.0, growth=3)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A mail that this worker may send now; `message` is None when it cannot be read any more."""

    id: str
    attempts: int
    is_decoy: bool
    message: Message | None
    is_useful: bool
    traceparent: str | None = None


class Outbox:
    """Keeps mails sealed until they are sent; each is claimed by one worker at a time."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    async def put(self, message: Message, useful_for_s: float, *, is_decoy: bool = False) -> None:
        """Add a mail; joins the present transaction, and is there only if that commits."""
        content = orjson.dumps([message.to, message.subject, message.text])
        now = utc_now()
        mail = Mail(
            id=secrets.token_urlsafe(ID_BYTES),
            sealed=self._sealer.seal(PURPOSE, content),
            is_decoy=is_decoy,
            due_at=now,
            useful_until=now + timedelta(seconds=useful_for_s),
            expires_at=now + KEPT,
            traceparent=written(),
        )
        await mail.insert(session=session())

    async def claim(self) -> Claimed | None:
        """Claim the mail that has been due longest, if one is; only one worker gets it."""
        now = utc_now()
        found = await Mail.find_one({"state": "waiting", "due_at": {"$lte": now}}).update(
            {"$set": {"due_at": now + LEASE}, "$inc": {"attempts": 1}},
            response_type=UpdateResponse.NEW_DOCUMENT,
            sort=[("due_at", 1)],
        )
        if found is None:
            return None
        content = self._sealer.unseal(PURPOSE, found.sealed)
        message = None if content is None else Message(*orjson.loads(content))
        is_useful = found.useful_until > now and found.attempts <= MAXIMUM_ATTEMPTS
        return Claimed(found.id, found.attempts, found.is_decoy, message, is_useful, found.traceparent)

    async def sent(self, mail: Claimed) -> None:
        """Forget a mail that was sent, or was never meant to be."""
        await _claimed(mail).delete()

    async def put_off(self, mail: Claimed, reason: str) -> None:
        """Try a mail again later, each time later by more."""
        due_at = utc_now() + timedelta(seconds=RETRY.pause_s(mail.attempts - 1))
        await _claimed(mail).set({"due_at": due_at, "failure": reason})

    async def give_up(self, mail: Claimed, reason: str) -> None:
        """Keep a mail as one that could not be sent."""
        await _claimed(mail).set({"state": "failed", "failure": reason})

    async def depths(self) -> dict[str, int]:
        """Count the mails in each state, up to DEPTH_LIMIT."""
        states = ("waiting", "failed")
        return {each: await Mail.find({"state": each}).limit(DEPTH_LIMIT).count() for each in states}


def _claimed(mail: Claimed) -> FindOne[Mail]:
    """Find a mail while it is this worker's: another claim counts its attempts up."""
    return Mail.find_one({"_id": mail.id, "attempts": mail.attempts})


INTERVAL_S = 1.0
"""How often a worker looks for mails that others have put in, or that are due again."""

REST_S = 10.0
"""How long a worker leaves a server alone that did not take a mail for now."""

ENDING_S = 0.1
"""How long sending may take to end before it is cancelled again."""


class Sender:
    """Hands the outbox's mails to a transport, one after the other."""

    def __init__(self, outbox: Outbox, transport: Transport) -> None:
        self._outbox = outbox
        self._transport = transport
        self._new = asyncio.Event()

    def wake(self) -> None:
        """Look into the outbox now, because this worker has just put something in."""
        self._new.set()

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Send until the context ends; what was begun then is sent by another worker, or after a start."""
        try:
            # A mail library may take a cancellation for the end of its connection.
            async with background(self._run(), "mail", cancel_again_s=ENDING_S):
                yield
        finally:
            await self._transport.rest()

    async def _run(self) -> None:
        while True:
            pause_s = INTERVAL_S
            try:
                if not await self._send_all():
                    pause_s = REST_S
                await self._transport.rest()
            except DatabaseError as error:
                log.warning("mail.retrying", reason=type(error).__name__)
            except Exception:
                log.exception("mail.broken")
                pause_s = REST_S
            if pause_s == REST_S:
                await asyncio.sleep(pause_s)
            else:
                await self._wait(pause_s)

    async def _wait(self, longest_s: float) -> None:
        if await comes_in_time(self._new, longest_s):
            self._new.clear()

    async def _send_all(self) -> bool:
        """Send what is due; returns whether the transport may be asked again at once."""
        while (mail := await self._outbox.claim()) is not None:
            with continued("send mail", "consumer", {"sheaf.attempt": mail.attempts}, mail.traceparent):
                is_open = await self._send(mail)
            if not is_open:
                return False
        return True

    async def _send(self, mail: Claimed) -> bool:
        if mail.is_decoy:
            await self._outbox.sent(mail)
            return True
        if mail.message is None or not mail.is_useful:
            await self._give_up(mail, "too late" if mail.message else "sealed under another secret")
            return True
        try:
            await self._transport.deliver(mail.id, mail.message)
        except Undeliverable as error:
            await self._give_up(mail, str(error))
        except NotNow as error:
            failed("NotNow")
            if mail.attempts >= MAXIMUM_ATTEMPTS:
                await self._give_up(mail, str(error))
            else:
                log.warning("mail.delayed", mail=mail.id, attempts=mail.attempts, reason=str(error))
                await self._outbox.put_off(mail, str(error))
            return False
        else:
            await self._outbox.sent(mail)
        return True

    async def _give_up(self, mail: Claimed, reason: str) -> None:
        failed("Undeliverable")
        log.error("mail.failed", mail=mail.id, attempts=mail.attempts, reason=reason)
        await self._outbox.give_up(mail, reason)


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
