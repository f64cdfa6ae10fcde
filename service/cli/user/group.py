"""What the commands of `sheaf user` share: their group, their options, the administration that they call."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from models import DOCUMENTS
from service.audit import OPERATOR, AuditContext
from service.collections.registry import Registry
from service.dev import mongodb
from service.dev.mongodb import UNREACHABLE
from service.identity.core.hashing import Cost, Demands, Passwords
from service.identity.core.revocations import Revocations
from service.identity.core.sessions import Ending
from service.identity.users import Fate, Removal, Removed, Users
from service.kit.errors import DatabaseUnavailable, StartupFailure
from service.runtime import settings
from service.runtime.settings import LONGEST_ACCESS_TOKEN_TTL_S, Development, Settings
from service.storage import database
from service.storage.errors import DatabaseError

PASSWORD_THREADS = 1
WAIT_S = 1.0

Result = TypeVar("Result")


@click.group
def command() -> None:
    """Make, show, change and remove users from the terminal."""


email_argument = click.argument("email")
data_option = click.option(
    "--data", type=click.Path(path_type=Path), help="The data directory of `sheaf dev` (SHEAF_DATA)."
)


@dataclass(frozen=True, slots=True)
class Administration:
    """What changes users, on behalf of whoever is at the terminal."""

    users: Users
    removal: Removal
    registry: Registry
    audit: AuditContext

    async def owned(self, user_id: str) -> dict[str, int]:
        """Count the documents that a user owns, by collection."""
        async with self._loaded():
            return await self.removal.owned(user_id)

    async def remove(self, user_id: str, fate: Fate, heir_id: str | None) -> Removed:
        """Remove a user."""
        async with self._loaded():
            return await self.removal.remove(self.audit, user_id, fate, heir_id)

    @asynccontextmanager
    async def _loaded(self) -> AsyncIterator[None]:
        """Know the collections meanwhile; raises StartupFailure."""
        async with self.registry.following():
            while not await self.registry.wait_until_loaded(WAIT_S):
                if not await self.registry.database.is_reachable():
                    raise StartupFailure(UNREACHABLE)
            yield


def run(data: Path | None, work: Callable[[Administration], Awaitable[Result]]) -> Result:
    """Do some work in the MongoDB of MONGODB_URI, or else in the one that `sheaf dev` runs.

    Raises StartupFailure when it cannot be reached, and what the work raises.
    """
    mongodb.export(data=data)
    with mongodb.available(settings.load(Development), shared=True) as ready:

        async def administer() -> Result:
            async with _administration(ready) as administration:
                return await work(administration)

        return asyncio.run(administer())


@asynccontextmanager
async def _administration(chosen: Settings) -> AsyncIterator[Administration]:
    passwords = Passwords(
        threads=PASSWORD_THREADS,
        cost=Cost(chosen.password_memory_kib, chosen.password_passes),
        demands=Demands(chosen.password_minimum_characters, chosen.password_strength),
    )
    connection = database.connect(**chosen.connection)
    revocations = Revocations(LONGEST_ACCESS_TOKEN_TTL_S)  # the service may have been told of another ttl
    registry = Registry(connection, DOCUMENTS, document_limit_bytes=chosen.body_limit_bytes)
    ending = Ending(revocations)
    try:
        if not await connection.is_reachable():  # asked first, because building indexes may take its time
            raise StartupFailure(UNREACHABLE)
        await connection.initialise(DOCUMENTS)
        yield Administration(
            users=Users(connection, ending, revocations, passwords),
            removal=Removal(connection, registry, ending, revocations),
            registry=registry,
            audit=AuditContext(OPERATOR, chosen.audit_ttl_s),
        )
    except (DatabaseError, DatabaseUnavailable):
        raise StartupFailure(UNREACHABLE) from None
    finally:
        connection.close()
        passwords.close()
