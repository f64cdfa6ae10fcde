"""The change streams of a database, as MongoDB has them."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar
from pymongo.read_concern import ReadConcern

from tests.conftest import PATIENCE_S
from tests.services import services_of


@asynccontextmanager
async def interrupted(database: Any, workers: Sequence[Litestar]) -> AsyncIterator[None]:
    """Have MongoDB end the streams of all who follow a database of a synchronous driver.

    The context ends once they follow it again, and the classes of documents belong to the first of them.
    """
    began_s = time.time()
    async with asyncio.timeout(PATIENCE_S):
        while len(cursors := _cursors(database)) < len(workers):  # noqa: ASYNC110  # in no state for a moment
            await asyncio.sleep(0.01)
    database.command("killCursors", "$cmd.aggregate", cursors=[*cursors])
    yield
    registries = [services_of(app).registry for app in workers]
    async with asyncio.timeout(PATIENCE_S):
        while not all(each.is_following and each.heard_at_s > began_s for each in registries):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await registries[0].database.initialise(registries[0]._models)  # they did so at once


def _cursors(database: Any) -> set[int]:
    stages: list[dict[str, Any]] = [
        {"$currentOp": {"idleCursors": True}},
        {"$match": {"ns": {"$in": [f"{database.name}.$cmd", f"{database.name}.$cmd.aggregate"]}}},
    ]
    admin = database.client.get_database("admin", read_concern=ReadConcern("local"))
    return {each["cursor"]["cursorId"] for each in admin.aggregate(stages) if "cursor" in each}
