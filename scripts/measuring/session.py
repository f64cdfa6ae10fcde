"""One session of measuring: the processes that are measured, started together and stopped together."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from scripts.measuring import processes, serving, static, targets, workloads
from scripts.measuring.requests import Dialect, Request
from scripts.measuring.targets import Target
from service import mongod

SHEAF, NAIVE, STATIC = "Sheaf", "one Motor call", "static JSON"


@dataclass
class Session:
    """A MongoDB, the services on it, and where their logs are."""

    client: "MongoClient[dict[str, Any]]"
    uri: str
    mongod_pids: list[int]
    logs: Path
    stack: ExitStack

    def start(self, name: str, command: list[str], database: str, known: tuple[str, ...]) -> Target:
        """Start a service of ours on a database of its own."""
        log = self.logs / f"{database}.log"
        pid, host, port = self.stack.enter_context(serving.started(command, self.uri, database, log))
        documents = self.client[database]["products"]
        return Target(name, host, port, Dialect(), processes.tree(pid), known, documents)

    def sheaf(self) -> Target:
        """Start Sheaf, with somebody who is signed in."""
        target = self.start(SHEAF, serving.SHEAF, "sheaf", workloads.WORKLOADS)
        target.dialect = Dialect(targets.sign_in(target.host, target.port))
        return target

    def naive(self) -> Target:
        """Start the naive design."""
        return self.start(NAIVE, serving.NAIVE, "naive", workloads.WORKLOADS)

    def static(self) -> Target:
        """Start Sheaf with the route that answers fixed bytes."""
        target = self.start(STATIC, serving.STATIC, "static", ("static",))
        request = Request("GET", static.PATH, {}, starts='{"data":{', at_least=len(static.BODY))
        target.requests["static"] = [request]
        target.documents = None
        return target


@contextmanager
def opened() -> Iterator[Session]:
    """Start a private MongoDB in a temporary directory; all that is started in the session ends with it."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sheaf-bench-")))
        server = stack.enter_context(mongod.start(directory / "mongodb"))
        client: MongoClient[dict[str, Any]] = stack.enter_context(MongoClient(server.uri))
        yield Session(client, server.uri, [server.pid], directory, stack)
