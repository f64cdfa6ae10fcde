"""Ending sessions, for whoever may: their refresh tokens end at once, their access tokens on every worker."""

from typing import Any

from beanie import PydanticObjectId

from models.session import Session
from models.user import User
from service.identity.revocations import Revocations
from service.storage.transactions import session

MAXIMUM_ENDED = 2000
"""Sessions that end together: twice as many as the settings let one user have, for some may have expired."""


class Ending:
    """Ends sessions; every method joins the present transaction.

    This worker heeds it once its caller lets `revocations.catch_up`.
    """

    def __init__(self, revocations: Revocations) -> None:
        self._revocations = revocations

    async def end(self, session_id: str, user_id: str | None = None) -> str | None:
        """End a session, of a certain user if one is given; gives whose it was, None when there was none.

        Its access tokens are void, also when it has expired itself.
        """
        wanted = {"_id": session_id} | ({} if user_id is None else {"user_id": user_id})
        sessions = Session.get_motor_collection()
        ended = await sessions.find_one_and_delete(wanted, {"user_id": 1}, session=session())
        if ended is not None or user_id is None:
            await self._revocations.end_sessions([session_id])
        return None if ended is None else str(ended["user_id"])

    async def end_all(self, user_id: str, except_id: str | None = None) -> int:
        """End all sessions of a user but perhaps one; gives their number.

        No sign-in that is under way completes: see `Sessions.open`.
        """
        if PydanticObjectId.is_valid(user_id):
            users, whose = User.get_motor_collection(), {"_id": PydanticObjectId(user_id)}
            await users.update_one(whose, {"$inc": {"sign_outs": 1}}, session=session())
        return len(await self.end_those(user_id, {"_id": {"$ne": except_id}}))

    async def end_those(self, user_id: str, which: dict[str, Any]) -> list[str]:
        """End those of a user's sessions that a filter finds; gives their ids."""
        sessions = Session.get_motor_collection()
        found = sessions.find({"user_id": user_id, **which}, {"_id": 1}, session=session())
        ended = [each["_id"] for each in await found.to_list(MAXIMUM_ENDED)]
        if ended:
            await sessions.delete_many({"_id": {"$in": ended}}, session=session())
            await self._revocations.end_sessions(ended)
        return ended
