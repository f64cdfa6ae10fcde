"""What opens an account beside its password, and taking it away: API keys, second factor, identities."""

from beanie import PydanticObjectId
from beanie.odm.queries.update import UpdateResponse

from models.api_key import ApiKey
from models.second_factor import SecondFactor
from models.user import User
from service.audit import AuditContext
from service.identity.core import challenges
from service.identity.core.revocations import Revocations
from service.storage.transactions import session


async def has_second_factor(user_id: str) -> bool:
    """Return whether an account must prove itself by a second factor too."""
    in_force = {"_id": user_id, "enabled_at": {"$ne": None}}
    return await SecondFactor.find_one(in_force, session=session()) is not None


async def remove_second_factor(
    user_id: str, audit: AuditContext, action: str = "second_factor.removed"
) -> bool:
    """Take an account's second factor away, and what waits for its codes; returns whether there was one.

    Joins the present transaction.
    """
    removed = await SecondFactor.find_one({"_id": user_id}, session=session())
    if removed is not None:
        await removed.delete(session=session())
    await challenges.drop(user_id)
    was_in_force = removed is not None and removed.enabled_at is not None
    if was_in_force:
        await audit.note(action, "user", user_id)
    return was_in_force


async def delete_keys(user_id: str, revocations: Revocations) -> int:
    """Delete all API keys of a user; returns their number. Joins the present transaction."""
    keys = await ApiKey.find({"user_id": user_id}, session=session()).to_list()
    for key in keys:
        await revocations.end_key(key.id)
    await ApiKey.find({"user_id": user_id}).delete(session=session())
    return len(keys)


async def reclaim(audit: AuditContext, user_id: str, revocations: Revocations) -> None:
    """Take away all that opens an account beside the password, for the owner of its address has come.

    As long as nobody has shown that the address is theirs, whoever set these up may have registered somebody
    else's, and wait for the owner (pre-hijacking; Sudhodanan and Paverd, USENIX Security 2022). Joins the
    present transaction, which has to end sessions and void links too.
    """
    before = await User.find_one({"_id": PydanticObjectId(user_id)}, session=session()).update(
        {"$set": {"identities": []}}, response_type=UpdateResponse.OLD_DOCUMENT
    )
    unlinked = [each.issuer for each in before.identities] if isinstance(before, User) else []
    deleted = await delete_keys(user_id, revocations)
    had_factor = await remove_second_factor(user_id, audit)
    if unlinked or deleted or had_factor:
        details = {"unlinked": unlinked, "keys": deleted, "second_factor": had_factor}
        await audit.note("user.reclaimed", "user", user_id, details)
