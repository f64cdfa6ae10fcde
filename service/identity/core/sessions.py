"""Sessions: each sign-in on a device, and the tokens that it gets."""

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from beanie import PydanticObjectId

from models.base import utc_now
from models.session import Session
from models.user import User
from service.access.principals import Principal
from service.identity.core.browsers import Browsers, Mode
from service.identity.core.revocations import Revocations
from service.identity.core.tokens import Tokens
from service.kit.errors import SessionEnded
from service.kit.sealing import Sealer, base64url, digest, from_base64url
from service.storage import classes
from service.storage.transactions import session

ID_BYTES = 16
RANDOM_BYTES = 32
MAXIMUM_TOKEN_CHARACTERS = 128

_PURPOSE = "refresh token"
_SUCCESSOR = "refresh successor"
_FORM = re.compile(r"([A-Za-z0-9_-]{22})\.(0|[1-9][0-9]{0,9})\.([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})")


class Claim(NamedTuple):
    """What a token claims to be; `is_ours` tells whether the service has made it, under a secret in use."""

    session_id: str
    generation: int
    is_ours: bool


class RefreshTokens:
    """Makes and recognises refresh tokens: `<session>.<generation>.<256 random bits>.<code>`.

    Whether one is valid its stored hash decides. The code only shows that it was given out once, which is
    what a reuse is told by (RFC 9700, 4.14.2): who knows no more than a session's id cannot feign one. So
    tokens stay valid when the secret changes.
    """

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def issue(self, session_id: str, generation: int) -> str:
        """Make a session's token of a generation, counted from 0."""
        content = f"{session_id}.{generation}.{secrets.token_urlsafe(RANDOM_BYTES)}"
        return f"{content}.{base64url(self._sealer.code(_PURPOSE, content.encode()))}"

    def read(self, token: str) -> Claim | None:
        """Return what a token claims to be; None for what has not the form of one."""
        if len(token) > MAXIMUM_TOKEN_CHARACTERS:
            return None
        found = _FORM.fullmatch(token)
        if found is None:
            return None
        content, _, code = token.rpartition(".")
        given = from_base64url(code)
        is_ours = given is not None and self._sealer.is_ours(_PURPOSE, given, content.encode())
        return Claim(found[1], int(found[2]), is_ours)


def new_session_id() -> str:
    """Return an id for a session: 128 random bits."""
    return secrets.token_urlsafe(ID_BYTES)


def seal_successor(token: str, successor: str) -> str:
    """Seal a token's successor so that it takes the token itself to open it."""
    return Sealer((token,)).seal(_SUCCESSOR, successor.encode())


def open_successor(token: str, sealed: str) -> str | None:
    """Return a token's successor; None if something else was sealed, or for another token."""
    content = Sealer((token,)).unseal(_SUCCESSOR, sealed)
    return None if content is None else content.decode()


MAXIMUM_DEVICE_CHARACTERS = 200
MAXIMUM_LISTED = 1000
"""Sessions of one user that are looked at together; the settings allow no more."""

MAXIMUM_ENDED = 2000
"""Sessions that end together: twice as many as the settings let one user have, for some may have expired."""


@dataclass(frozen=True, slots=True)
class Client:
    """Where somebody signs in from: the address, the User-Agent, and how it keeps its tokens."""

    address: str | None = None
    device: str | None = None
    mode: Mode = "bearer"

    @property
    def shown_device(self) -> str | None:
        r"""Return the User-Agent as it is kept: short, and safe to print.

        >>> Client(device="Sheaf/1 \x1b[2J(phone)").shown_device, Client(device="").shown_device
        ('Sheaf/1 [2J(phone)', None)
        """
        shown = "".join(
            each for each in (self.device or "")[:MAXIMUM_DEVICE_CHARACTERS] if each.isprintable()
        )
        return shown or None


