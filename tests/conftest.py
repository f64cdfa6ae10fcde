"""One private MongoDB for the whole run, one database per test, the app over ASGI with its lifespan open."""

import asyncio
import gc
import os
import re
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, cast
from uuid import uuid4

import httpx
import hypothesis
import pymongo
import pytest
import pytest_asyncio
from asgi_lifespan import LifespanManager
from bson import ObjectId
from litestar import Litestar

from models import Product
from models.lockout import Lockout
from service import schema as schemas
from service.access.principals import Principal
from service.app import create_app
from service.collections.registry import Registry
from service.dev import mongod
from service.identity.core.tokens import Tokens
from service.runtime.settings import Settings, load
from service.storage import database as databases
from service.storage import rate_limits
from service.storage.database import Database
from tests.mailbox import Mailbox
from tests.mailing_service import MailingService
from tests.services import services_of

SECRET = "a-secret-of-the-tests-and-of-nobody-else"
GOODS_RULES = Product.rules
PATIENCE_S = 20.0
"""How long tests wait for a database that is there, on a slow machine too."""

OF_MONGODB = re.compile(r"^system\.")

Asker = Callable[..., dict[str, str]]

# how long an example takes says more of the machine than of us
hypothesis.settings.register_profile(
    "suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("suite")

for variable in tuple(os.environ):  # whoever runs the tests may have settings of their own
    if variable.startswith(("SHEAF_", "OTEL_")) or variable == "MONGODB_URI":
        del os.environ[variable]


def pytest_collection_finish() -> None:
    """Have the garbage collector pass over thousands of tests, for which it would stop a test for 0.2 s."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _patient_rate_limits() -> Iterator[None]:
    """Have workers wait for the shared counts however slow the machine is, instead of counting alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rate_limits, "STORE_TIMEOUT_S", PATIENCE_S)
        yield


@pytest.fixture(scope="session")
def mongodb_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mongod.start(tmp_path_factory.mktemp("mongodb")) as server:
        yield server.uri


@pytest.fixture(scope="session")
def drop(mongodb_uri: str) -> Iterator[Callable[[str], object]]:
    """Yield a function that drops a database in the background, because MongoDB takes 0.1 s for it."""
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as client, ThreadPoolExecutor(4) as pool:
        yield lambda name: pool.submit(client.drop_database, name)


class DatabasePool:
    """Databases for one test each, used again once they are empty: making one takes MongoDB 0.1 s."""

    def __init__(self, client: "pymongo.MongoClient[dict[str, Any]]") -> None:
        self._client = client
        self._empty: SimpleQueue[str] = SimpleQueue()

    def acquire(self) -> str:
        """Return the name of an empty database; its service's own collections may be there."""
        try:
            return self._empty.get_nowait()
        except Empty:
            return new_name()

    def release(self, name: str) -> None:
        """Empty a database, for the next test."""
        database = self._client[name]
        for collection in database.list_collection_names():
            if collection.startswith("_"):  # of the service, with the indexes that every test needs
                database[collection].delete_many({})
            else:
                database.drop_collection(collection)
        self._empty.put(name)


@pytest.fixture(scope="session")
def database_pool(mongodb_uri: str) -> Iterator[DatabasePool]:
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as client:
        yield DatabasePool(client)


