"""Challenges: what stands between the first step of a sign-in and the second, which needs a code."""

from dataclasses import dataclass
from typing import Any

from beanie import PydanticObjectId

from models.user import User
from service.identity.core import one_time
from service.identity.core.browsers import Mode
from service.kit.errors import SignInExpired
from service.kit.sealing import digest

PURPOSE = "second factor"
TTL_S = 300
TRIES = 5


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the second step needs: the token that it goes on with, for so many seconds."""

    token: str
    expires_in: int = TTL_S


@dataclass(frozen=True, slots=True)
class Resumed:
    """Whose sign-in goes on, and how the client keeps its tokens."""

    user: User
    mode: Mode


async def give(user: User, mode: Mode) -> Challenge:
    """Make the challenge for a user who has passed the first step."""
    token = await one_time.give(PURPOSE, TTL_S, str(user.id), mode=mode, **_state(user))
    return Challenge(token)


async def resume(token: str) -> Resumed:
    """Return whose sign-in a token goes on with, and count the try; raises SignInExpired.

    Void are tokens that are too old, used, or tried too often, and those of an account of which the password
    or anything that tokens say has changed since, or all sessions were ended.
    """
    found = await one_time.attempt(PURPOSE, token, TRIES)
    if found is None or found.user_id is None:
        raise SignInExpired
    user = await User.find_one({"_id": PydanticObjectId(found.user_id), "is_disabled": False})
    if user is None or any(found.facts.get(name) != fact for name, fact in _state(user).items()):
        raise SignInExpired
    return Resumed(user, found.facts["mode"])


async def complete(token: str) -> None:
    """Use a token up; of any number at once, one succeeds. Raises SignInExpired; joins the transaction."""
    if await one_time.take(PURPOSE, token) is None:
        raise SignInExpired


async def drop(user_id: str) -> None:
    """End the sign-ins of a user that wait for their second step; joins the present transaction."""
    await one_time.drop(PURPOSE, user_id)


def _state(user: User) -> dict[str, Any]:
    """Return the state of an account that must be the same in the second step."""
    return {
        "epoch": user.epoch,
        "sign_outs": user.sign_outs,
        "password": digest(user.password_hash or ""),
    }
