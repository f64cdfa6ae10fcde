"""The outbox: mails that wait in the database, so that answers wait for none and a restart loses none."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

import orjson
from beanie import UpdateResponse
from beanie.odm.queries.find import FindOne

from models.base import utc_now
from models.mail import Mail
from service.kit.backoff import Backoff
from service.kit.sealing import Sealer
from service.mail.messages import Message
from service.runtime.tracing import written
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
        """Add a mail; joins the present transaction, and is there only if that comes to pass."""
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
        """Take the mail that is due longest, if one is; of all workers one gets it."""
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
