"""Accounts: make one, sign in, read and change one's own."""

import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

from beanie import PydanticObjectId
from beanie.odm.queries.update import UpdateResponse
from email_validator import validate_email
from pydantic import AfterValidator, Field

from models.base import utc_now
from models.user import User
from service.documents.preconditions import Expected
from service.identity.core.hashing import MAXIMUM_CHARACTERS, MINIMUM_CHARACTERS, Passwords
from service.kit.errors import (
    Busy,
    CredentialsWrong,
    DocumentNotFound,
    Duplicate,
    Stale,
    Violation,
)

MAXIMUM_EMAIL_CHARACTERS = 320
MAXIMUM_NAME_CHARACTERS = 200


def normalised_email(address: str) -> str:
    """Return the one spelling of an e-mail address (RFC 5321, 6531); raises ValueError, saying what is wrong.

    Whether mail would arrive is not asked: that needs the network. Domains under `.test` are for trying out.

    >>> normalised_email("Ada@EXAMPLE.com")
    'Ada@example.com'
    """
    return validate_email(address, check_deliverability=False, test_environment=True).normalized


Email = Annotated[str, Field(max_length=MAXIMUM_EMAIL_CHARACTERS), AfterValidator(normalised_email)]
NewPassword = Annotated[str, Field(min_length=MINIMUM_CHARACTERS, max_length=MAXIMUM_CHARACTERS)]
Name = Annotated[str, Field(min_length=1, max_length=MAXIMUM_NAME_CHARACTERS)]
"""What forms take for an address, for a password that is chosen, and for a name."""


async def find(email: str) -> User | None:
    """Return the account of an e-mail address, however it is spelt, disabled or not."""
    return await User.find_one({"email_key": key_of(email)})


async def check(passwords: Passwords, user: User | None, password: str) -> User:
    """Return the account that was found, if this is its password; raises CredentialsWrong, Busy.

    Does the same work whether there is an account, it is disabled, or has another password.
    """
    if user is None or user.password_hash is None:
        await passwords.verify_decoy(password)
        raise CredentialsWrong
    is_right = await passwords.verify(user.password_hash, password)
    if not is_right or user.is_disabled:
        raise CredentialsWrong
    await _renew_hash(passwords, user, password)
    return user


async def get(user_id: str) -> User:
    """Return an account in use by its id; raises DocumentNotFound when it is gone or disabled."""
    user = await User.find_one(_in_use(user_id))
    if user is None:
        raise DocumentNotFound("There is no such account")
    return user


async def update_profile(user_id: str, changes: Mapping[str, Any], expected: Expected | None = None) -> User:
    """Change members of an account, if it is at an expected version; raises DocumentNotFound, Stale."""
    wanted = _in_use(user_id)
    user = await get(user_id)
    if expected is not None and expected.versions is not None:
        expected.check({"_version": user.version})
        wanted["_version"] = user.version
    if not changes:
        return user
    update = {"$set": {**changes, "_updated_at": utc_now()}, "$inc": {"_version": 1}}
    updated = await User.find_one(wanted).update(update, response_type=UpdateResponse.NEW_DOCUMENT)
    if isinstance(updated, User):
        return updated
    present = await get(user_id)
    raise Stale("The account was changed at the same moment", _version=present.version)


def email_key(email: str) -> str:
    """Return the key of an account: its address without regard to case or to forms of letters.

    >>> email_key("A@x.io") == email_key("a@X.io")
    True
    """
    return unicodedata.normalize("NFKC", email).casefold()


def key_of(email: str) -> str:
    """Return the key of the account of an address, however it is spelt; any text has one.

    >>> key_of("Ann@EXAMPLE.com"), key_of("Ann")
    ('ann@example.com', 'ann')
    """
    try:
        return email_key(normalised_email(email))
    except ValueError:
        return email_key(email)


async def _renew_hash(passwords: Passwords, user: User, password: str) -> None:
    """Hash anew when the cost has changed, unless the password was changed meanwhile; can wait when busy."""
    if user.password_hash is not None and passwords.needs_rehash(user.password_hash):
        with suppress(Busy):
            renewed = await passwords.hash(password)
            present = {"_id": user.id, "password_hash": user.password_hash}
            change = {"$set": {"password_hash": renewed}}
            if (await User.find_one(present).update(change)).matched_count:
                user.password_hash = renewed


def _in_use(user_id: str) -> dict[str, Any]:
    if not PydanticObjectId.is_valid(user_id):
        raise DocumentNotFound("There is no such account")
    return {"_id": PydanticObjectId(user_id), "is_disabled": False}


def taken() -> Duplicate:
    """Return the failure of an address that another account has."""
    violation = Violation("An account with this e-mail address exists already", "unique", "/email")
    return Duplicate("The e-mail address is taken", errors=[violation])