@dataclass(frozen=True, slots=True)
class Limits:
    """How long sessions live without being used, how long at all, and how many of them a user may have."""

    idle_ttl_s: float
    ttl_s: float
    per_user: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A session and the tokens to use it with, which are known only now.

    `lifetime_s` is how long it lives unless it is used again; `displaced` are those that ended for it.
    """

    session_id: str
    access_token: str
    refresh_token: str
    csrf_token: str
    lifetime_s: int
    displaced: tuple[str, ...] = ()


class Ending:
    """Ends sessions; every method joins the present transaction.

    This worker heeds it once its caller lets `revocations.catch_up`.
    """

    def __init__(self, revocations: Revocations) -> None:
        self._revocations = revocations

    async def end(self, session_id: str, user_id: str | None = None) -> str | None:
        """End a session, of a certain user if one is given; returns whose it was, None when there was none.

        Its access tokens are void, also when it has expired itself.
        """
        wanted = {"_id": session_id} | ({} if user_id is None else {"user_id": user_id})
        ended = await classes.take(Session, wanted)
        if ended is not None or user_id is None:
            await self._revocations.end_sessions([session_id])
        return None if ended is None else ended.user_id

    async def end_all(self, user_id: str, except_id: str | None = None) -> int:
        """End all sessions of a user but perhaps one; returns their number.

        No sign-in that is under way completes: see `Sessions.open`.
        """
        if PydanticObjectId.is_valid(user_id):
            user = User.find_one({"_id": PydanticObjectId(user_id)}, session=session())
            await user.update({"$inc": {"sign_outs": 1}})
        return len(await self.end_those(user_id, {"_id": {"$ne": except_id}}))

    async def end_those(self, user_id: str, which: dict[str, Any]) -> list[str]:
        """End those of a user's sessions that a filter finds; returns their ids."""
        found = Session.find({"user_id": user_id, **which}, session=session()).limit(MAXIMUM_ENDED)
        ended = [each.id for each in await found.to_list()]
        if ended:
            await Session.find({"_id": {"$in": ended}}).delete(session=session())
            await self._revocations.end_sessions(ended)
        return ended


class Sessions(Ending):
    """Opens, lists and ends sessions."""

    def __init__(
        self,
        tokens: Tokens,
        refresh_tokens_: RefreshTokens,
        revocations: Revocations,
        browsers: Browsers,
        limits: Limits,
    ) -> None:
        super().__init__(revocations)
        self._tokens = tokens
        self._refresh_tokens = refresh_tokens_
        self._browsers = browsers
        self._limits = limits

    async def open(self, user: User, client: Client) -> Opened:
        """Begin a session for somebody whose sign-in is complete; joins the present transaction.

        Raises SessionEnded when the account was closed, or all its sessions ended, since `user` was read:
        what the sign-in rests on, such as the password, may be void. The oldest session beyond the limit
        ends. All that begin or end sessions of one user write to the user, so that none misses another.
        """
        now = utc_now()
        sign_outs = {"$in": [user.sign_outs, *([] if user.sign_outs else [None])]}  # absent before the first
        as_read = {"_id": user.id, "is_disabled": False, "sign_outs": sign_outs}
        change = {"$set": {"signed_in_at": now}}
        if not (await User.find_one(as_read, session=session()).update(change)).matched_count:
            raise SessionEnded("The account was changed while you signed in", hint="Sign in again.")
        session_id = new_session_id()
        refresh_token = self._refresh_tokens.issue(session_id, 0)
        csrf_token = self._browsers.csrf_token(session_id)
        opened = Session(
            id=session_id,
            user_id=str(user.id),
            mode=client.mode,
            device=client.shown_device,
            address=client.address,
            token_hash=digest(refresh_token),
            csrf_hash=digest(csrf_token),
            last_used_at=now,
            expires_at=now + timedelta(seconds=min(self._limits.idle_ttl_s, self._limits.ttl_s)),
            ends_at=now + timedelta(seconds=self._limits.ttl_s),
            created_at=now,
            updated_at=now,
        )
        await opened.insert(session=session())
        return Opened(
            session_id,
            self._tokens.issue(principal_of(user, session_id)),
            refresh_token,
            csrf_token,
            lifetime_s=int((opened.expires_at - now).total_seconds()),
            displaced=await self._displace(str(user.id)),
        )

    async def of_user(self, user_id: str) -> list[Session]:
        """Return the sessions of a user as stored, the one used last first."""
        live = {"user_id": user_id, "expires_at": {"$gt": utc_now()}}
        found = Session.find(live, session=session()).sort("-last_used_at", "+_id")
        return await found.limit(MAXIMUM_LISTED).to_list()

    async def _displace(self, user_id: str) -> tuple[str, ...]:
        """End the sessions that a user has too many, those first that were not used for longest."""
        live = await self.of_user(user_id)
        surplus = [each.id for each in live[self._limits.per_user :]]
        return tuple(await self.end_those(user_id, {"_id": {"$in": surplus}})) if surplus else ()


def principal_of(user: User, session_id: str) -> Principal:
    """Return the principal that the access tokens of a session speak for."""
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
