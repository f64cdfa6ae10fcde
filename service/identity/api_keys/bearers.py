"""Who a presented API key speaks for, without a query for each request."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any

import structlog
from beanie import BulkWriter, PydanticObjectId

from models.api_key import ApiKey
from models.base import utc_now
from models.user import User
from service.access.principals import Principal
from service.identity.api_keys import keys
from service.identity.api_keys.keys import KeyText
from service.identity.core.revocations import Revocations
from service.kit.errors import DatabaseUnavailable, TokenInvalid
from service.kit.lru import LruTable
from service.storage.batched_reads import BatchedReads
from service.storage.database import Database
from service.storage.errors import DatabaseError

REMEMBERED_S = 30.0
"""How long a key is taken for what it was; what revocations tell of, such as its end, counts before that."""

REFUSED_S = 5.0
"""How long a key that was none is taken for none."""

MAXIMUM_REMEMBERED = 4096
"""Keys, and as many that were none, kept per worker, the least recently used leaving first."""

LOOKUP_TIMEOUT_S = 3.2
"""How long a request waits to be known; its own clock starts later."""

USE_INTERVAL = timedelta(minutes=1)
"""How often, at the most, the last use of a key is written."""

log = structlog.get_logger("sheaf.api_keys")


@dataclass(frozen=True, slots=True)
class _Known:
    """What a key was when it was looked up; `principal` None when it was none."""

    principal: Principal | None
    expires_at: datetime | None
    until_s: float


class KeyBearers:
    """Whom keys speak for: each is looked up once in a while per worker."""

    def __init__(self, database: Database, revocations: Revocations) -> None:
        self._revocations = revocations
        self._joined_keys = BatchedReads(database.motor[ApiKey.Settings.name])
        self._joined_users = BatchedReads(database.motor[User.Settings.name])
        self._known: LruTable[str, _Known] = LruTable(MAXIMUM_REMEMBERED)
        self._refused: LruTable[str, _Known] = LruTable(MAXIMUM_REMEMBERED)
        self._uses: dict[str, dict[str, Any]] = {}
        self._writing: asyncio.Task[None] | None = None

    async def read(self, presented: str, address: str | None) -> Principal:
        """Return whom a key speaks for; raises TokenInvalid, DatabaseUnavailable, and what the driver raises.

        The owner's roles and attributes are those of now: what changes them is told by revocations.
        """
        key = keys.read_text(presented)
        if key is None:
            raise _wrong()
        known = self._remembered(key)
        if known is None:
            try:
                async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                    known = await self._look_up(key, address)
            except TimeoutError:
                raise DatabaseUnavailable from None
        if known.principal is None:
            raise _wrong()
        if known.expires_at is not None and known.expires_at <= utc_now():
            raise TokenInvalid("The API key has expired", hint="Make a new one.")
        return known.principal

    @asynccontextmanager
    async def noting(self) -> AsyncIterator[None]:
        """Have the last uses written before the context ends."""
        try:
            yield
        finally:
            if self._writing is not None:
                await asyncio.gather(self._writing, return_exceptions=True)

    def _remembered(self, key: KeyText) -> _Known | None:
        for kept in (self._known, self._refused):
            known = kept.get(key.hash)
            if known is None:
                continue
            if known.until_s > time.monotonic() and not self._is_revoked(known):
                return known
            kept.pop(key.hash)
        return None

    def _is_revoked(self, known: _Known) -> bool:
        """Return whether it may have changed; a worker that does not hear of changes remembers nothing."""
        if known.principal is None:
            return False
        return not self._revocations.is_current or self._revocations.covers(known.principal)

    async def _look_up(self, key: KeyText, address: str | None) -> _Known:
        """Read the key and its owner. Reads begin after the call, so that no earlier change is missed."""
        stored = await self._joined_keys.get(key.id)
        owner = None
        if stored is not None and compare_digest(stored["hash"], key.hash):
            owner = await self._joined_users.get(PydanticObjectId(stored["user_id"]))
        if stored is None or owner is None or owner.get("is_disabled", False):
            known = _Known(None, None, time.monotonic() + REFUSED_S)
            self._refused.put(key.hash, known)
            return known
        self._note_use(stored, address)
        known = _Known(_principal(stored, owner), stored["expires_at"], time.monotonic() + REMEMBERED_S)
        self._known.put(key.hash, known)
        return known

    def _note_use(self, stored: Mapping[str, Any], address: str | None) -> None:
        """Have the use written soon, unless one was within the last minute; no request waits for that."""
        now = utc_now()
        if stored["last_used_at"] is not None and stored["last_used_at"] > now - USE_INTERVAL:
            return
        self._uses[stored["_id"]] = {"last_used_at": now, "last_used_address": address}
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_uses(), name="uses of API keys")

    async def _write_uses(self) -> None:
        while self._uses:
            uses, self._uses = self._uses, {}
            try:
                async with BulkWriter(ordered=False) as writer:
                    for key_id, use in uses.items():
                        before = use["last_used_at"] - USE_INTERVAL
                        not_noted = [{"last_used_at": None}, {"last_used_at": {"$lte": before}}]
                        key = ApiKey.find_one({"_id": key_id, "$or": not_noted})
                        await key.update({"$set": use}, bulk_writer=writer)
            except DatabaseError as error:
                log.warning("api_keys.use_not_noted", reason=type(error).__name__)


def _principal(key: Mapping[str, Any], owner: Mapping[str, Any]) -> Principal:
    return Principal(
        kind="key",
        id=key["user_id"],
        roles=frozenset(owner.get("roles", ())),
        epoch=owner.get("epoch", 0),
        key_id=key["_id"],
        scopes=frozenset(key["scopes"]),
        email=owner["email"],
        is_email_verified=owner.get("is_email_verified", False),
        name=owner.get("name"),
        attributes=owner.get("attributes", {}),
        expires_at_s=None if key["expires_at"] is None else key["expires_at"].timestamp(),
    )


def _wrong() -> TokenInvalid:
    return TokenInvalid("The API key is not valid", hint="It may have been revoked; make a new one.")
