"""What `sheaf dev` does in the database before it serves: the collections, the seed, the administrator."""

import asyncio
import secrets
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import click
import orjson
from bson import ObjectId
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from models import DOCUMENTS
from models.product import Product
from models.user import ADMIN, User
from service.access.principals import ANONYMOUS, OPERATOR
from service.access.rules import VERBS
from service.audit import OPERATOR as AT_THE_TERMINAL
from service.audit import AuditContext
from service.collections.registry import Collection, Registry
from service.dev.environment import UNREACHABLE
from service.documents import body as bodies
from service.documents import encoding, loading
from service.documents.access import Access
from service.identity.core.hashing import Passwords
from service.identity.core.revocations import Revocations
from service.identity.core.sessions import Ending
from service.identity.users import NewUser, Users
from service.kit.errors import DatabaseUnavailable, Duplicate, StartupFailure
from service.runtime.settings import Settings
from service.storage import database
from service.storage.database import Database
from service.storage.errors import DatabaseError
from service.storage.plans import ReadPlan
from service.storage.store import decoded
from service.transfer import imports
from service.transfer.imports import Described, Outcome
from service.transfer.sources import Source

PRODUCTS: tuple[dict[str, Any], ...] = tuple(
    {"name": name, "price": price, "category": category, "tags": tags.split(), "description": description}
    for name, price, category, tags, description in (
        (
            "Laptop",
            1299.0,
            "electronics",
            "computer portable",
            "14 inches, 16 GB of memory, a day of battery.",
        ),
        ("Wireless Mouse", 29.95, "electronics", "computer accessory", "Three buttons, silent, USB-C."),
        (
            "Mechanical Keyboard",
            89.5,
            "electronics",
            "computer accessory",
            "Tenkeyless, hot-swappable switches.",
        ),
        (
            "Noise-Cancelling Headphones",
            249.0,
            "electronics",
            "audio wireless",
            "Thirty hours on one charge.",
        ),
        ("Espresso Machine", 449.0, "kitchen", "coffee", "Fifteen bar, with a steam wand."),
        ("Chef's Knife", 74.9, "kitchen", "steel", "Twenty centimetres, forged, stays sharp."),
        ("Cast-Iron Pan", 39.0, "kitchen", "cookware oven", "Twenty-six centimetres, for a lifetime."),
        ("Desk Lamp", 45.0, "home", "light led", "Warm to cold light, dimmable."),
        ("Office Chair", 329.0, "home", "furniture ergonomic", "Adjustable in every direction."),
        ("Running Shoes", 119.95, "sports", "shoes", "Light, for roads, in twelve sizes."),
        ("Yoga Mat", 24.5, "sports", "fitness", "Six millimetres, does not slip."),
        ("Notebook", 9.9, "stationery", "paper", "A5, dotted, 192 pages that lie flat."),
    )
)


ADMIN_EMAIL = "admin@example.com"
WAIT_S = 1.0
CUT_OFF = "MongoDB stopped answering; start again, and an import goes on from where it ended."


@dataclass(frozen=True, slots=True)
class CollectionSummary:
    """A collection as the banner shows it; `example` is the JSON that would create its first document."""

    name: str
    count: int
    is_open: bool
    example: bytes | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What there is to serve, that of the files first, and the administrator's password if it is new."""

    collections: tuple[CollectionSummary, ...]
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
        async with connection.stream.running(), registry.following():
            await _until_loaded(registry)
            names = [described.source.name for described in sources] or [Product.get_collection_name()]
            if reset:
                for name in names:
                    await imports.reset(registry, name)
            await _import(registry, sources)
            if seed and not sources:
                await _seed(registry.get(Product.get_collection_name()))
            collections = await _summaries(registry, names)
        return Prepared(collections, await _new_admin(connection, chosen))
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
        with _progress() as read:
            outcome = await imports.bring(registry, described, read(described.source))
        for sentence in sentences(outcome):
            click.echo(sentence, err=True)


