"""Sending what waits in the outbox, in the background of each worker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from service.kit.tasks import background
from service.mail.outbox import MAXIMUM_ATTEMPTS, Claimed, Outbox
from service.mail.transports import NotNow, Transport, Undeliverable
from service.runtime.tracing import continued, failed
from service.storage.errors import DatabaseError

INTERVAL_S = 1.0
"""How often a worker looks for mails that others have put in, or that are due again."""

REST_S = 10.0
"""How long a worker leaves a server alone that took a mail not now."""

ENDING_S = 0.1
"""How long sending is given to end before it is told so again."""

log = structlog.get_logger("sheaf.mail")


class Sender:
    """Hands the outbox's mails to a transport, one after the other."""

    def __init__(self, outbox: Outbox, transport: Transport) -> None:
        self._outbox = outbox
        self._transport = transport
        self._new = asyncio.Event()

    def wake(self) -> None:
        """Look into the outbox now, since this worker has just put something in."""
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
        try:
            async with asyncio.timeout(longest_s):
                await self._new.wait()
        except TimeoutError:
            return
        self._new.clear()

    async def _send_all(self) -> bool:
        """Send what is due; tells whether the transport may be asked again at once."""
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
