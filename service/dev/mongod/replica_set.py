"""A private replica set of several servers, for what one cannot show: elections, members that fail."""

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from service.dev.mongod.process import PrivateServer, start_until
from service.dev.mongod.search import HOST, Server, find
from service.kit.errors import StartupFailure

MEMBERS = 3
ELECTION_TIMEOUT_S = 2.0
"""How long the others hear nothing of a primary before they elect another; MongoDB's own default is 10 s."""

HEARTBEAT_MS = 200
"""How often members tell each other how they are; MongoDB's own is 2 s. While one is silent that others copy
from, what they have written is known by heartbeats alone, and so each write waits for one."""

FOLLOWING = ("oplogNetworkTimeoutBufferSeconds=1", "oplogRetriedFindMaxSeconds=1")
"""How long a secondary waits for a silent member that it copies from, beyond half the time of an election;
until it copies from another one, a new primary has no majority. MongoDB's own are 5 and 2 s."""

POLL_INTERVAL_S = 0.05
ANSWER_MS = 1000

Found = TypeVar("Found")


class ReplicaSet:
    """Servers that are one replica set, which end with this process at the latest; a context manager."""

    def __init__(self, directory: Path, server: Server) -> None:
        self.members: list[PrivateServer] = []
        self._directory = directory
        self._server = server

    @property
    def uri(self) -> str:
        """The connection string: names all members; the majority acknowledges a write, once on disk."""
        addresses = ",".join(member.address for member in self.members)
        return f"mongodb://{addresses}/?replicaSet={self._server.replica_set}&w=majority"

    def primary(self, *, timeout_s: float = 60.0) -> PrivateServer:
        """Wait for a primary and give it; raises StartupFailure without one within `timeout_s` seconds.

        Members that do not run, or do not answer, count as none.
        """
        return _wait(self._find_primary, timeout_s, "a primary")

    def wait_until_whole(self, *, timeout_s: float = 60.0) -> PrivateServer:
        """Wait until a primary has all other members as secondaries, and give it; raises StartupFailure."""
        return _wait(self._find_whole, timeout_s, "all of its members")

    def restart(self, member: PrivateServer, *, timeout_s: float = 60.0) -> PrivateServer:
        """Start a member that has ended again, in its directory and at its address; returns the new process.

        Raises StartupFailure, also when another program has taken its port meanwhile.
        """
        place = self.members.index(member)
        member.stop()  # what is left: our end of the pipe to it
        port = int(member.address.partition(":")[2])
        _wait(lambda: _is_free(port) or None, timeout_s, f"port {port}")
        self.members[place] = self._start(place, timeout_s)
        if self.members[place].address != member.address:
            raise StartupFailure(f"Another program took {member.address} from a member of a replica set.")
        return self.members[place]

    def stop(self) -> None:
        """End all members and wait until they have; again is harmless."""
        for member in self.members:
            if member.is_running:
                with suppress(ProcessLookupError):
                    os.kill(member.pid, signal.SIGCONT)
        for member in self.members:
            member.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def begin(self, members: int, election_timeout_s: float, timeout_s: float) -> None:
        """Start the members, make them a set unless they are one, and wait until it is whole."""
        for place in range(members):
            self.members.append(self._start(place, timeout_s))
        with _direct(self.members[0]) as client:
            if client.admin.command("hello").get("setName") is None:
                hosts = [{"_id": place, "host": each.address} for place, each in enumerate(self.members)]
                times = {
                    "electionTimeoutMillis": int(election_timeout_s * 1000),
                    "heartbeatIntervalMillis": HEARTBEAT_MS,
                }
                config = {"_id": self._server.replica_set, "members": hosts, "settings": times}
                client.admin.command("replSetInitiate", config)
        self.wait_until_whole(timeout_s=timeout_s)

    def _start(self, place: int, timeout_s: float) -> PrivateServer:
        directory = self._directory / f"member-{place}"
        return start_until(PrivateServer.is_up, directory, server=self._server, timeout_s=timeout_s)

    def _find_primary(self) -> PrivateServer | None:
        """Return the member that was elected last, of those that say that they are the primary."""
        answers = [(_hello(member), member) for member in self.members if is_awake(member)]
        elected = [
            (hello["electionId"], member) for hello, member in answers if hello.get("isWritablePrimary")
        ]
        return max(elected, key=lambda each: each[0])[1] if elected else None

    def _find_whole(self) -> PrivateServer | None:
        primary = self._find_primary()
        if primary is None:
            return None
        with suppress(PyMongoError), _direct(primary) as client:
            states = sorted(each["stateStr"] for each in client.admin.command("replSetGetStatus")["members"])
            if states == ["PRIMARY"] + ["SECONDARY"] * (len(self.members) - 1):
                return primary
        return None


def start_set(
    directory: Path,
    *,
    members: int = MEMBERS,
    server: Server | None = None,
    election_timeout_s: float = ELECTION_TIMEOUT_S,
    timeout_s: float = 60.0,
) -> ReplicaSet:
    """Start servers as one replica set, each in its own directory below one, on free loopback ports.

    Raises StartupFailure as `start` does; only MongoDB's own `mongod` can be one of several.
    """
    server = replace(server or find(), parameters=FOLLOWING)
    if server.kind != "mongod":
        raise StartupFailure("A replica set of several members needs MongoDB's own `mongod` on PATH.")
    started = ReplicaSet(directory, server)
    try:
        started.begin(members, election_timeout_s, timeout_s)
    except BaseException:
        started.stop()
        raise
    return started


def is_awake(member: PrivateServer) -> bool:
    """Return whether a member's process runs, and is not stopped by a signal (where the system says so)."""
    if not member.is_running:
        return False
    try:
        status = Path(f"/proc/{member.pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] not in {"T", "t", "Z"}


def _hello(member: PrivateServer) -> dict[str, Any]:
    try:
        with _direct(member) as client:
            return client.admin.command("hello")
    except PyMongoError:
        return {}


def _direct(member: PrivateServer) -> "MongoClient[dict[str, Any]]":
    return MongoClient(
        member.address,
        directConnection=True,
        serverSelectionTimeoutMS=ANSWER_MS,
        connectTimeoutMS=ANSWER_MS,
        socketTimeoutMS=ANSWER_MS,
    )


def _wait(look: Callable[[], Found | None], timeout_s: float, wanted: str) -> Found:
    deadline_s = time.monotonic() + timeout_s
    while (found := look()) is None:
        if time.monotonic() > deadline_s:
            raise StartupFailure(f"A private replica set was without {wanted} for {timeout_s:g} s.")
        time.sleep(POLL_INTERVAL_S)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True