async def _seed(products: Collection) -> None:
    if await products.store.is_empty():
        id_prefix = ObjectId().binary[: loading.PREFIX_BYTES]
        await loading.load(Access(products, OPERATOR), PRODUCTS, id_prefix)


async def _summaries(registry: Registry, names: Sequence[str]) -> tuple[CollectionSummary, ...]:
    """Describe the collections of these names, then the others that hold anything."""
    collections = [await _summary(registry, registry.get(name)) for name in names]
    others = [
        await _summary(registry, collection) for collection in registry.all() if collection.name not in names
    ]
    return (*collections, *(summary for summary in others if summary.count))


async def _summary(registry: Registry, collection: Collection) -> CollectionSummary:
    access = Access(collection, ANONYMOUS)
    is_open = all(access.decide(verb).allowed for verb in VERBS)
    page = await collection.store.read(ReadPlan(collection.name, limit=1))
    example = None
    for document in page.documents:
        seen = encoding.view(collection, decoded(document))
        example = encoding.dump({name: seen[name] for name in seen if name not in bodies.SYSTEM_NAMES})
    return CollectionSummary(collection.name, await imports.count(registry, collection), is_open, example)


async def _new_admin(connection: Database, chosen: Settings) -> str | None:
    """Make an administrator if there is none; returns the password, None when there is none to show."""
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


DOCUMENTS_PER_UPDATE = 256

Reader = Callable[[Source], Iterable[dict[str, Any]]]


@contextmanager
def _progress() -> Iterator[Reader]:
    """Yield the function that reads a source; on a terminal it shows how far it has come."""
    if not sys.stderr.isatty():
        yield lambda source: source.documents()
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[documents]} documents", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield lambda source: _tracked(progress, source)


def _tracked(progress: Progress, source: Source) -> Iterator[dict[str, Any]]:
    task = progress.add_task(source.name, total=source.size_bytes, documents=0)
    for number, document in enumerate(source.documents()):
        if number % DOCUMENTS_PER_UPDATE == 0:
            progress.update(task, completed=source.bytes_read, documents=number)
        yield document
    progress.update(task, completed=source.size_bytes, documents=source.count)


def sentences(outcome: Outcome) -> Iterator[str]:
    """Say what was imported and what was not, then what is not as in the file.

    The first sentence begins with the collection's name.
    """
    yield f"{outcome.collection.name}: {_result(outcome)}"
    loaded = outcome.loaded
    if loaded.refused:
        first = loaded.first_refusals[0]
        yield (
            f"  {documents(loaded.refused)} refused by the schema of `{outcome.collection.name}`;"
            f" the first is number {first.ordinal + 1} in the file ({first.reason})."
        )
        yield "  Change the schema, give the file another name, or start over with --reset."
    if outcome.circumstance != "unchanged":
        yield from (f"  {note}" for note in outcome.notes)


def documents(count: int) -> str:
    """Write a number of documents.

    >>> documents(1), documents(3201)
    ('1 document', '3201 documents')
    """
    return f"{count} document{'s' * (count != 1)}"


def _result(outcome: Outcome) -> str:
    created, skipped = documents(outcome.loaded.created), outcome.loaded.skipped
    match outcome.circumstance:
        case "unchanged":
            return (
                f"imported before; {outcome.in_file} in the file,"
                f" {outcome.present} there now (--reset starts over)."
            )
        case "cut off":
            return f"{created} imported, {skipped} there already: the import that was cut off is complete."
        case "changed":
            return (
                f"the file has changed: {created} imported, {skipped} there already,"
                f" which stay as they are (--reset starts over)."
            )
        case "new" if skipped:
            return f"{created} imported, {skipped} there already, which stay as they are."
        case "new":
            return f"{created} imported."


MAXIMUM_EXAMPLE_BYTES = 600
MAXIMUM_VALUE_CHARACTERS = 40
WORDS_OF_FILTERS = frozenset({"and", "or", "not"})
JSON_TYPE = "-H 'Content-Type: application/json'"


