"""Sessions: each sign-in on a device, and the tokens that it gets."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from models.base import utc_now
from models.session import Session
from models.user import User
from service.access.principals import Principal
from service.access.tokens import Tokens
from service.identity.revocations import Revocations
from service.transactions import session

ID_BYTES = 16
MAXIMUM_DEVICE_CHARACTERS = 200

Mode = Literal["bearer", "cookie"]


@dataclass(frozen=True, slots=True)
class Client:
    """Where somebody signs in from: the address, the User-Agent, and how it keeps its tokens."""

    address: str | None = None
    device: str | None = None
    mode: Mode = "bearer"


@dataclass(frozen=True, slots=True)
class Opened:
    """A session and the tokens to use it with; the refresh token is known only now."""

    session: Session
    access_token: str
    refresh_token: str


class Sessions:
    """Opens, refreshes and ends sessions; one that is not used for `idle_ttl_s` seconds ends by itself."""

    def __init__(self, tokens: Tokens, revocations: Revocations, idle_ttl_s: float) -> None:
        self._tokens = tokens
        self._revocations = revocations
        self._idle_ttl_s = idle_ttl_s

    async def open(self, user: User, client: Client) -> Opened:
        """Begin a session for somebody whose sign-in is complete; joins the present transaction."""
        now = utc_now()
        opened = Session(
            id=secrets.token_urlsafe(ID_BYTES),
            user_id=str(user.id),
            mode=client.mode,
            device=None if client.device is None else client.device[:MAXIMUM_DEVICE_CHARACTERS],
            address=client.address,
            last_used_at=now,
            expires_at=now + timedelta(seconds=self._idle_ttl_s),
        )
        await opened.insert(session=session())
        return Opened(opened, self._tokens.issue(principal_of(user, opened.id)), "")

    async def end(self, session_id: str) -> bool:
        """End a session; tells whether there was one to end. Joins the present transaction."""
        ended = await Session.get_motor_collection().update_one(
            {"_id": session_id, "revoked_at": None},
            {"$set": {"revoked_at": utc_now()}},
            session=session(),
        )
        if ended.matched_count:
            await self._revocations.end_session(session_id)
        return bool(ended.matched_count)

    async def end_all(self, user_id: str, except_id: str | None = None) -> int:
        """End all sessions of a user but perhaps one; gives their number. Joins the present transaction."""
        live = {"user_id": user_id, "revoked_at": None, "_id": {"$ne": except_id}}
        found = await Session.get_motor_collection().find(live, {"_id": 1}, session=session()).to_list(None)
        for each in found:
            await self.end(each["_id"])
        return len(found)


def principal_of(user: User, session_id: str) -> Principal:
    """Give a user as access tokens speak for one."""
    return Principal(
        kind="user",
        id=str(user.id),
        roles=frozenset(user.roles),
        session_id=session_id,
        epoch=user.epoch,
        email=user.email,
        is_email_verified=user.is_email_verified,
        name=user.name,
        attributes=user.attributes,
    )
