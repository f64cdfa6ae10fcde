"""Giving an account to the owner of its address, who has come at last: nobody else stays in."""

from beanie import PydanticObjectId

from models.user import User
from service.audit import Trail
from service.identity import second_factor
from service.identity.api_keys import ApiKeys
from service.storage.transactions import session


async def reclaim(trail: Trail, user_id: str, keys: ApiKeys) -> None:
    """Take away what opens an account beside the password: identities at providers, keys, second factor.

    As long as nobody has shown that the address is theirs, whoever set these up may have registered somebody
    else's, and wait for the owner (pre-hijacking; Sudhodanan and Paverd, USENIX Security 2022). Joins the
    present transaction, which has to end sessions and void links too.
    """
    before = await User.get_motor_collection().find_one_and_update(
        {"_id": PydanticObjectId(user_id)},
        {"$set": {"identities": []}},
        {"identities": 1},
        session=session(),
    )
    unlinked = [each["issuer"] for each in (before or {}).get("identities", ())]
    deleted = await keys.delete_all(user_id)
    had_factor = await second_factor.remove(user_id, trail)
    if unlinked or deleted or had_factor:
        details = {"unlinked": unlinked, "keys": deleted, "second_factor": had_factor}
        await trail.note("user.reclaimed", "user", user_id, details)
