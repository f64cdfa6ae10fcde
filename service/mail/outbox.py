"""The outbox: mails wait in the database, so that answers wait for none and a restart loses none."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import orjson
import structlog
from beanie import UpdateResponse
from beanie.odm.queries.find import FindOne

from models.base import utc_now
from models.mail import Mail
from service.kit.backoff import Backoff
from service.kit.sealing import Sealer
from service.kit.tasks import background, comes_in_time
from service.mail.messages import Message
from service.mail.transports import NotNow, Transport, Undeliverable
from service.runtime.tracing import continued, failed, written
from service.storage.errors import DatabaseError
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

log = structlog.get_logger("sheaf.mail")


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