def banner(url: str, chosen: Settings, prepared: Prepared, *, has_own_mongodb: bool) -> str:
    """Return the text, ready to be printed; commands in it are ready to be pasted."""
    parts = (
        _collections(url, prepared.collections),
        _circumstances(url, chosen, prepared, has_own_mongodb=has_own_mongodb),
        _commands(url, prepared),
        _administrator(url, chosen, prepared, has_own_mongodb=has_own_mongodb),
    )
    return "\n" + "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def _collections(url: str, collections: tuple[CollectionSummary, ...]) -> Iterator[str]:
    yield "Collections:"
    width = max(len(summary.name) for summary in collections)
    counts = [documents(summary.count) for summary in collections]
    room = max(map(len, counts))
    for summary, count in zip(collections, counts, strict=True):
        yield f"  {summary.name:<{width}}  {count:>{room}}  {url}/api/{summary.name}"


def _circumstances(url: str, chosen: Settings, prepared: Prepared, *, has_own_mongodb: bool) -> Iterator[str]:
    yield f"Every operation, to read and to try: {url}/docs"
    is_open = [summary.name for summary in prepared.collections if summary.is_open]
    if is_open:
        yield f"Anyone may read and write these collections: {', '.join(is_open)}."
    local = ["any port of localhost, 127.0.0.1 and [::1]"] if chosen.allows_local_pages else []
    callers = " and ".join([*local, *chosen.cors_origins]) or "no other origin"
    yield f"Pages on {callers} may call it; --cors ORIGIN lets others."
    if chosen.rate_limit == "on":
        yield (
            f"Rate limits are on: {chosen.rate_limit_anonymous} for each address,"
            f" {chosen.rate_limit_user} for each user."
        )
    else:
        yield "Rate limits are off; SHEAF_RATE_LIMIT=on turns them on."
    if has_own_mongodb:
        yield f"Data is kept in {chosen.data.absolute()}."
    else:
        yield f"Data is kept in {chosen.shown()['MONGODB_URI']}, database `{chosen.database}`."


def _commands(url: str, prepared: Prepared) -> Iterator[str]:
    first = prepared.collections[0]
    address = f"{url}/api/{first.name}"
    yield "Try:"
    yield f"  curl '{address}?limit=3'"
    if first.example is None:
        return
    condition = _condition(orjson.loads(first.example))
    if condition is not None:
        yield f"  curl -G {address} --data-urlencode {shlex.quote('filter=' + condition)}"
    if first.is_open and len(first.example) <= MAXIMUM_EXAMPLE_BYTES:
        yield f"  curl -X POST {address} {JSON_TYPE} -d {shlex.quote(first.example.decode())}"


def _condition(example: dict[str, Any]) -> str | None:
    """Return a filter that finds a document, by its first plain text or else its first number."""
    plain = {
        name: value
        for name, value in example.items()
        if name not in WORDS_OF_FILTERS and isinstance(value, str | int | float)
    }
    texts = {
        name: value
        for name, value in plain.items()
        if isinstance(value, str) and 0 < len(value) <= MAXIMUM_VALUE_CHARACTERS and value.isprintable()
    }
    numbers = {name: value for name, value in plain.items() if not isinstance(value, str)}
    for name, value in (texts or numbers).items():
        return orjson.dumps({name: value}).decode()
    return None


def _administrator(url: str, chosen: Settings, prepared: Prepared, *, has_own_mongodb: bool) -> Iterator[str]:
    password = prepared.admin_password
    if password is not None:
        body = orjson.dumps({"email": ADMIN_EMAIL, "password": password}).decode()
        yield f"Sign in as {ADMIN_EMAIL} with password {password} (shown only now):"
        yield f"  curl {url}/api/auth/login {JSON_TYPE} -d {shlex.quote(body)}"
        return
    is_default = chosen.data == type(chosen).model_fields["data"].default
    where = "" if is_default or not has_own_mongodb else f" --data {shlex.quote(str(chosen.data))}"
    yield "The accounts of earlier starts are there still. To make another administrator:"
    yield f"  sheaf user create EMAIL --admin --generate{where}"
