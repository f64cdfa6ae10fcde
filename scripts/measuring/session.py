"""One session of measuring: the processes that are measured, started together and stopped together."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pymongo import TEXT, IndexModel, MongoClient
from pymongo.uri_parser import parse_uri

from models import Product
from scripts.measuring import processes, products, serving, workloads
from scripts.measuring.requests import DIALECTS, Dialect, Request
from scripts.measuring.serving import ServiceFailedError
from scripts.measuring.targets import Target, post
from service.dev import mongod

SHEAF, NAIVE, STATIC = "Sheaf", "one Motor call", "static JSON"
EMAIL = "measuring@example.org"
PASSWORD = "correct-horse-battery-staple-7"  # noqa: S105 - of a database that lives for minutes
DATABASE = "sheaf_bench"
COLLECTION = "products"
OUTSIDE = {"database", "dialect", "base", "token"}
"""What is told about a service that runs already."""


@dataclass
class Session:
    """A MongoDB, the services on it, and where their logs are."""

    client: "MongoClient[dict[str, Any]]"
    uri: str
    mongod_pids: list[int]
    logs: Path
    stack: ExitStack

    def sheaf(self, name: str = SHEAF, database: str = DATABASE, *, for_admin: bool = False) -> Target:
        """Start Sheaf, with somebody who is signed in."""
        variables = self._environment(database)
        who = {"email": EMAIL, "password": PASSWORD}
        if for_admin:
            serving.command(variables, "user", "create", EMAIL, "--admin", "--password-stdin", line=PASSWORD)
        target = self._start(name, serving.SHEAF, variables)
        if not for_admin:
            target.expect(post("/api/auth/register", who))
        token = target.expect(post("/api/auth/login", who, status=200))["data"]["access_token"]
        target.dialect = Dialect(token)
        return target

    def naive(self) -> Target:
        """Start the naive design, on the indexes that Sheaf has."""
        target = self._start(NAIVE, serving.NAIVE, self._environment(f"{DATABASE}_naive"))
        target.collections[0].create_indexes(indexes())
        return target

    def static(self) -> Target:
        """Start Sheaf with the route that answers fixed bytes."""
        target = self._start(STATIC, serving.STATIC, self._environment(f"{DATABASE}_static"))
        target.workloads, target.collections = (workloads.STATIC,), []
        request = Request(
            "GET", products.STATIC_PATH, {}, starts='{"data":{', at_least=len(products.STATIC_BODY)
        )
        target.requests[workloads.STATIC] = [request]
        return target

    def outside(self, described: str) -> Target:
        """Return a service that runs on this machine, told as `NAME=URL,database=NAME[,OPTION=VALUE…]`.

        Raises ServiceFailedError if it is not told so, or if nothing listens there.
        """
        name, _, rest = described.partition("=")
        url, *options = rest.split(",")
        chosen = {"dialect": "plain", **dict(option.split("=", 1) for option in options if "=" in option)}
        where = urlsplit(url)
        is_known = chosen.keys() <= OUTSIDE and chosen["dialect"] in DIALECTS
        if not (is_known and where.hostname and where.port and "database" in chosen):
            raise ServiceFailedError(f"--against {described}: NAME=http://HOST:PORT,database=NAME is wanted.")
        pids = processes.listening(where.port)
        if not pids:
            raise ServiceFailedError(f"--against {described}: nothing listens there on this machine.")
        dialect = DIALECTS[chosen["dialect"]](chosen.get("token"), chosen.get("base"))
        collections = [self.client[chosen["database"]][COLLECTION]]
        return Target(name, where.hostname, where.port, dialect, pids, collections=collections)

    def _environment(self, database: str) -> dict[str, str]:
        self.client.drop_database(database)
        self.stack.callback(self.client.drop_database, database)
        return serving.environment(self.uri, database)

    def _start(self, name: str, command: list[str], variables: dict[str, str]) -> Target:
        database = variables["SHEAF_DATABASE"]
        log = self.logs / f"{database}.log"
        running = self.stack.enter_context(serving.started(command, variables, log))
        pids = processes.tree(running.pid)
        collections = [self.client[database][COLLECTION]]
        return Target(name, running.host, running.port, Dialect(), pids, collections=collections)


def indexes() -> list[IndexModel]:
    """Return the indexes that Sheaf keeps of products."""
    texts = [[(field, TEXT) for field in each["text"]] for each in Product.indexes]
    return [*Product.Settings.indexes, *map(IndexModel, texts)]


@contextmanager
def opened(uri: str | None, logs: Path) -> Iterator[Session]:
    """Open a session on a MongoDB that runs, or else on a private one; all that it starts ends with it.

    What the services log is kept in the folder `logs`.
    """
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sheaf-bench-")))
        if uri is None:
            server = stack.enter_context(mongod.start(directory / "mongodb"))
            uri, pids = server.uri, [server.pid]
        else:
            pids = processes.listening(parse_uri(uri)["nodelist"][0][1])
        client: MongoClient[dict[str, Any]] = stack.enter_context(MongoClient(uri))
        yield Session(client, uri, pids, logs, stack)
