"""Removing a user for good, and what becomes of the documents that the user owns."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from models.base import utc_now
from models.user import User
from service.audit import AuditContext
from service.collections.registry import Registry
from service.identity.core import credentials, one_time
from service.identity.core.revocations import BOUND_S, Revocations
from service.identity.core.sessions import Ending
from service.identity.users.administration import find, is_administrator, refuse_last
from service.kit.errors import ParameterInvalid, Violation
from service.query import Compare
from service.runtime import deadline
from service.storage.database import Database
from service.storage.plans import Origin, ReleaseOwned
from service.storage.transactions import session

Fate = Literal["keep", "delete", "transfer"]

STRAY_S = BOUND_S
"""How long after its end an account's tokens may still write, through a worker that has not heard of it."""


@dataclass(frozen=True, slots=True)
class Removed:
    """What a removal did to documents, by the names of their collections."""

    documents: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Removal:
    """Removes users; the documents that they own are kept as they are, deleted, or given to somebody else.

    The account is closed first, so that a removal that is cut off has let nobody in, and is finished by the
    next one.
    """

    database: Database
    registry: Registry
    sessions: Ending
    revocations: Revocations

    async def remove(
        self, audit: AuditContext, user_id: str, fate: Fate, heir_id: str | None = None
    ) -> Removed:
        """Remove a user; raises DocumentNotFound, ParameterInvalid for a wrong heir, LastAdministrator."""
        await _check_heir(user_id, fate, heir_id)
        await self.database.transaction(partial(self._close, audit, user_id))
        await self.revocations.catch_up()
        counts = {}
        if fate != "keep":
            with deadline.lifted():
                await asyncio.sleep(STRAY_S)
            for collection in self.registry.all():
                plan = ReleaseOwned(user_id, Origin(audit.actor.id, "removal"), heir_id)
                written = await self.database.patiently(partial(collection.store.write, plan))
                if written.affected:
                    counts[collection.name] = written.affected
        details = {"documents": fate, "heir": heir_id, "counts": counts}
        await self.database.transaction(partial(self._delete, audit, user_id, details))
        await self.revocations.catch_up()
        return Removed(counts)

    async def owned(self, user_id: str) -> dict[str, int]:
        """Count the documents that a user owns, by collection; raises DocumentNotFound."""
        await find(user_id)
        counts, owned = {}, Compare(("_owner",), "eq", user_id)
        for collection in self.registry.all():
            number = await collection.store.count(owned)
            if number:
                counts[collection.name] = number
        return counts

    async def _delete(self, audit: AuditContext, user_id: str, details: Mapping[str, Any]) -> None:
        present = await find(user_id)
        await one_time.drop_all(user_id)
        await credentials.remove_second_factor(user_id, audit)
        await credentials.delete_keys(user_id, self.revocations)
        await self.sessions.end_all(user_id)  # of an account that was enabled again after an earlier removal
        await self.revocations.outdate_user(user_id)
        await present.delete(session=session())
        await audit.note("user.deleted", "user", user_id, details)

    async def _close(self, audit: AuditContext, user_id: str) -> None:
        present = await find(user_id)
        if is_administrator(present):
            await refuse_last(present)
        await User.find_one({"_id": present.id}, session=session()).update(
            {"$set": {"is_disabled": True, "_updated_at": utc_now()}, "$inc": {"_version": 1, "epoch": 1}}
        )
        await self.sessions.end_all(user_id)
        await self.revocations.outdate_user(user_id, present.epoch + 1)
        await audit.note("user.closed", "user", user_id)


async def _check_heir(user_id: str, fate: Fate, heir_id: str | None) -> None:
    if (fate == "transfer") != (heir_id is not None):
        detail = "`to` names who gets the documents, with `documents=transfer` and only then"
    elif heir_id == user_id:
        detail = "documents cannot be transferred to the user who is removed"
    else:
        if heir_id is not None:
            await find(heir_id)
        return
    raise ParameterInvalid(detail, errors=[Violation(detail, "value", parameter="to")])
