"""A private MongoDB that runs: started on a free loopback port, primary of its replica set, and stopped."""

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from service.dev.mongod import watchdog
from service.dev.mongod.directory import (
    Home,
    claim,
    is_claimed,
    open_log,
    prepare,
    remember_port,
    remembered_port,
)
from service.dev.mongod.search import HOST, Server, find
from service.kit.errors import StartupFailure
from service.storage.codes import NOT_YET_INITIALIZED

OTHERWISE = "put another `mongod` on PATH, or set MONGODB_URI"
LOG_END_BYTES = 65536
PORT_TAKEN = "Address already in use"

NOT_EXECUTABLE = {
    errno.ENOEXEC: "it is not a program for this kind of processor",
    errno.ENOENT: "the C library that it was built for (glibc) or its interpreter is missing",
    errno.EACCES: "it may not be executed from where it is",
}

# What a log says, and the cause in words of ours; the first that matches wins.
CANNOT_RUN = (
    (r"loading shared libraries: ([^\s:]+)", "the library {0} is missing: install it (libcurl 4, OpenSSL 3)"),
    (r"Library not loaded: (\S+)", "the library {0} is missing: install it"),
    (r"version `([A-Z]+_[\d.]+)' not found", "it needs a newer system library ({0})"),
    (
        r"Unknown --setParameter|[Ii]llegal --setParameter|unrecognised option",
        "MongoDB 5.0 or later is needed, and it knows too few options",
    ),
    (r"No module named '([\w.]+)'", "the Python package {0} is missing: install it"),
)
CANNOT_START = (
    (r"No space left on device", "the disk is full; make room"),
    (
        r"featureCompatibilityVersion|Wrong mongod version|[Uu]nsupported WiredTiger file version",
        "another version of MongoDB made its data; use that one, or choose another directory with --data",
    ),
    (
        r"Permission denied|Operation not permitted",
        "files in it are not writable for this user; make them so",
    ),
)


def execution_fault(server: Server, number: int) -> str:
    """Say why the program could not be executed, from the error's number.

    >>> execution_fault(Server("mongod", Path("/opt/mongod")), errno.EACCES).partition("; ")[0]
    '/opt/mongod cannot run here: it may not be executed from where it is'
    """
    cause = NOT_EXECUTABLE.get(number, errno.errorcode.get(number, str(number)))
    return f"{server.path} cannot run here: {cause}; {OTHERWISE}."


def end_fault(server: Server, status: int, log: Path, data: Path) -> str:
    """Say why the program ended, from its exit status (as a shell gives it) and the end of its log."""
    text = log_end(log)
    for pattern, cause in CANNOT_RUN:
        if found := re.search(pattern, text):
            return f"{server.path} cannot run here: {cause.format(*found.groups())}, {OTHERWISE}."
    if status == 128 + signal.SIGILL:
        return (
            f"{server.path} cannot run here: this processor lacks instructions it needs (AVX); {OTHERWISE}."
        )
    for pattern, cause in CANNOT_START:
        if re.search(pattern, text):
            return f"MongoDB cannot start in {data}: {cause}; its log is {log}."
    return f"MongoDB ended while starting in {data} (exit status {status}); its log {log} says why."


def log_end(log: Path) -> str:
    """Return the end of the log, at most 64 KiB of it."""
    with log.open("rb") as lines:
        lines.seek(max(0, log.stat().st_size - LOG_END_BYTES))
        return lines.read().decode(errors="replace")


ATTEMPTS = 5
POLL_INTERVAL_S = 0.01
CLIENT_TIMEOUT_MS = 2000


def running(directory: Path) -> str | None:
    """Return the URI of the private server that another process runs on a directory; None if none does."""
    home = Home(directory.absolute())
    port = remembered_port(home)
    return f"mongodb://{HOST}:{port}/?directConnection=true&w=majority" if port and is_claimed(home) else None