@pytest.fixture
def settings(
    mongodb_uri: str, database_pool: DatabasePool, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Settings of one test; a test that needs others copies them with changes."""
    made = settings_of(mongodb_uri, tmp_path_factory.getbasetemp(), database_pool.acquire())
    yield made
    database_pool.release(made.database)


def new_name() -> str:
    """Return the name of a database that nobody else has."""
    return f"test_{uuid4().hex[:12]}"


def settings_of(mongodb_uri: str, directory: Path, database: str | None = None) -> Settings:
    """Return settings with a database, and a place for data below a directory, that nobody else has."""
    name = database or new_name()
    return load(
        _env_file=None,
        environment="development",
        mongodb_uri=mongodb_uri,
        database=name,
        data=directory / name,
        jwt_secret=SECRET,
        database_timeout_s=PATIENCE_S,
        operation_timeout_s=PATIENCE_S,
        rate_limit="off",
        server_timing="off",  # answers to the same request are alike
        log_level="error",
    )


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    """Yield a connection to the test's own database, opened, so that no test waits for it."""
    connection = databases.connect(**settings.connection)
    assert await connection.is_reachable()
    yield connection
    connection.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(mongodb_uri: str) -> AsyncIterator["Service"]:
    """Yield the service that the tests of a module share."""
    async with served(mongodb_uri) as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def second_worker(shared: "Service") -> AsyncIterator[Litestar]:
    """Yield another worker of the service that the tests of a module share."""
    application = create_app(shared.settings)
    async with opened(application):
        shared.workers.append(application)
        yield application
        shared.workers.remove(application)


@pytest.fixture
def app(request: pytest.FixtureRequest) -> Litestar:
    """Return the application that the tests of a module share, or its own to a test with `settings`.

    What is stored for the shared one is emptied before each test. Definitions stay where a module says
    `KEEPS_DEFINITIONS = True`.
    """
    name = "own_app" if "settings" in request.fixturenames else "emptied_app"
    found: Litestar = request.getfixturevalue(name)
    return found


@pytest.fixture
async def own_app(settings: Settings) -> AsyncIterator[Litestar]:
    application = create_app(settings)
    async with opened(application):
        yield application


@pytest.fixture
async def emptied_app(request: pytest.FixtureRequest, shared: "Service") -> Litestar:
    await shared.empty(keeps_definitions=getattr(request.module, "KEEPS_DEFINITIONS", False))
    return shared.app


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with connect(app) as opened:
        yield opened


def bearer(tokens: Tokens, user_id: str, *roles: str) -> dict[str, str]:
    """Return the headers of a request by a user, of a session of which nothing is stored."""
    principal = Principal("user", user_id, frozenset(roles), session_id=f"session-of-{user_id}")
    return {"Authorization": f"Bearer {tokens.issue(principal)}"}


def opened(app: Litestar) -> LifespanManager:
    """Return a context in which the application's lifespan is open, in a task of its own."""
    return LifespanManager(cast("Any", app), startup_timeout=3 * PATIENCE_S, shutdown_timeout=PATIENCE_S)


def connect(app: Litestar, address: str = "127.0.0.1") -> httpx.AsyncClient:
    """Return a client that comes from an address."""
    transport = httpx.ASGITransport(cast("Any", app), raise_app_exceptions=False, client=(address, 50000))
    return httpx.AsyncClient(transport=transport, base_url="http://sheaf.test")


@dataclass(frozen=True)
class Service:
    """A service that the tests of a module share, and its database without the service."""

    app: Litestar
    client: httpx.AsyncClient
    database: pymongo.database.Database[dict[str, Any]]
    settings: Settings
    workers: list[Litestar] = field(default_factory=list)
    """The application, and others of the same settings that are open beside it."""

    @property
    def data(self) -> Path:
        """Return the directory of what it stores beside the database."""
        return self.settings.data

    def signed_in(self, *roles: str) -> dict[str, str]:
        """Return the headers of a request by a user of their own, with roles."""
        return bearer(services_of(self.app).tokens, str(ObjectId()), *roles)

    async def empty(self, *, keeps_definitions: bool) -> None:
        """Delete all that is stored."""
        registries = [services_of(app).registry for app in self.workers]
        await belong_to(registries[0])
        runtime = [] if keeps_definitions else self.database["_collections"].distinct("_id")
        for name in self.database.list_collection_names(filter={"name": {"$not": OF_MONGODB}}):
            if name in runtime:
                self.database.drop_collection(name)
            elif name != "_collections":
                self.database[name].delete_many({})
        if not runtime:
            return
        now_s = time.time()
        self.database["_collections"].delete_many({})
        for registry in registries:
            async with asyncio.timeout(PATIENCE_S):
                while registry.heard_at_s < now_s:  # noqa: ASYNC110  # what it heard before is done then
                    await asyncio.sleep(0.001)
            for name in runtime:
                registry.remove(name)


async def until_known(app: Litestar, name: str) -> None:
    """Wait until a worker serves a collection that another has created."""
    async with asyncio.timeout(PATIENCE_S):
        while name not in {each.name for each in services_of(app).registry.all()}:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def belong_to(registry: Registry) -> None:
    """Have the classes of documents belong to an application, if another one has begun since it did."""
    owner = Lockout.get_motor_collection().delegate.database.client
    if owner is not registry.database.motor.delegate.client:
        await registry.database.initialise(registry._models)


@asynccontextmanager
async def served(mongodb_uri: str, **changes: Any) -> AsyncIterator[Service]:
    """Serve an application on a database of its own, which is dropped afterwards; settings may be changed."""
    directory = tempfile.TemporaryDirectory()
    settings = settings_of(mongodb_uri, Path(directory.name)).model_copy(update=changes)
    app = create_app(settings)
    with directory, pymongo.MongoClient[dict[str, Any]](mongodb_uri) as mongodb:
        async with opened(app), connect(app) as client:
            yield Service(app, client, mongodb[settings.database], settings, [app])
        mongodb.drop_database(settings.database)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mailing(mongodb_uri: str) -> AsyncIterator[MailingService]:
    """Yield a service for people who sign up and read their mails, shared by a module."""
    async with served(mongodb_uri) as service:
        yield MailingService(service.app, service.client, service.database, Mailbox(service.data))


@pytest.fixture
def as_user(app: Litestar) -> Asker:
    """Return a function from a name and roles to the headers of a request by that user; None is nobody."""
    ids: dict[str, str] = {}

    def headers(name: str | None, *roles: str) -> dict[str, str]:
        if name is None:
            return {}
        user_id = ids.setdefault(name, str(ObjectId()))
        return bearer(services_of(app).tokens, user_id, *roles)

    return headers


@pytest.fixture
def admin(as_user: Asker) -> dict[str, str]:
    return as_user("root", "admin")


@pytest.fixture
def ann(as_user: Asker) -> dict[str, str]:
    return as_user("ann")


@pytest.fixture
def bob(as_user: Asker) -> dict[str, str]:
    return as_user("bob")


@pytest.fixture(params=["code-first", "runtime"])
async def goods(request: pytest.FixtureRequest, client: httpx.AsyncClient, admin: dict[str, str]) -> str:
    """Return the path of a collection of products, described by a class and then by a stored definition."""
    if request.param == "code-first":
        return "/api/products"
    if (await client.get("/api/collections/goods", headers=admin)).status_code == 200:
        return "/api/goods"  # from an earlier test of a shared service
    definition = {"name": "goods", "schema": schemas.of_model(Product), "rules": GOODS_RULES}
    answer = await client.post("/api/collections", json=definition, headers=admin)
    assert answer.status_code == 201, answer.text
    return "/api/goods"
