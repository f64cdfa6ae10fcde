"""Ending sessions, for whoever may: their refresh tokens end at once, their access tokens on every worker."""

from dataclasses import dataclass

from models.base import utc_now
from models.session import Session
from service.identity.revocations import Revocations
from service.transactions import session


@dataclass(frozen=True, slots=True)
class Ending:
    """Ends sessions; every method joins the present transaction.

    This worker heeds it once its caller lets `revocations.catch_up`.
    """

    revocations: Revocations

    async def end(self, session_id: str) -> bool:
        """End a session; tells whether there was one to end."""
        ended = await Session.get_motor_collection().update_one(
            {"_id": session_id, "revoked_at": None},
            {"$set": {"revoked_at": utc_now()}},
            session=session(),
        )
        if ended.matched_count:
            await self.revocations.end_session(session_id)
        return bool(ended.matched_count)

    async def end_all(self, user_id: str, except_id: str | None = None) -> int:
        """End all sessions of a user but perhaps one; gives their number."""
        live = {"user_id": user_id, "revoked_at": None, "_id": {"$ne": except_id}}
        found = await Session.get_motor_collection().find(live, {"_id": 1}, session=session()).to_list(None)
        for each in found:
            await self.end(each["_id"])
        return len(found)