class PrivateServer:
    """A running server, which ends with this process at the latest; a context manager that stops it."""

    def __init__(self, server: Server, port: int, pid: int, process: "subprocess.Popen[bytes]") -> None:
        self.pid = pid
        self.address = f"{HOST}:{port}"
        self._server = server
        self._group = pid
        self._watchdog = process

    @property
    def uri(self) -> str:
        """The connection string: waits for the primary, and a write is acknowledged once it is on disk."""
        return f"mongodb://{self.address}/?replicaSet={self._server.replica_set}&w=majority"

    @property
    def is_running(self) -> bool:
        """Whether the server runs; False after `stop`, and when it ended by itself or was killed."""
        return self._watchdog.poll() is None

    def stop(self) -> None:
        """End the server and wait until it has: cleanly within 20 s, else by force; again is harmless."""
        if self._watchdog.stdin is None or self._watchdog.stdin.closed:
            return
        with suppress(BrokenPipeError):
            # Closing alone would not be noticed while a fork of this process holds the pipe too.
            self._watchdog.stdin.write(b".")
        self._watchdog.stdin.close()
        try:
            self._watchdog.wait(watchdog.GRACE_S + 5)
        except subprocess.TimeoutExpired:
            self._watchdog.kill()
            self._watchdog.wait()
            with suppress(ProcessLookupError):
                os.killpg(self._group, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def is_primary(self, client: MongoClient[dict[str, Any]]) -> bool:
        """Return whether it takes writes; brings it nearer to that if it does not: call it again.

        Raises PortTakenError when the server that the client reaches is not the one that was started.
        """
        try:
            return self.is_up(client) and _is_primary(client, self._server.replica_set, self.address)
        except PyMongoError:  # expected of a server that is still starting
            return False

    def is_up(self, client: MongoClient[dict[str, Any]]) -> bool:
        """Return whether it answers, whatever its part in a replica set; raises PortTakenError."""
        try:
            self.pid = self._own(client.admin.command("serverStatus")["pid"])
        except PyMongoError:  # expected of a server that is still starting
            return False
        return True

    def _own(self, pid: int) -> int:
        """Return the process id that the server reported, if that process is of the group that we started."""
        with suppress(ProcessLookupError):
            if os.getpgid(pid) == self._group:
                return pid
        raise PortTakenError


class PortTakenError(Exception):
    """Another process took the port between our finding it free and the server's listening."""


IsReady = Callable[[PrivateServer, MongoClient[dict[str, Any]]], bool]
"""Returns whether a server, which the client reaches, has come as far as it is waited for."""


def start(directory: Path, *, server: Server | None = None, timeout_s: float = 60.0) -> PrivateServer:
    """Start a server on the data directory, made if need be, and wait until it takes writes.

    Without `server` it is the one that `find` gives. Raises StartupFailure, one sentence, when there is none,
    it cannot run here, the directory is not usable or in use, or it is not ready within `timeout_s` seconds.
    """
    return start_until(PrivateServer.is_primary, directory, server=server, timeout_s=timeout_s)


def start_until(
    is_ready: IsReady, directory: Path, *, server: Server | None = None, timeout_s: float = 60.0
) -> PrivateServer:
    """Start a server as `start` does, and wait until it is as ready as is asked; raises StartupFailure."""
    if sys.platform == "win32":
        raise StartupFailure(
            "A private MongoDB needs Linux or macOS; set MONGODB_URI to a MongoDB that runs."
        )
    server = server or find()
    home = prepare(directory, server)
    lock = claim(home)
    deadline = time.monotonic() + timeout_s
    preferred = remembered_port(home)
    try:
        for _ in range(ATTEMPTS):
            with suppress(PortTakenError):
                return _launch(server, home, lock, _free_port(preferred), deadline, is_ready=is_ready)
            preferred = 0
    finally:
        os.close(lock)
    raise StartupFailure(
        f"Other programs took each of {ATTEMPTS} free ports before MongoDB could; start again."
    )


def _launch(
    server: Server, home: Home, lock: int, port: int, deadline: float, *, is_ready: IsReady
) -> PrivateServer:
    process = _hold(server.command(home.data, port), home, lock)
    private = PrivateServer(server, port, _pid(process, server, home), process)

    def pause() -> None:
        if not private.is_running:
            if PORT_TAKEN in log_end(home.log):
                raise PortTakenError
            raise StartupFailure(end_fault(server, process.wait(), home.log, home.data))
        if time.monotonic() > deadline:
            raise StartupFailure(f"MongoDB was not ready in time; its log {home.log} says why.")
        time.sleep(POLL_INTERVAL_S)

    try:
        _await(is_ready, private, port, pause)
    except BaseException:
        private.stop()
        raise
    remember_port(home, port)
    return private


def _free_port(preferred: int) -> int:
    """Return the preferred port if it is free, else any free one."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, preferred))
        except OSError:
            listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def _hold(command: list[str], home: Home, lock: int) -> "subprocess.Popen[bytes]":
    """Start the command under a watchdog, whose pipe this process holds."""
    log = open_log(home)
    try:
        return subprocess.Popen(  # noqa: S603 - our own program, and the server that was found
            [sys.executable, "-I", "-S", watchdog.__file__, str(os.getpid()), str(lock), *command],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            pass_fds=(lock,),
            start_new_session=True,
        )
    finally:
        os.close(log)


def _pid(process: "subprocess.Popen[bytes]", server: Server, home: Home) -> int:
    """Read from the watchdog which process it started; StartupFailure if it could not start any."""
    said: list[str] = []
    if process.stdout is not None:
        with process.stdout as output:
            said = output.read().decode().split()
    if len(said) == 1:
        return int(said[0])
    if process.stdin is not None:
        process.stdin.close()
    status = process.wait()
    if said:
        raise StartupFailure(execution_fault(server, int(said[1])))
    raise StartupFailure(end_fault(server, status, home.log, home.data))


def _await(is_ready: IsReady, private: PrivateServer, port: int, pause: Callable[[], None]) -> None:
    while not _is_listening(port):
        pause()
    # Not before it listens: the driver would look again only every half second.
    with MongoClient[dict[str, Any]](
        HOST,
        port,
        directConnection=True,
        serverSelectionTimeoutMS=CLIENT_TIMEOUT_MS,
        socketTimeoutMS=CLIENT_TIMEOUT_MS,
    ) as client:
        while not is_ready(private, client):
            pause()


def _is_listening(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


# A single node has nobody to wait for before it elects itself.
ELECTIONS = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 500}


def _is_primary(client: MongoClient[dict[str, Any]], name: str, address: str) -> bool:
    """Return whether the client's server is primary; brings it nearer to that if it is not: call it again.

    `name` is the set's, `address` the server's `host:port`. Raises PyMongoError while the server is starting.
    """
    if client.admin.command("hello")["isWritablePrimary"]:
        return True
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != NOT_YET_INITIALIZED:
            raise
        member = {"_id": 0, "host": address}
        client.admin.command("replSetInitiate", {"_id": name, "members": [member], "settings": ELECTIONS})
        return False
    if config["members"][0]["host"] != address:
        config["members"][0]["host"] = address
        # The data remembers another port. Only a primary takes a change without force, and this node is none.
        client.admin.command("replSetReconfig", config, force=True)
    return False
