"""Users as administrators see and change them; each change takes effect on all of a user's tokens."""

import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from beanie import PydanticObjectId
from beanie.odm.queries.update import UpdateResponse
from pydantic import AfterValidator, Field

from models.base import utc_now
from models.counter import Counter
from models.user import ADMIN, User
from service.access.principals import ROLE_PATTERN
from service.audit import AuditContext
from service.documents.listing import Listing
from service.documents.preconditions import Expected
from service.identity.core import accounts, credentials, one_time
from service.identity.core.accounts import Email, Name, NewPassword
from service.identity.core.hashing import Passwords
from service.identity.core.revocations import Revocations
from service.identity.core.sessions import Ending
from service.kit import forms
from service.kit.errors import DocumentNotFound, LastAdministrator
from service.kit.forms import Form
from service.kit.json_values import are_written_alike
from service.query.cursors import Cursors
from service.query.limits import MAXIMUM_LIMIT
from service.storage.database import Database
from service.storage.errors import DuplicateKey
from service.storage.transactions import session

MAXIMUM_ROLES = 50
MAXIMUM_ROLES_BYTES = 512
MAXIMUM_ATTRIBUTES = 20
MAXIMUM_ATTRIBUTES_BYTES = 1024
"""Roles and attributes are in every access token, which has to fit a cookie: 4096 bytes with its name."""

SMALLEST, LARGEST = -(2**63), 2**63 - 1
"""The integers that MongoDB stores."""

_ATTRIBUTE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SCALARS = (str, int, float, bool)


def checked_roles(roles: list[str]) -> list[str]:
    """Return roles in order, each once; raises ValueError.

    >>> checked_roles(["editor", "author", "editor"])
    ['author', 'editor']
    """
    if not all(ROLE_PATTERN.fullmatch(role) for role in roles):
        raise ValueError("a role is a letter followed by at most 62 of a-z, 0-9, _ and -")
    granted = sorted(set(roles))
    if len(orjson.dumps(granted)) > MAXIMUM_ROLES_BYTES:
        raise ValueError(f"roles take at most {MAXIMUM_ROLES_BYTES} bytes as JSON")
    return granted


