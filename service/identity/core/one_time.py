"""Tokens that can be used once, which only their holder knows: the service stores hashes."""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from beanie.odm.queries.update import UpdateResponse

from models.base import utc_now
from models.one_time_token import OneTimeToken
from service.kit.sealing import digest
from service.storage import classes
from service.storage.transactions import session

TOKEN_BYTES = 32
MAXIMUM_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class OneTime:
    """What a token stands for: whose it is, and what was noted when it was given out."""

    user_id: str | None
    facts: Mapping[str, Any] = field(default_factory=dict)


async def give(purpose: str, ttl_s: float, user_id: str | None = None, **facts: Any) -> str:
    """Make a token for a purpose, valid for `ttl_s` seconds; joins the present transaction."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    stored = OneTimeToken(
        id=digest(token),
        purpose=purpose,
        user_id=user_id,
        facts=facts,
        expires_at=utc_now() + timedelta(seconds=ttl_s),
    )
    await stored.insert(session=session())
    return token


async def take(purpose: str, token: str) -> OneTime | None:
    """Use a token up; None when there is none such any more. Of any number at once, one has it."""
    if len(token) > MAXIMUM_CHARACTERS:
        return None
    taken = await classes.take(OneTimeToken, _live(purpose, token))
    return None if taken is None else OneTime(taken.user_id, taken.facts)


async def look(purpose: str, token: str) -> OneTime | None:
    """Return what a token stands for and leave it usable; None when there is none such any more."""
    if len(token) > MAXIMUM_CHARACTERS:
        return None
    found = await OneTimeToken.find_one(_live(purpose, token), session=session())
    return None if found is None else OneTime(found.user_id, found.facts)


async def attempt(purpose: str, token: str, maximum: int) -> OneTime | None:
    """Look at a token without using it up, at most so many times, however many do so at once; else None."""
    if len(token) > MAXIMUM_CHARACTERS:
        return None
    is_left = {"facts.tries": {"$not": {"$gte": maximum}}}
    found: OneTimeToken | None = await OneTimeToken.find_one(_live(purpose, token), is_left).update(
        {"$inc": {"facts.tries": 1}}, response_type=UpdateResponse.NEW_DOCUMENT
    )
    return None if found is None else OneTime(found.user_id, found.facts)


async def drop(purpose: str, user_id: str) -> None:
    """Make all of a user's tokens for a purpose void; joins the present transaction."""
    await OneTimeToken.find({"user_id": user_id, "purpose": purpose}).delete(session=session())


async def drop_all(user_id: str, *, but: Collection[str] = ()) -> None:
    """Make all of a user's tokens void, but those for some purposes; joins the present transaction."""
    of_user = {"user_id": user_id, "purpose": {"$nin": list(but)}}
    await OneTimeToken.find(of_user).delete(session=session())


def _live(purpose: str, token: str) -> dict[str, Any]:
    """Return the condition on what a token that can still be used stands for."""
    return {"_id": digest(token), "purpose": purpose, "expires_at": {"$gt": utc_now()}}
