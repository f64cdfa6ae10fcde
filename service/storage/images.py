"""Images: documents before and after each change, which MongoDB keeps for change streams if it is told."""

from typing import Any

from service.storage.codes import NAMESPACE_EXISTS, NAMESPACE_NOT_FOUND
from service.storage.database import Database
from service.storage.errors import CommandFailed

OPTION = "changeStreamPreAndPostImages"


async def kept(database: Database) -> set[str]:
    """Return the names of the collections whose images are kept."""
    which = {f"options.{OPTION}.enabled": True}
    return {each["name"] async for each in await database.motor.list_collections(filter=which)}


async def keep(database: Database, name: str) -> None:
    """Have the images of a collection kept, which is created if it is not there; raises CommandFailed."""
    if await _change(database, name, is_kept=True):
        return
    try:
        await _run(database, {"create": name, OPTION: {"enabled": True}})
    except CommandFailed as error:
        if error.code != NAMESPACE_EXISTS:  # another worker was quicker
            raise
        await _change(database, name, is_kept=True)


async def discard(database: Database, name: str) -> None:
    """Have no images of a collection kept; raises CommandFailed."""
    await _change(database, name, is_kept=False)


async def _change(database: Database, name: str, *, is_kept: bool) -> bool:
    """Change the option; returns whether there is such a collection."""
    try:
        await _run(database, {"collMod": name, OPTION: {"enabled": is_kept}})
    except CommandFailed as error:
        if error.code != NAMESPACE_NOT_FOUND:
            raise
        return False
    return True


async def _run(database: Database, command: dict[str, Any]) -> None:
    await database.motor.command({**command, "writeConcern": {"w": "majority"}})
