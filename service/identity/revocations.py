"""What is valid no more though its time has not come, known to every worker without asking each time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import structlog
from pymongo.errors import PyMongoError

from models.base import utc_now
from models.revocation import Revocation
from service.access.principals import Principal
from service.transactions import session

INTERVAL_S = 1.0
"""How often each worker looks for what the others have revoked."""

MARGIN = timedelta(minutes=2)
"""How much longer than the tokens that it is about a revocation is kept: clocks differ."""

GONE = 2**53
"""The epoch of an account that is no more: above that of any token."""

log = structlog.get_logger("sheaf.revocations")


class Revocations:
    """The revocations that concern tokens which may still be presented; `ttl_s` is how long a token lives.

    A revocation is stored within the transaction of what causes it. This worker heeds it from `catch_up` on,
    every other one within about INTERVAL_S.
    """

    def __init__(self, ttl_s: float) -> None:
        self._kept_for = timedelta(seconds=ttl_s) + MARGIN
        self._known: dict[str, tuple[int, datetime]] = {}

    def covers(self, principal: Principal) -> bool:
        """Tell whether what a principal was read from has been revoked."""
        if not self._known:
            return False
        known = self._known
        if principal.session_id is not None and f"session:{principal.session_id}" in known:
            return True
        if principal.key_id is not None and f"key:{principal.key_id}" in known:
            return True
        least = known.get(f"user:{principal.id}")
        return least is not None and principal.epoch < least[0]

    async def end_session(self, session_id: str) -> None:
        """Revoke the access tokens of a session; joins the present transaction."""
        await self._store(f"session:{session_id}", GONE)

    async def end_key(self, key_id: str) -> None:
        """Revoke an API key; joins the present transaction."""
        await self._store(f"key:{key_id}", GONE)

    async def outdate_user(self, user_id: str, epoch: int = GONE) -> None:
        """Revoke a user's tokens and remembered keys of earlier epochs; joins the present transaction."""
        await self._store(f"user:{user_id}", epoch)

    async def catch_up(self) -> None:
        """Learn of all that is revoked by now, such as what this request has just revoked."""
        found = await Revocation.get_motor_collection().find({}).to_list(None)
        self._known = {each["_id"]: (each["epoch"], each["expires_at"]) for each in found}

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Keep up with the other workers until the context ends."""
        task = asyncio.create_task(self._follow(), name="revocations")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            try:
                await self.catch_up()
            except PyMongoError as error:
                log.warning("revocations.retrying", reason=type(error).__name__)
            except Exception:
                log.exception("revocations.failed")
            await asyncio.sleep(INTERVAL_S)

    async def _store(self, name: str, epoch: int) -> None:
        change: dict[str, Any] = {
            "$max": {"epoch": epoch, "expires_at": utc_now() + self._kept_for},
            "$setOnInsert": {"_version": 1, "_created_at": utc_now(), "_updated_at": utc_now()},
        }
        revocations = Revocation.get_motor_collection()
        await revocations.update_one({"_id": name}, change, upsert=True, session=session())
