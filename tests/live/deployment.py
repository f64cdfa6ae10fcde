"""Sheaf with a MongoDB of its own, both as processes that tests freeze, kill and start again."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import httpx
from bson import ObjectId

from service.dev import mongod
from service.identity.core.tokens import Tokens
from tests.conftest import bearer
from tests.live.processes import DEADLINE_S, Service, running

SHEAF = ("-c", "from service.cli import main; main()", "serve")
SECRET = "a-secret-of-the-tests-and-of-nobody-else"
WORKERS = 2


class Database:
    """A MongoDB that can be taken away, and comes back at the same address with the same data."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._server = mongod.start(home)
        self.uri = self._server.uri

    def freeze(self) -> None:
        os.kill(self._server.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self._server.pid, signal.SIGCONT)

    def kill(self) -> None:
        os.kill(self._server.pid, signal.SIGKILL)
        wait_until(lambda: not self._server.is_running)
        self._server.stop()  # what is left: our end of the pipe to it

    def start(self) -> None:
        self._server = mongod.start(self._home)
        assert self._server.uri == self.uri

    def stop(self) -> None:
        if self._server.is_running:
            self.thaw()
        self._server.stop()


@contextmanager
def database(home: Path) -> Iterator[Database]:
    opened = Database(home)
    try:
        yield opened
    finally:
        opened.stop()


@contextmanager
def deployed(uri: str, **changes: str) -> Iterator[Service]:
    with running(*SHEAF, variables=variables(uri) | changes) as service:
        yield service


def variables(uri: str) -> dict[str, str]:
    return {
        "MONGODB_URI": uri,
        "SHEAF_JWT_SECRET": SECRET,
        "SHEAF_PORT": "0",
        "SHEAF_RATE_LIMIT": "off",
        "SHEAF_WORKERS": str(WORKERS),
    }


def token(*roles: str) -> dict[str, str]:
    """Return the headers of a request by a user with roles."""
    tokens = Tokens(SECRET, [], "sheaf", "sheaf", 900)
    return bearer(tokens, str(ObjectId()), *roles)


def client(service: Service) -> httpx.AsyncClient:
    """Return a client with as many connections as it has requests."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.AsyncClient(base_url=service.url, timeout=20, limits=limits)


def threads(service: Service) -> int:
    return sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in children(service.process.pid))


def children(pid: int) -> list[int]:
    """Return the ids of a process's own processes."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sorted(int(child) for task in tasks for child in (task / "children").read_text().split())


def statuses(service: Service, path: str, count: int = 16) -> set[int]:
    """Ask on so many new connections that every worker is asked."""
    found = set()
    for _ in range(count):
        connection = HTTPConnection(service.url.removeprefix("http://"), timeout=20)
        connection.request("GET", path)
        found.add(connection.getresponse().status)
        connection.close()
    return found


def wait_until(is_true: Callable[[], bool], within_s: float = DEADLINE_S) -> None:
    deadline = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < deadline, f"not so after {within_s} s"
        time.sleep(0.02)
