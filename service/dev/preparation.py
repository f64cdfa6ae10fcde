"""What `sheaf dev` does in the database before it serves: the collections, the seed, the administrator."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import click
from bson import ObjectId

from models import DOCUMENTS
from models.product import Product
from models.user import ADMIN, User
from service.access.principals import ANONYMOUS, OPERATOR
from service.access.rules import VERBS
from service.audit import OPERATOR as AT_THE_TERMINAL
from service.audit import AuditContext
from service.collections.registry import Collection, Registry
from service.dev import progress, report
from service.dev.mongodb import UNREACHABLE
from service.dev.seed import PRODUCTS
from service.documents import body as bodies
from service.documents import encoding, loading
from service.documents.access import Access
from service.identity.core.hashing import Passwords
from service.identity.core.revocations import Revocations
from service.identity.core.sessions import Ending
from service.identity.forms.user_bodies import NewUser
from service.identity.users import Users
from service.kit.errors import DatabaseUnavailable, Duplicate, StartupFailure
from service.runtime.settings import Settings
from service.storage import database
from service.storage.database import Database
from service.storage.errors import DatabaseError
from service.storage.plans import ReadPlan
from service.storage.store import decoded
from service.transfer import imports
from service.transfer.imports import Described

ADMIN_EMAIL = "admin@example.com"
WAIT_S = 1.0
CUT_OFF = "MongoDB stopped answering; start again, and an import goes on from where it ended."


@dataclass(frozen=True, slots=True)
class Shelf:
    """A collection as the banner shows it; `example` is the JSON that would create its first document."""

    name: str
    count: int
    is_open: bool
    example: bytes | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What there is to serve, that of the files first, and the administrator's password if it is new."""

    shelves: tuple[Shelf, ...]
    admin_password: str | None


def prepare(chosen: Settings, sources: Sequence[Described], *, reset: bool, seed: bool) -> Prepared:
    """Make collections of the sources, or a seed where there are none; raises StartupFailure and Failure.

    Says on standard error what became of each. Nothing of it, no connection either, outlives the call.
    """
    return asyncio.run(_prepare(chosen, sources, reset=reset, seed=seed))


async def _prepare(chosen: Settings, sources: Sequence[Described], *, reset: bool, seed: bool) -> Prepared:
    connection = database.connect(**chosen.connection)
    try:
        if not await connection.is_reachable():  # asked first, because building indexes may take its time
            raise StartupFailure(UNREACHABLE)
        registry = Registry(connection, DOCUMENTS, document_limit_bytes=chosen.body_limit_bytes)
        async with registry.following():
            await _until_loaded(registry)
            names = [described.source.name for described in sources] or [Product.get_collection_name()]
            if reset:
                for name in names:
                    await imports.reset(registry, name)
            await _import(registry, sources)
            if seed and not sources:
                await _seed(registry.get(Product.get_collection_name()))
            shelves = await _shelves(registry, names)
        return Prepared(shelves, await _new_admin(connection, chosen))
    except (DatabaseError, DatabaseUnavailable):
        raise StartupFailure(CUT_OFF) from None
    finally:
        connection.close()


async def _until_loaded(registry: Registry) -> None:
    """Wait for the registry, however long its indexes take to build; raises StartupFailure."""
    while not await registry.wait_until_loaded(WAIT_S):
        if not await registry.database.is_reachable():
            raise StartupFailure(UNREACHABLE)


async def _import(registry: Registry, sources: Sequence[Described]) -> None:
    for described in sources:
        with progress.shown() as read:
            outcome = await imports.bring(registry, described, read(described.source))
        for sentence in report.sentences(outcome):
            click.echo(sentence, err=True)


async def _seed(products: Collection) -> None:
    if await products.documents.find_one({}, {"_id": 1}) is None:
        id_prefix = ObjectId().binary[: loading.PREFIX_BYTES]
        await loading.load(Access(products, OPERATOR), PRODUCTS, id_prefix)


async def _shelves(registry: Registry, names: Sequence[str]) -> tuple[Shelf, ...]:
    """Describe the collections of these names, then the others that hold anything."""
    shelves = [await _shelf(registry, registry.get(name)) for name in names]
    others = [
        await _shelf(registry, collection) for collection in registry.all() if collection.name not in names
    ]
    return (*shelves, *(shelf for shelf in others if shelf.count))


async def _shelf(registry: Registry, collection: Collection) -> Shelf:
    access = Access(collection, ANONYMOUS)
    is_open = all(access.decide(verb).allowed for verb in VERBS)
    page = await collection.store.read(ReadPlan(collection.name, limit=1))
    example = None
    for document in page.documents:
        seen = encoding.view(collection, decoded(document))
        example = encoding.dump({name: seen[name] for name in seen if name not in bodies.SYSTEM_NAMES})
    return Shelf(collection.name, await imports.count(registry, collection), is_open, example)


async def _new_admin(connection: Database, chosen: Settings) -> str | None:
    """Make an administrator if there is none; gives the password, None when there is nothing to tell."""
    if await User.find_one({"roles": ADMIN}) is not None:
        return None
    password = secrets.token_urlsafe(18)
    form = NewUser(email=ADMIN_EMAIL, password=password, roles=[ADMIN], is_email_verified=True)
    passwords, revocations = Passwords(threads=1), Revocations(chosen.access_token_ttl_s)
    users = Users(connection, Ending(revocations), revocations, passwords)
    try:
        with suppress(Duplicate):  # somebody registered the address before
            await users.create(AuditContext(AT_THE_TERMINAL, chosen.audit_ttl_s), form)
            return password
    finally:
        passwords.close()
    return None