def checked_attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return attributes back if they are flat and small; raises ValueError.

    >>> checked_attributes({"team": "red", "regions": ["eu", "us"]})
    {'team': 'red', 'regions': ['eu', 'us']}
    """
    if len(attributes) > MAXIMUM_ATTRIBUTES:
        raise ValueError(f"there are at most {MAXIMUM_ATTRIBUTES} attributes")
    for name, value in attributes.items():
        if not _ATTRIBUTE.fullmatch(name):
            raise ValueError("an attribute's name is a letter followed by at most 62 of a-z, 0-9 and _")
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, _SCALARS):
                raise ValueError(f"`{name}` is text, a number, true, false, or a list of such")  # noqa: TRY004
            if isinstance(each, int) and not SMALLEST <= each <= LARGEST:
                raise ValueError(f"`{name}` is an integer of more than 64 bits")
    if len(orjson.dumps(attributes)) > MAXIMUM_ATTRIBUTES_BYTES:
        raise ValueError(f"attributes take at most {MAXIMUM_ATTRIBUTES_BYTES} bytes as JSON")
    return attributes


Roles = Annotated[list[str], Field(max_length=MAXIMUM_ROLES), AfterValidator(checked_roles)]
Attributes = Annotated[dict[str, Any], AfterValidator(checked_attributes)]


class NewUser(Form):
    """An account that an administrator makes; without a password its owner sets one by the reset mail."""

    email: Email
    password: NewPassword | None = None
    name: Name | None = None
    roles: Roles = []
    attributes: Attributes = {}
    is_email_verified: bool = False


class ChosenPassword(Form):
    """A password that somebody chose."""

    password: NewPassword


class UserChange(Form):
    """What an administrator may change about an account, as a merge patch; only `name` can be removed."""

    email: Email = ""
    name: Name | None = None
    roles: Roles = []
    attributes: Attributes = {}
    is_email_verified: bool = False
    is_disabled: bool = False


ADMINISTRATORS = "_administrators"
"""The counter that each change which takes an administrator away counts up, so that no two pass at once."""

IN_TOKENS = ("email", "is_email_verified", "roles", "attributes")
"""What access tokens say of a user: with a change of it, earlier tokens are no longer right."""

_TEXT = {"type": "string"}
_MOMENT = {"type": "string", "format": "date-time"}

LISTING = Listing.of(
    User,
    {
        "email": _TEXT,
        "name": {"type": ["string", "null"]},
        "roles": {"type": "array", "items": _TEXT},
        "attributes": {"type": "object"},
        "is_email_verified": {"type": "boolean"},
        "is_disabled": {"type": "boolean"},
    },
)
"""What users may be searched, filtered and sorted by."""


@dataclass(frozen=True, slots=True)
class Users:
    """Administration of users; every method notes what it did in the audit log.

    What is revoked is heeded by this worker once its caller lets `revocations.catch_up`.
    """

    database: Database
    sessions: Ending
    revocations: Revocations
    passwords: Passwords

    async def create(self, audit: AuditContext, form: NewUser) -> User:
        """Make an account.

        Raises DocumentInvalid for a password that will not do, Duplicate naming the address, Busy.
        """
        hashed = None
        if form.password is not None:
            hashed = await self.passwords.hash_chosen(form.password, form.email, form.name)
        made = User(
            email=form.email,
            email_key=accounts.email_key(form.email),
            is_email_verified=form.is_email_verified,
            password_hash=hashed,
            name=form.name,
            roles=form.roles,
            attributes=form.attributes,
        )

        async def store() -> None:
            await made.insert(session=session())
            await audit.note("user.created", "user", str(made.id), {"roles": made.roles})

        try:
            await self.database.transaction(store)
        except DuplicateKey:
            raise accounts.taken() from None
        return made

    async def change(
        self, audit: AuditContext, user_id: str, form: UserChange, expected: Expected | None
    ) -> User:
        """Change what a form gives; returns the account as it is then.

        A disabled account's sessions end. Raises DocumentNotFound, Stale, Duplicate, LastAdministrator.
        """

        async def change() -> User:
            present = await find(user_id)
            if expected is not None:
                expected.check({"_version": present.version})
            return await self._change(audit, present, _wanted(form, present))

        try:
            return await self.database.transaction(change)
        except DuplicateKey:
            raise accounts.taken() from None

    async def _change(self, audit: AuditContext, present: User, wanted: Mapping[str, Any]) -> User:
        if not wanted:
            return present
        user_id = str(present.id)
        after = present.model_copy(update=dict(wanted))
        if is_administrator(present) and not is_administrator(after):
            await refuse_last(present)
        is_outdated = any(name in wanted for name in IN_TOKENS) or after.is_disabled
        changed: User = await User.find_one({"_id": present.id}, session=session()).update(
            {
                "$set": {**wanted, "_updated_at": utc_now()},
                "$inc": {"_version": 1, "epoch": int(is_outdated)},
            },
            response_type=UpdateResponse.NEW_DOCUMENT,
        )
        if is_outdated:
            await self.revocations.outdate_user(user_id, changed.epoch)
        if changed.is_disabled and not present.is_disabled:
            await self.sessions.end_all(user_id)
            await one_time.drop_all(user_id)
        for action, details in _events(present, wanted):
            await audit.note(action, "user", user_id, details)
        return changed

    async def set_password(self, audit: AuditContext, user_id: str, password: str) -> None:
        """Change the password of an account; its sessions end, and links and codes that were sent are void.

        Raises DocumentNotFound, DocumentInvalid for a password that will not do, Busy.
        """
        user, form = await find(user_id), forms.read(ChosenPassword, {"password": password})
        hashed = await self.passwords.hash_chosen(form.password, user.email, user.name)

        async def store() -> None:
            present = await find(user_id)
            await User.find_one({"_id": present.id}, session=session()).update(
                {
                    "$set": {"password_hash": hashed, "_updated_at": utc_now()},
                    "$inc": {"_version": 1, "epoch": 1},
                }
            )
            await self.revocations.outdate_user(user_id, present.epoch + 1)
            await self.sessions.end_all(user_id)
            await one_time.drop_all(user_id)
            await audit.note("password.set", "user", user_id)

        await self.database.transaction(store)

    async def every(self, conditions: Sequence[tuple[str, str]]) -> AsyncIterator[User]:
        """Return every account that fulfils the conditions, by address."""
        cursors = Cursors(secrets.token_hex())
        parameters = [*conditions, ("sort", "email"), ("limit", str(MAXIMUM_LIMIT))]
        page = await LISTING.page(parameters, cursors)
        while True:
            for user in page.documents:
                yield User.model_validate(user)
            if page.following is None:
                return
            page = await LISTING.page([*parameters, ("cursor", page.following)], cursors)

    async def sign_out(self, audit: AuditContext, user_id: str) -> int:
        """End all sessions of a user; returns their number. Raises DocumentNotFound."""

        async def end() -> int:
            await find(user_id)
            ended = await self.sessions.end_all(user_id)
            await audit.note("session.all_ended", "user", user_id, {"sessions": ended})
            return ended

        return await self.database.transaction(end)

    async def remove_second_factor(self, audit: AuditContext, user_id: str) -> bool:
        """Take a user's second factor away, as for a lost phone; returns whether there was one.

        Whoever lost it may have lost more: all sessions end. Raises DocumentNotFound.
        """

        async def remove() -> bool:
            await find(user_id)
            was_there = await credentials.remove_second_factor(user_id, audit)
            if was_there:
                await self.sessions.end_all(user_id)
            return was_there

        return await self.database.transaction(remove)


async def find(user_id: str) -> User:
    """Read an account, in use or not, within the present transaction; raises DocumentNotFound."""
    found = None
    if PydanticObjectId.is_valid(user_id):
        found = await User.find_one({"_id": PydanticObjectId(user_id)}, session=session())
    if found is None:
        raise DocumentNotFound("There is no such account")
    return found


async def find_by_email(email: str) -> User:
    """Read an account by its address; raises DocumentNotFound."""
    found = await accounts.find(email)
    if found is None:
        raise DocumentNotFound(f"There is no account with the address {email}")
    return found


def is_administrator(user: User) -> bool:
    """Return whether somebody may administer the service now."""
    return ADMIN in user.roles and not user.is_disabled


async def refuse_last(user: User) -> None:
    """Raise LastAdministrator unless somebody else is one, within the transaction that takes this one away.

    All such transactions write to one document, so that of two at once one waits for the other's outcome.
    """
    counter = Counter.find_one({"_id": ADMINISTRATORS}, session=session())
    await counter.update({"$inc": {"value": 1}}, upsert=True)
    others = {"roles": ADMIN, "is_disabled": {"$ne": True}, "_id": {"$ne": user.id}}
    if await User.find_one(others, session=session()) is None:
        raise LastAdministrator(
            "This is the last administrator, without whom nobody could administer the service",
            hint="Make somebody else an administrator first.",
        )


def _wanted(form: UserChange, present: User) -> dict[str, Any]:
    """Return the stored members that a form changes, with their new values."""
    given = form.model_dump(include=form.model_fields_set)
    if given.get("email", present.email) != present.email:
        given["email_key"] = accounts.email_key(given["email"])
        given.setdefault("is_email_verified", False)  # the proof was of another address
    return {
        name: value for name, value in given.items() if not are_written_alike(value, getattr(present, name))
    }


def _events(present: User, wanted: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the events of a change: each fact before and after, addresses and names left out."""
    events: list[tuple[str, dict[str, Any]]] = []
    if "is_disabled" in wanted:
        events.append(("user.disabled" if wanted["is_disabled"] else "user.enabled", {}))
    events += [
        (f"user.{name}_changed", {"before": getattr(present, name), "after": wanted[name]})
        for name in ("roles", "attributes")
        if name in wanted
    ]
    others = [name for name in ("email", "is_email_verified", "name") if name in wanted]
    if others:
        events.append(("user.changed", {"members": others}))
    return events
