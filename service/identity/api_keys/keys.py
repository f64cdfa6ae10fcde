"""API keys: made by users for their programs, renamed, and revoked."""

import re
import secrets
import string
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from beanie import PydanticObjectId
from beanie.odm.queries.update import UpdateResponse

from models.api_key import ApiKey
from models.base import utc_now
from models.user import User
from service.access.principals import Principal
from service.access.scopes import checked
from service.audit import AuditContext
from service.documents.listing import Listing
from service.identity.core.revocations import Revocations
from service.kit.errors import KeyNotFound, TokenInvalid, TooManyKeys
from service.kit.sealing import digest
from service.kit.violations import field_invalid
from service.query.kinds import date_time
from service.storage import classes
from service.storage.database import Database
from service.storage.transactions import session

PREFIX = "sheaf_"
ID_BYTES = 8
SECRET_CHARACTERS = 43
"""Of 62 letters and digits: 256 bits."""

CHECKSUM_CHARACTERS = 6
"""CRC-32 in the same letters. It keeps no attacker off, but a key that was cut or mistyped costs no query."""

_LETTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORM = re.compile(
    rf"(({PREFIX}([0-9a-f]{{{ID_BYTES * 2}}})_[0-9A-Za-z]{{{SECRET_CHARACTERS}}})"
    rf"([0-9A-Za-z]{{{CHECKSUM_CHARACTERS}}}))",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class KeyText:
    """A key: its id, the hash under which it is stored, and the text itself, which is shown once."""

    id: str
    hash: str
    text: str = field(repr=False)


def compose() -> KeyText:
    """Make a new key."""
    key_id = secrets.token_hex(ID_BYTES)
    secret = "".join(secrets.choice(_LETTERS) for _ in range(SECRET_CHARACTERS))
    unchecked = f"{PREFIX}{key_id}_{secret}"
    text = unchecked + _checksum(unchecked)
    return KeyText(key_id, digest(text), text)


def read_text(text: str) -> KeyText | None:
    """Read what somebody presents as a key; None when it has not the form of one.

    >>> read_text("sheaf_0000000000000000_" + "0" * 49) is None
    True
    """
    form = _FORM.fullmatch(text)
    if form is None or _checksum(form[2]) != form[4]:
        return None
    return KeyText(form[3], digest(text), text)


def _checksum(text: str) -> str:
    number, letters = zlib.crc32(text.encode()), ""
    for _ in range(CHECKSUM_CHARACTERS):
        number, position = divmod(number, len(_LETTERS))
        letters += _LETTERS[position]
    return letters


MAXIMUM_KEYS = 50
"""How many keys a user may have at once."""

MAXIMUM_TTL_S = 315_360_000
"""Ten years; a key may also never expire."""

_TEXT = {"type": "string"}
_MOMENT = {"type": ["string", "null"], "format": "date-time"}

LISTING = Listing.of(
    ApiKey,
    {
        "user_id": _TEXT,
        "name": _TEXT,
        "scopes": {"type": "array", "items": _TEXT},
        "expires_at": _MOMENT,
        "last_used_at": _MOMENT,
    },
)
"""What administrators may filter and sort all keys by."""


@dataclass(frozen=True, slots=True)
class Made:
    """A key, and its text, which is known only now."""

    key: ApiKey
    text: str


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """Makes, changes and revokes keys; every method notes what it did in the audit log.

    `owner_id` None stands for an administrator, to whom all keys are open; to others only their own are.
    """

    database: Database
    revocations: Revocations

    async def create(
        self,
        audit: AuditContext,
        caller: Principal,
        *,
        name: str,
        scopes: Sequence[str],
        expires_at: str | None = None,
        expires_in_s: int | None = None,
    ) -> Made:
        """Make a key for a user, which expires at a time (RFC 3339), after some seconds, or never.

        Raises DocumentInvalid, TooManyKeys, TokenInvalid for a closed account.

        Raises TokenOutdated for a caller whose token has ended, also before this worker has heard of it: else
        whoever is signed out would have a moment to make a key, which stays.
        """
        user_id = str(caller.id)
        now = utc_now()
        text = compose()
        key = ApiKey(
            id=text.id,
            hash=text.hash,
            user_id=user_id,
            name=name,
            scopes=checked(scopes),
            expires_at=_expiry(expires_at, expires_in_s, now),
            _created_at=now,
            _updated_at=now,
        )

        async def store() -> None:
            await _count(user_id)
            await self.revocations.check(caller)
            await key.insert(session=session())
            details = {"name": key.name, "scopes": key.scopes, "expires_at": key.expires_at}
            await audit.note("key.created", "key", key.id, details)

        await self.database.transaction(store)
        return Made(await self.find(key.id, user_id), text.text)

    async def list(self, user_id: str) -> list[ApiKey]:
        """Return a user's keys, the oldest first."""
        found = ApiKey.find({"user_id": user_id, **_in_force()}).sort("+_created_at", "+_id")
        return await found.limit(MAXIMUM_KEYS).to_list()

    async def find(self, key_id: str, owner_id: str | None) -> ApiKey:
        """Return a key; raises KeyNotFound."""
        found = await ApiKey.find_one(_wanted(key_id, owner_id), session=session())
        if found is None:
            raise KeyNotFound
        return found

    async def rename(self, audit: AuditContext, key_id: str, owner_id: str | None, name: str) -> ApiKey:
        """Rename a key; returns it as it is then. Raises KeyNotFound."""

        async def rename() -> ApiKey:
            key = ApiKey.find_one(_wanted(key_id, owner_id), session=session())
            changed: ApiKey | None = await key.update(
                {"$set": {"name": name, "_updated_at": utc_now()}, "$inc": {"_version": 1}},
                response_type=UpdateResponse.NEW_DOCUMENT,
            )
            if changed is None:
                raise KeyNotFound
            await audit.note("key.changed", "key", key_id, {"name": name})
            return changed

        return await self.database.transaction(rename)

    async def revoke(self, audit: AuditContext, key_id: str, owner_id: str | None) -> None:
        """Delete a key, which then opens nothing any more; raises KeyNotFound."""

        async def revoke() -> None:
            deleted = await classes.take(ApiKey, _wanted(key_id, owner_id))
            if deleted is None:
                raise KeyNotFound
            await self.revocations.end_key(key_id)
            details = {"name": deleted.name, "user_id": deleted.user_id}
            await audit.note("key.revoked", "key", key_id, details)

        await self.database.transaction(revoke)
        await self.revocations.catch_up()


def _expiry(expires_at: str | None, expires_in_s: int | None, now: datetime) -> datetime | None:
    """Return when a key expires, None for never; raises DocumentInvalid for a time that cannot be."""
    pointer = "/expires_at"
    if expires_at is None:
        return None if expires_in_s is None else now + timedelta(seconds=expires_in_s)
    if expires_in_s is not None:
        detail = "`expires_at` and `expires_in_s` are not given together"
        raise field_invalid(detail, "exclusive", pointer)
    try:
        time = date_time(expires_at)
    except ValueError:
        detail = "`expires_at` is a time such as 2030-01-31T12:00:00Z"
        raise field_invalid(detail, "format", pointer) from None
    if not now < time <= now + timedelta(seconds=MAXIMUM_TTL_S):
        raise field_invalid("`expires_at` lies in the future, at most ten years from now", "range", pointer)
    return time


async def _count(user_id: str) -> None:
    """Refuse one key too many, within the transaction that makes it.

    Each writes to the account first, so that of two at once one waits for the other, and for a removal.
    """
    account = {"_id": PydanticObjectId(user_id), "is_disabled": {"$ne": True}}
    counted = await User.find_one(account, session=session()).update({"$inc": {"keys_made": 1}})
    if not counted.matched_count:
        raise TokenInvalid("The account of this access token is closed")
    if await ApiKey.find({"user_id": user_id, **_in_force()}, session=session()).count() >= MAXIMUM_KEYS:
        raise TooManyKeys(f"There are {MAXIMUM_KEYS} API keys, the most there may be; revoke one first")


def _wanted(key_id: str, owner_id: str | None) -> dict[str, Any]:
    return {"_id": key_id, **({} if owner_id is None else {"user_id": owner_id}), **_in_force()}


def _in_force() -> dict[str, Any]:
    """Leave out keys that have expired and are not deleted yet."""
    return {"$or": [{"expires_at": None}, {"expires_at": {"$gt": utc_now()}}]}
